//! Bounds that all processes of a tool have together, whatever it forks: a cgroup of its own.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::{self, Cgroups, Layout, Seats};
use crate::spec::Limits;
use crate::sys::step::StepError;

/// The one directory within the group: where the unified hierarchy has controllers, only leaves hold processes.
const LEAF: &str = "tool";
/// Processes that were killed leave a group within this time.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A cgroup for one tool. Dropped, all that is in it is killed, and it goes away.
#[derive(Debug)]
pub struct Group {
    cgroups: Cgroups,
    seats: Seats,
}

impl Group {
    /// A group `lace-NAME`, which nobody else has, with bounds for memory (bytes) and for processes and threads.
    ///
    /// # Errors
    /// The host has no cgroups, or they are not ours to make.
    pub fn make(name: &str, memory_bytes: u64, pids: u32) -> Result<Self, StepError> {
        let cgroups = Cgroups::open(name)?;
        let limits = Limits { memory_bytes: Some(memory_bytes), pids: Some(pids), ..Limits::default() };
        let seats = match cgroups.create(LEAF, &limits) {
            Ok(seats) => seats,
            Err(error) => {
                let _ = cgroups.close();
                return Err(error);
            }
        };
        Ok(Self { cgroups, seats })
    }

    /// Where a process puts itself to be in it.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.seats.unified.iter().chain(&self.seats.split).cloned().collect()
    }

    /// Bounds that this host does not enforce, in words.
    pub fn notes(&self) -> &[String] {
        &self.seats.notes
    }

    /// Was a process of it killed for want of memory?
    pub fn was_short(&self) -> bool {
        self.cgroups.stats(LEAF).oom_kills.is_some_and(|kills| kills > 0)
    }

    /// Removes the groups whose names begin so: their owner is gone.
    pub fn clear(prefix: &str) {
        let begins = format!("lace-{prefix}");
        let roots = Layout::detect().map(|layout| layout.hierarchies()).unwrap_or_default();
        let entries = roots.into_iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten().flatten();
        let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begins));
        for entry in left {
            if let Err(error) = cgroup::clear(&entry.path(), Instant::now() + GONE_WITHIN) {
                tracing::warn!(%error, "a cgroup of a tool could not be removed");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let cgroups = self.cgroups.clone();
        // What was killed takes a moment to be gone, and whoever drops us may not wait.
        thread::spawn(move || {
            if let Err(error) = cgroups.close() {
                tracing::warn!(%error, "a cgroup of a tool could not be removed");
            }
        });
    }
}
