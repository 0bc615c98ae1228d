//! Records of the roles' processes: found again by pid and start time, never by name.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The binary that the roles are started from: the path of this one, as it was when first asked for. A newer binary that
/// was put in its place is what starts next, which is how an installation is upgraded. Where nothing is there any more
/// it is the one that runs here.
pub fn executable() -> PathBuf {
    static FIRST: OnceLock<Option<PathBuf>> = OnceLock::new();
    let first = FIRST.get_or_init(|| std::env::current_exe().ok().map(|path| without_mark(&path)));
    first.clone().filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// The kernel marks the path of a binary that was replaced (proc(5)).
fn without_mark(path: &Path) -> PathBuf {
    path.to_str()
        .and_then(|text| text.strip_suffix(" (deleted)"))
        .map_or_else(|| path.to_owned(), PathBuf::from)
}

/// A process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its pid.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat (clock ticks since boot): tells it from a later process with the same pid.
    pub started: u64,
}

/// Between the name of a role and the pid of a process that ends.
const LEAVING: &str = ".leaving-";

/// Reads when a process was started, if it is there and no zombie.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    (fields.next()? != "Z").then(|| fields.nth(18)?.parse().ok())?
}

impl Record {
    /// The record of a running process.
    pub fn of(pid: i32) -> Option<Self> {
        started(pid).map(|started| Self { pid, started })
    }

    /// Does it still run?
    pub fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    /// Writes it as `NAME.json` into the run directory, beside and moved: nobody reads half of it.
    pub fn write(&self, run: &Path, name: &str) -> io::Result<()> {
        fs::create_dir_all(run)?;
        let place = file(run, name);
        let beside = place.with_extension("new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(beside, place)
    }

    /// Reads it, if the process still runs.
    pub fn read(run: &Path, name: &str) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(file(run, name)).ok()?).ok()?;
        record.is_alive().then_some(record)
    }

    /// Writes it beside the others of its name that end what they have begun.
    pub fn write_leaving(&self, run: &Path, name: &str) -> io::Result<()> {
        // Records of those that have ended go.
        Self::leaving(run, name);
        let place = format!("{name}{LEAVING}{}", self.pid);
        match Self::read(run, name) {
            // Its record becomes that one: nobody takes it for the one that serves.
            Some(serves) if serves == *self => fs::rename(file(run, name), file(run, &place)),
            _ => self.write(run, &place),
        }
    }

    /// Processes of that name that end what they have begun.
    pub fn leaving(run: &Path, name: &str) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(run) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| {
            let found = entry.file_name().to_str()?.strip_suffix(".json")?.to_owned();
            found.strip_prefix(name)?.starts_with(LEAVING).then_some(found)
        });
        let alive = names.filter_map(|name| {
            let record = Self::read(run, &name);
            if record.is_none() {
                let _ = fs::remove_file(file(run, &name));
            }
            record
        });
        alive.collect()
    }

    /// Asks it to end, and kills it after `grace`.
    pub fn stop(&self, grace: Duration) {
        let Some(pid) = rustix::process::Pid::from_raw(self.pid) else { return };
        let Ok(handle) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
            return;
        };
        if !self.is_alive() {
            return;
        }
        let _ = rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::TERM);
        let until = Instant::now() + grace;
        while self.is_alive() && Instant::now() < until {
            wait_readable(&handle, Duration::from_millis(100));
        }
        if self.is_alive() {
            let _ = rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL);
            wait_readable(&handle, Duration::from_secs(5));
        }
    }
}

/// A pidfd becomes readable when its process ends.
fn wait_readable(fd: &impl std::os::fd::AsFd, within: Duration) {
    let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec {
        tv_sec: within.as_secs() as i64,
        tv_nsec: i64::from(within.subsec_nanos()),
    };
    let _ = rustix::event::poll(&mut fds, Some(&timeout));
}

fn file(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_end_are_found_beside_the_one_that_serves() {
        let run = tempfile::tempdir().unwrap();
        let own = Record::of(std::process::id() as i32).unwrap();
        own.write(run.path(), "net").unwrap();
        own.write_leaving(run.path(), "net").unwrap();
        assert_eq!(Record::read(run.path(), "net"), None, "it does not serve");
        own.write(run.path(), "net").unwrap();
        let gone = Record { pid: own.pid, started: own.started + 1 };
        gone.write(run.path(), "net.leaving-1").unwrap();
        assert_eq!(Record::leaving(run.path(), "net"), vec![own.clone()]);
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 2, "what ended has no record");
        assert_eq!(Record::leaving(run.path(), "agent"), vec![]);
        assert_eq!(Record::read(run.path(), "net"), Some(own));
    }

    #[test]
    fn a_replaced_binary_is_found_by_its_path() {
        let check = |path: &str, expected: &str| {
            assert_eq!(without_mark(Path::new(path)), Path::new(expected));
        };
        check("/usr/bin/lace", "/usr/bin/lace");
        check("/usr/bin/lace (deleted)", "/usr/bin/lace");
        assert!(executable().is_file());
    }
}
