//! What this host is and can carry.

use lace_model::host::Capacity;
use lace_model::{ByteSize, CpuMillis};
use lace_wire::link::frame::HostFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Processors count so many times: most nodes idle most of the time, and each has its own limit.
const CPU_OVERCOMMIT: u32 = 4;
/// Nodes at most, unless the configuration says otherwise.
const SLOTS: u32 = 2_000;

/// The measured capacity.
pub fn capacity() -> Capacity {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    Capacity {
        cpu: CpuMillis(processors * 1000 * CPU_OVERCOMMIT),
        memory: ByteSize(memory_total() / 10 * 9),
        slots: SLOTS,
    }
}

fn memory_total() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The facts for join and session. Lists are written with commas.
pub fn gather(capacity: Capacity) -> HostFacts {
    let host = lace_release::HostFacts::detect();
    let list = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let mut attributes = BTreeMap::from([
        ("arch".to_owned(), host.arch.clone()),
        ("libraries".to_owned(), list(&host.libraries)),
        ("programs".to_owned(), list(&host.programs)),
        ("erts".to_owned(), list(&host.erts)),
        ("otp".to_owned(), list(&host.otp)),
    ]);
    let versions: BTreeSet<String> =
        host.versions.iter().map(|(word, has)| format!("{word}={has}")).collect();
    attributes.insert("versions".to_owned(), list(&versions));
    attributes.extend(host.glibc.map(|version| ("glibc".to_owned(), version)));
    if let Ok(kernel) = std::fs::read_to_string("/proc/sys/kernel/osrelease") {
        attributes.insert("kernel".to_owned(), kernel.trim().to_owned());
    }
    HostFacts { capacity, attributes, agent_version: env!("CARGO_PKG_VERSION").to_owned(), underlay: None }
}

/// Used share of the file system below `path`: thousandths of used/(used + available), as df counts.
pub fn disk_used_permille(path: &Path) -> u32 {
    let Ok(disk) = rustix::fs::statvfs(path) else { return 0 };
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let all = used + disk.f_bavail;
    (used * 1000).checked_div(all).unwrap_or(0) as u32
}
