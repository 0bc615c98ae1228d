//! Who takes more of the disk than its limit, or nearly all processes that it may have: measured, told in the node's status, and
//! ended where it goes on filling the disk.
//!
//! A limit of the disk that the kernel keeps needs project quota, which few hosts have on; volumes have file systems of their own
//! instead. So a node is a hint over its limit, and over twice of it its process is ended each time that it has taken a
//! quarter more. What it wrote stays, for whoever wants to see what it was, until the node is replaced.

use crate::hands::{Hands, Kept};
use lace_machine::Stats;
use lace_model::{ByteSize, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds over all nodes.
const INTERVAL: Duration = Duration::from_secs(10);
/// After each node it rests so many times as long as looking took.
const REST: u32 = 9;
/// Over so many quarters of its limit of the disk a node's process is ended.
const DISK_QUARTERS_MAX: u64 = 8;

/// What a node takes beyond what is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    /// The limit of the disk, where it is over it.
    disk: Option<ByteSize>,
    /// Quarters of that limit that it has, where they are too many.
    quarters: Option<u64>,
    /// The limit of processes and threads, where it has three quarters of them or more.
    pids: Option<u64>,
}

/// What was measured of each node.
pub type Verdicts = Arc<BTreeMap<NodeId, Excess>>;

impl Excess {
    fn of(disk: ByteSize, used: u64, stats: &Stats) -> Self {
        let over = disk.0 > 0 && used > disk.0;
        let quarters = over.then(|| used / (disk.0 / 4).max(1)).filter(|n| *n > DISK_QUARTERS_MAX);
        let crowded = stats.pids.zip(stats.pids_max).filter(|(pids, max)| *max > 0 && pids * 4 >= max * 3);
        Self { disk: over.then_some(disk), quarters, pids: crowded.map(|(_, max)| max) }
    }

    /// In the words of a status.
    pub fn words(&self) -> Vec<String> {
        let disk = self.disk.map(|limit| format!("uses more than its disk limit of {limit}"));
        let pids = self.pids.map(|limit| format!("has nearly as many processes as its limit of {limit}"));
        disk.into_iter().chain(pids).collect()
    }

    /// Why its process is to be ended, where it took more since `before`; nothing where nobody measured before.
    pub fn ends(&self, before: Option<&Self>) -> Option<String> {
        let before = before?;
        let limit = self.disk.filter(|_| self.quarters > before.quarters)?;
        Some(format!("it uses far more than its disk limit of {limit}; lace replace gives it an empty disk"))
    }
}

/// Measures for ever.
pub fn keep(hands: Arc<Hands>) -> Kept {
    Kept(tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let verdicts = round(&hands).await;
            hands.excess.send_if_modified(|known| {
                let news = **known != verdicts;
                *known = Arc::new(verdicts);
                news
            });
        }
    }))
}

async fn round(hands: &Arc<Hands>) -> BTreeMap<NodeId, Excess> {
    let mut all = BTreeMap::new();
    for entry in hands.refresh.entries() {
        let limit = entry.spec.limits.disk;
        let began = tokio::time::Instant::now();
        let (machine, name) = (hands.machine.clone(), entry.id.to_string());
        let measured = tokio::task::spawn_blocking(move || {
            let used = if limit.0 > 0 { machine.disk_bytes(&name) } else { 0 };
            Excess::of(limit, used, &machine.stats(&name))
        });
        if let Ok(excess) = measured.await {
            all.insert(entry.id, excess);
        }
        tokio::time::sleep(began.elapsed() * REST).await;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_too_much_is_told_and_who_goes_on_is_ended() {
        let excess = |used: u64, pids: u64| {
            let stats = Stats { pids: Some(pids), pids_max: Some(64), ..Stats::default() };
            Excess::of(ByteSize(100), used, &stats)
        };
        assert_eq!(excess(100, 47), Excess::default());
        assert_eq!(excess(101, 47).words().len(), 1);
        assert_eq!(excess(101, 48).words().len(), 2);
        assert_eq!(excess(224, 0).ends(Some(&Excess::default())), None, "it is told");
        let far = excess(230, 0);
        assert!(far.ends(Some(&Excess::default())).is_some() && far.ends(Some(&excess(101, 0))).is_some());
        assert_eq!(far.ends(None), None, "it may have been so for long");
        assert_eq!(far.ends(Some(&far)), None, "once for what it took");
        assert!(excess(260, 0).ends(Some(&far)).is_some());
        assert_eq!(Excess::of(ByteSize(0), 999, &Stats::default()), Excess::default(), "no limit");
    }
}
