//! Counters of a node, read from whatever hierarchy has them.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Cgroups, Controller, Place};

/// What a node uses. `None` where this host does not count it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time used so far, microseconds.
    pub cpu_usage_us: Option<u64>,
    /// Periods in which the CPU limit was hit.
    pub cpu_throttled: Option<u64>,
    /// Time spent waiting for the CPU limit, microseconds.
    pub cpu_throttled_us: Option<u64>,
    /// Memory in use, bytes, page cache included.
    pub memory_bytes: Option<u64>,
    /// Page cache that can be dropped, bytes.
    pub memory_cache_bytes: Option<u64>,
    /// The most memory in use so far, bytes.
    pub memory_bytes_peak: Option<u64>,
    /// The memory limit, bytes.
    pub memory_bytes_max: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Their limit.
    pub pids_max: Option<u64>,
}

/// v1 shows "no limit" as a number near 2^63.
const UNLIMITED: u64 = 1 << 62;

pub(super) fn read(cgroups: &Cgroups, id: &str) -> Stats {
    let mut stats = Stats::default();
    if let Some(unified) = &cgroups.layout.unified {
        let dir = unified.join(&cgroups.group).join(id);
        stats.cpu_usage_us = keyed(&dir, "cpu.stat", "usage_usec");
    }
    if let Some((place, dir)) = cgroups.dir(Controller::Cpu, id) {
        cpu(&mut stats, &place, &dir);
    }
    if let Some((place, dir)) = cgroups.dir(Controller::Memory, id) {
        memory(&mut stats, &place, &dir);
    }
    if let Some((_, dir)) = cgroups.dir(Controller::Pids, id) {
        stats.pids = number(&dir, "pids.current");
        stats.pids_max = number(&dir, "pids.max");
    }
    stats
}

fn cpu(stats: &mut Stats, place: &Place, dir: &Path) {
    stats.cpu_throttled = keyed(dir, "cpu.stat", "nr_throttled");
    stats.cpu_throttled_us = match place {
        Place::Unified(_) => keyed(dir, "cpu.stat", "throttled_usec"),
        Place::Split(_) => keyed(dir, "cpu.stat", "throttled_time").map(|ns| ns / 1000),
    };
    // Mounted together with cpu on most v1 hosts.
    let accounted = || number(dir, "cpuacct.usage").map(|ns| ns / 1000);
    stats.cpu_usage_us = stats.cpu_usage_us.or_else(accounted);
}

fn memory(stats: &mut Stats, place: &Place, dir: &Path) {
    let files = match place {
        Place::Unified(_) => ["memory.current", "memory.peak", "memory.max", "memory.events"],
        Place::Split(_) => [
            "memory.usage_in_bytes",
            "memory.max_usage_in_bytes",
            "memory.limit_in_bytes",
            "memory.oom_control",
        ],
    };
    stats.memory_bytes = number(dir, files[0]);
    stats.memory_bytes_peak = number(dir, files[1]);
    stats.memory_bytes_max = number(dir, files[2]).filter(|max| *max < UNLIMITED);
    stats.oom_kills = keyed(dir, files[3], "oom_kill");
    let key = match place {
        Place::Unified(_) => "inactive_file",
        Place::Split(_) => "total_inactive_file",
    };
    stats.memory_cache_bytes = keyed(dir, "memory.stat", key);
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
}

fn keyed(dir: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(dir.join(file)).ok()?;
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}
