//! Limits and counters of a node, on cgroup v2, v1, and both mixed.
//!
//! Each controller is looked for where this host has it. On the unified hierarchy a node always
//! gets a directory (also without controllers): a process can be born in it, be killed through
//! it, and its CPU time is counted there.

mod layout;
mod stats;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use layout::{Controller, Layout, Place};
pub use stats::Stats;

use crate::spec::Limits;
use crate::sys::step::{Step, StepError};

/// One period of CPU bandwidth, microseconds (the kernel's default).
const PERIOD_US: u64 = 100_000;

/// The cgroups of one installation.
#[derive(Debug, Clone)]
pub struct Cgroups {
    layout: Layout,
    group: String,
}

/// Where PID 1 of a node has to be put.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Seats {
    /// Born in this directory (v2).
    pub unified: Option<PathBuf>,
    /// Directories that the process moves itself to (v1).
    pub split: Vec<PathBuf>,
    /// The file that counts memory kills.
    pub oom: Option<PathBuf>,
    /// What the node sees below /sys/fs/cgroup: controller directories of v1 (name, path), or the
    /// one of v2 under an empty name.
    pub view: Vec<(String, PathBuf)>,
    /// What limits the processor, once the node is built.
    pub quota: Option<Quota>,
    /// Controllers that were asked for and are absent, in words.
    pub notes: Vec<String>,
}

/// A limit on CPU bandwidth that has still to be written. The birth of a node is our work and takes some milliseconds: under
/// a small limit it would wait for many periods.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quota {
    /// The kernel's file.
    pub file: PathBuf,
    /// What it wants to read.
    pub text: String,
}

impl Cgroups {
    /// Finds the hierarchies of this host and makes the installation's directories.
    pub fn open(installation: &str) -> Result<Self, StepError> {
        let group = format!("lace-{installation}");
        let layout = Layout::detect().step("read /proc/self/mountinfo")?;
        let cgroups = Cgroups { layout, group };
        for root in cgroups.roots() {
            make(&root).step(format!("create cgroup {}", root.display()))?;
        }
        if let Some(unified) = &cgroups.layout.unified {
            cgroups.layout.delegate(unified);
            cgroups.layout.delegate(&unified.join(&cgroups.group));
        }
        Ok(cgroups)
    }

    fn roots(&self) -> Vec<PathBuf> {
        self.layout.hierarchies().iter().map(|h| h.join(&self.group)).collect()
    }

    fn dir(&self, controller: Controller, id: &str) -> Option<(Place, PathBuf)> {
        let place = self.layout.place(controller)?;
        Some((place.clone(), place.path().join(&self.group).join(id)))
    }

    /// Makes a node's directories and writes its limits.
    pub fn create(&self, id: &str, limits: &Limits) -> Result<Seats, StepError> {
        for root in self.roots() {
            let dir = root.join(id);
            make(&dir).step(format!("create cgroup {}", dir.display()))?;
        }
        let mut seats = self.seats(id);
        match (self.dir(Controller::Cpu, id), limits.cpu_millis) {
            (None, Some(_)) => seats.notes.push(absent(Controller::Cpu)),
            (Some((place, dir)), Some(millis)) => {
                let quota = quota(&place, &dir, millis.into());
                seats.quota = Some(quota.step(format!("limit cpu of cgroup {}", dir.display()))?);
            }
            (_, None) => {}
        }
        let wanted =
            [(Controller::Memory, limits.memory_bytes), (Controller::Pids, limits.pids.map(u64::from))];
        for (controller, value) in wanted {
            match (self.dir(controller, id), value) {
                (None, Some(_)) => seats.notes.push(absent(controller)),
                (Some((place, dir)), value) => limit(controller, &place, &dir, value)
                    .step(format!("limit {controller} of cgroup {}", dir.display()))?,
                (None, None) => {}
            }
        }
        Ok(seats)
    }

    fn seats(&self, id: &str) -> Seats {
        let unified = self.layout.unified.as_ref();
        let split: Vec<PathBuf> = self.layout.split().iter().map(|h| h.join(&self.group).join(id)).collect();
        let name = |p: &PathBuf| {
            let mount = p.ancestors().nth(2).and_then(Path::file_name);
            mount.map_or(String::new(), |n| n.to_string_lossy().into_owned())
        };
        let mut view: Vec<_> = split.iter().map(|p| (name(p), p.clone())).collect();
        let unified = unified.map(|u| u.join(&self.group).join(id));
        if view.is_empty() {
            view.extend(unified.iter().map(|u| (String::new(), u.clone())));
        }
        let oom = self.dir(Controller::Memory, id).map(|(place, dir)| match place {
            Place::Unified(_) => dir.join("memory.events"),
            Place::Split(_) => dir.join("memory.oom_control"),
        });
        Seats { unified, split, oom, view, quota: None, notes: Vec::new() }
    }

    /// Reads a node's counters.
    pub fn stats(&self, id: &str) -> Stats {
        stats::read(self, id)
    }

    /// Kills everything in a node's cgroups and removes them.
    pub fn remove(&self, id: &str, timeout: Duration) -> Result<(), StepError> {
        let deadline = Instant::now() + timeout;
        for root in self.roots() {
            clear(&root.join(id), deadline)?;
        }
        Ok(())
    }

