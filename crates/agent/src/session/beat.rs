//! Signs of life, with what the nodes use.

use super::hold::send;
use crate::facts::disk_used_permille;
use crate::hands::{Hands, Kept};
use lace_machine::Stats;
use lace_model::NodeId;
use lace_model::document::EntryId;
use lace_wire::link::frame::{NodeUsage, ToController};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Nodes whose counters are read for one beat: each costs some file reads, and the others' last numbers will do.
const READ_PER_BEAT: usize = 200;

/// The beats of one session.
pub struct Pulse {
    _task: Kept,
}

impl Pulse {
    /// Beats until dropped.
    pub fn begin(hands: Arc<Hands>, to: mpsc::Sender<ToController>, disk: PathBuf, beat_ms: u64) -> Self {
        Self { _task: Kept(tokio::spawn(beats(hands, to, disk, beat_ms.clamp(10, 60_000)))) }
    }
}

async fn beats(hands: Arc<Hands>, to: mpsc::Sender<ToController>, disk: PathBuf, beat_ms: u64) {
    let mut interval = tokio::time::interval(Duration::from_millis(beat_ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut known: HashMap<NodeId, NodeUsage> = HashMap::new();
    // A new session knows none of them.
    hands.lines.renew();
    let mut turn = 0;
    loop {
        interval.tick().await;
        let mut nodes = nodes(&hands);
        nodes.sort();
        known.retain(|id, _| nodes.binary_search(id).is_ok());
        turn = if turn >= nodes.len() { 0 } else { turn };
        let some: Vec<_> =
            nodes.iter().cycle().skip(turn).take(nodes.len().min(READ_PER_BEAT)).copied().collect();
        turn += some.len();
        let (machine, disk) = (hands.machine.clone(), disk.clone());
        let read = tokio::task::spawn_blocking(move || {
            let usage: Vec<_> =
                some.into_iter().map(|id| usage(id, &machine.stats(&id.to_string()))).collect();
            (usage, disk_used_permille(&disk))
        });
        let Ok((usage, disk_used_permille)) = read.await else { return };
        known.extend(usage.into_iter().map(|usage| (usage.node, usage)));
        let (usage, vms) = (known.values().copied().collect(), hands.lines.take_news());
        let traffic = hands.traffic.send_replace(None);
        let (figures, traffic) = (hands.figures.take_news(), traffic.map(Box::new));
        let beat = ToController::Beat { disk_used_permille, usage, vms, figures, traffic };
        if send(&to, beat).await.is_err() {
            return;
        }
    }
}

fn nodes(hands: &Hands) -> Vec<NodeId> {
    hands.held.read(|state| {
        let node = |id: &EntryId| match id {
            EntryId::Node(id) => Some(*id),
            EntryId::Job(id) => Some(NodeId(id.0)),
            EntryId::Task(_) => None,
        };
        state.entries.keys().filter_map(node).collect()
    })
}

fn usage(node: NodeId, stats: &Stats) -> NodeUsage {
    let cache = stats.memory_cache_bytes.unwrap_or(0);
    NodeUsage {
        node,
        cpu_us: stats.cpu_usage_us.unwrap_or(0),
        memory: stats.memory_bytes.unwrap_or(0).saturating_sub(cache),
        pids: stats.pids.unwrap_or(0) as u32,
        oom_kills: stats.oom_kills.unwrap_or(0) as u32,
        throttled: stats.cpu_throttled.unwrap_or(0),
    }
}
