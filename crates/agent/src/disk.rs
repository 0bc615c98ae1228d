//! Who takes more of the disk than its limit: measured, and told in the node's status.
//!
//! Enforcing it needs project quota, which few hosts have on; volumes have file systems of their own instead.

use crate::hands::{Hands, Kept};
use lace_model::{ByteSize, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds over all nodes.
const INTERVAL: Duration = Duration::from_secs(10);
/// After each node it rests so many times as long as looking took.
const REST: u32 = 9;

/// The limits of those that are over them.
pub type Verdicts = Arc<BTreeMap<NodeId, ByteSize>>;

/// Measures for ever.
pub fn keep(hands: Arc<Hands>) -> Kept {
    Kept(tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let verdicts = round(&hands).await;
            hands.disk.send_if_modified(|known| {
                let news = **known != verdicts;
                *known = Arc::new(verdicts);
                news
            });
        }
    }))
}

async fn round(hands: &Arc<Hands>) -> BTreeMap<NodeId, ByteSize> {
    let mut over = BTreeMap::new();
    for entry in hands.refresh.entries() {
        let limit = entry.spec.limits.disk;
        if limit.0 == 0 {
            continue;
        }
        let began = tokio::time::Instant::now();
        let (machine, name) = (hands.machine.clone(), entry.id.to_string());
        let used = tokio::task::spawn_blocking(move || machine.disk_bytes(&name)).await;
        if used.is_ok_and(|used| used > limit.0) {
            over.insert(entry.id, limit);
        }
        tokio::time::sleep(began.elapsed() * REST).await;
    }
    over
}

/// In the words of a status.
pub fn words(limit: ByteSize) -> String {
    format!("uses more than its disk limit of {limit}")
}
