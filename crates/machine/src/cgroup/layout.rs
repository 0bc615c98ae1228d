//! Where this host has its cgroup controllers (cgroups(7)).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A controller that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// CPU bandwidth.
    Cpu,
    /// Memory.
    Memory,
    /// Number of tasks.
    Pids,
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        })
    }
}

/// The hierarchy that has a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// cgroup v2.
    Unified(PathBuf),
    /// A v1 mount.
    Split(PathBuf),
}

impl Place {
    /// Its mount point.
    pub fn path(&self) -> &Path {
        match self {
            Place::Unified(path) | Place::Split(path) => path,
        }
    }
}

/// The hierarchies of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The v2 mount, with or without controllers.
    pub unified: Option<PathBuf>,
    cpu: Option<Place>,
    memory: Option<Place>,
    pids: Option<Place>,
}

impl Layout {
    /// Reads the mounts of this process.
    pub fn detect() -> io::Result<Layout> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let unified = find_unified(&mounts);
        let file = unified.as_ref().map(|u| u.join("cgroup.controllers"));
        let available = file.and_then(|f| fs::read_to_string(f).ok()).unwrap_or_default();
        Ok(Layout::from_text(&mounts, &available))
    }

    /// From /proc/self/mountinfo and the unified hierarchy's `cgroup.controllers`.
    fn from_text(mounts: &str, available: &str) -> Layout {
        let unified = find_unified(mounts);
        let place = |controller: Controller| {
            let name = controller.to_string();
            let split = find_split(mounts, &name).map(Place::Split);
            let here = available.split_whitespace().any(|c| c == name);
            split.or_else(|| here.then(|| unified.clone().map(Place::Unified)).flatten())
        };
        Layout {
            cpu: place(Controller::Cpu),
            memory: place(Controller::Memory),
            pids: place(Controller::Pids),
            unified,
        }
    }

    /// Where a controller is.
    pub fn place(&self, controller: Controller) -> Option<&Place> {
        match controller {
            Controller::Cpu => self.cpu.as_ref(),
            Controller::Memory => self.memory.as_ref(),
            Controller::Pids => self.pids.as_ref(),
        }
    }

    /// The v1 mounts in use.
    pub fn split(&self) -> Vec<PathBuf> {
        let places = [&self.cpu, &self.memory, &self.pids];
        let mut paths: Vec<PathBuf> = places
            .into_iter()
            .flatten()
            .filter_map(|place| match place {
                Place::Split(path) => Some(path.clone()),
                Place::Unified(_) => None,
            })
            .collect();
        paths.dedup();
        paths
    }

    /// All mounts in use.
    pub fn hierarchies(&self) -> Vec<PathBuf> {
        self.split().into_iter().chain(self.unified.clone()).collect()
    }

    /// Hands our v2 controllers to the children of a directory. What is refused shows later as a
    /// limit that could not be written.
    pub fn delegate(&self, dir: &Path) {
        for controller in [Controller::Cpu, Controller::Memory, Controller::Pids] {
            if matches!(self.place(controller), Some(Place::Unified(_))) {
                let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
    }
}

/// (mount point, file system type, super options) of every line of mountinfo, proc(5).
fn lines(mounts: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let kind = right.next()?;
        Some((left.split(' ').nth(4)?, kind, right.nth(1)?))
    })
}

fn find_unified(mounts: &str) -> Option<PathBuf> {
    let mut found = lines(mounts).filter(|(_, kind, _)| *kind == "cgroup2");
    found.next().map(|(path, ..)| PathBuf::from(path))
}

fn find_split(mounts: &str, controller: &str) -> Option<PathBuf> {
    let has = |options: &str| options.split(',').any(|o| o == controller);
    let mut found = lines(mounts).filter(|(_, kind, options)| *kind == "cgroup" && has(options));
    found.next().map(|(path, ..)| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &str, available: &str, cpu: Option<Place>, hierarchies: &[&str]) {
        let layout = Layout::from_text(mounts, available);
        assert_eq!(layout.place(Controller::Cpu), cpu.as_ref());
        let expected: Vec<PathBuf> = hierarchies.iter().map(PathBuf::from).collect();
        assert_eq!(layout.hierarchies(), expected);
    }

    #[test]
    fn controllers_are_found_where_they_are() {
        let v2 = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let unified = Place::Unified("/sys/fs/cgroup".into());
        check(v2, "cpu memory pids", Some(unified), &["/sys/fs/cgroup"]);
        check(v2, "memory", None, &["/sys/fs/cgroup"]);
        let hybrid = "32 31 0:29 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /c/memory rw - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /c/unified rw - cgroup2 cgroup2 rw\n";
        let split = Place::Split("/c/cpu,cpuacct".into());
        check(hybrid, "hugetlb pids", Some(split), &["/c/cpu,cpuacct", "/c/memory", "/c/unified"]);
        check("", "", None, &[]);
    }
}