    /// Does a node have a directory?
    pub fn has(&self, id: &str) -> bool {
        self.roots().iter().any(|root| root.join(id).is_dir())
    }

    /// Ids with a directory left.
    pub fn ids(&self) -> Vec<String> {
        let of = |root: PathBuf| fs::read_dir(root).into_iter().flatten().flatten();
        let dirs = self.roots().into_iter().flat_map(of);
        let dirs = dirs.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        let mut ids: Vec<_> = dirs.filter_map(|e| e.file_name().into_string().ok()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Removes the installation's directories, which must be empty of nodes.
    pub fn close(&self) -> Result<(), StepError> {
        let deadline = Instant::now() + Duration::from_secs(5);
        self.roots().iter().try_for_each(|root| clear(root, deadline))
    }
}

fn absent(controller: Controller) -> String {
    format!("limit on {controller} is not enforced: this host has no {controller} controller")
}

/// Writes the period and says what is to be written later.
fn quota(place: &Place, dir: &Path, millis: u64) -> io::Result<Quota> {
    // The kernel takes no less than a millisecond.
    let quota_us = (millis * PERIOD_US / 1000).max(1000);
    match place {
        Place::Unified(_) => Ok(Quota { file: dir.join("cpu.max"), text: format!("{quota_us} {PERIOD_US}") }),
        Place::Split(_) => {
            fs::write(dir.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            Ok(Quota { file: dir.join("cpu.cfs_quota_us"), text: quota_us.to_string() })
        }
    }
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn limit(controller: Controller, place: &Place, dir: &Path, value: Option<u64>) -> io::Result<()> {
    let write = |file: &str, text: String| fs::write(dir.join(file), text);
    // Files of the swap controller exist only where the kernel counts swap.
    let write_if_there = |file: &str, text: String| match dir.join(file).exists() {
        true => write(file, text),
        false => Ok(()),
    };
    let Some(value) = value else { return Ok(()) };
    match (controller, place) {
        (Controller::Cpu, _) => Ok(()),
        (Controller::Memory, Place::Unified(_)) => {
            write("memory.max", value.to_string())?;
            write_if_there("memory.swap.max", "0".to_owned())
        }
        (Controller::Memory, Place::Split(_)) => {
            // The limit with swap may never be the lower one: raised first, lowered last.
            if write("memory.limit_in_bytes", value.to_string()).is_err() {
                write_if_there("memory.memsw.limit_in_bytes", value.to_string())?;
                write("memory.limit_in_bytes", value.to_string())?;
            }
            write_if_there("memory.memsw.limit_in_bytes", value.to_string())
        }
        (Controller::Pids, _) => write("pids.max", value.to_string()),
    }
}

/// Kills what is in a directory (and below) and removes it; again until the deadline.
pub fn clear(dir: &Path, deadline: Instant) -> Result<(), StepError> {
    loop {
        for child in fs::read_dir(dir).into_iter().flatten().flatten() {
            if child.file_type().is_ok_and(|t| t.is_dir()) {
                clear(&child.path(), deadline)?;
            }
        }
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).step(format!("remove cgroup {}", dir.display()));
            }
            Err(_) => kill_all(dir),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill_all(dir: &Path) {
    if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // Membership of our own cgroup is what proves that these are ours.
    for pid in text.lines().filter_map(|line| line.parse().ok()) {
        let _ = crate::sys::process::kill(pid, libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written for a value, and how the counters are read back, in a plain directory.
    fn check(place: Place, limits: [(Controller, u64); 3], files: &[(&str, &str)], name: &str) {
        let dir = std::env::temp_dir().join(format!("lace-cgroup-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for (file, _) in files {
            fs::write(dir.join(file), "").unwrap();
        }
        for (controller, value) in limits {
            limit(controller, &place, &dir, Some(value)).unwrap();
            limit(controller, &place, &dir, None).unwrap();
            if controller == Controller::Cpu {
                let quota = quota(&place, &dir, value).unwrap();
                fs::write(quota.file, quota.text).unwrap();
            }
        }
        for (file, expected) in files {
            assert_eq!(fs::read_to_string(dir.join(file)).unwrap(), *expected, "{file}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn limits_are_written_as_each_version_wants_them() {
        let limits = [(Controller::Cpu, 250), (Controller::Memory, 1 << 20), (Controller::Pids, 9)];
        let unified = [
            ("cpu.max", "25000 100000"),
            ("memory.max", "1048576"),
            ("memory.swap.max", "0"),
            ("pids.max", "9"),
        ];
        check(Place::Unified("/".into()), limits, &unified, "v2");
        let split = [
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "25000"),
            ("memory.limit_in_bytes", "1048576"),
            ("memory.memsw.limit_in_bytes", "1048576"),
            ("pids.max", "9"),
        ];
        check(Place::Split("/".into()), limits, &split, "v1");
        let least = [(Controller::Cpu, 1), (Controller::Memory, 4096), (Controller::Pids, 1)];
        check(Place::Unified("/".into()), least, &[("cpu.max", "1000 100000")], "least");
    }
}
