//! Drives the engine with the real store and the real hosts.

use crate::documents::Delta;
use crate::heard::Heard;
use crate::step::Engine;
use lace_model::document::Topic;
use lace_model::host::{Liveness, Neighbour};
use lace_model::traffic::Flows;
use lace_model::{HostId, TaskId};
use lace_store::{Clock, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Everything is looked at again this often, though nothing called for it.
const PERIOD: Duration = Duration::from_secs(30);
/// What hosts said and waits is taken together, up to this many.
const HEARD_AT_ONCE: usize = 2_000;
/// A turn whose thoughts take this long is followed by a rest: with a large family each word of a host costs as much as
/// a hundred, which can be taken together.
const LONG_THOUGHT: Duration = Duration::from_millis(3);
/// The rest is so many times as long as the thought,
const REST_TIMES: u32 = 8;
/// and at most this long.
const REST_MAX: Duration = Duration::from_millis(100);
/// A commit that is refused because something changed meanwhile is decided anew, so often at once.
const TRIES: usize = 5;

/// The engine's way to the hosts; handed in by the composition.
pub trait Hosts: Send + Sync + 'static {
    /// How a host is now.
    fn liveness(&self, host: HostId) -> Liveness;
    /// Changes of its document; `complete` says that everything was said.
    fn publish(&self, host: HostId, delta: Delta, complete: bool);
    /// The outcomes of these tasks are stored: the host may forget them.
    fn acknowledge(&self, host: HostId, tasks: Vec<TaskId>);
    /// A host that was removed for good.
    fn forget(&self, host: HostId);
    /// The hosts of a network, for all of them.
    fn publish_neighbours(&self, neighbours: &Arc<Vec<Neighbour>>);
    /// What doors carried lately; families that scale by it are asked about each second.
    fn flows(&self) -> Flows;
    /// A topic, and who carries it.
    fn publish_topic(&self, topic: &Topic, carriers: &HashSet<HostId>);
}

/// Runs until `heard` is closed.
///
/// # Errors
/// What the store says, when it can no longer be written.
pub async fn run(
    store: Store,
    clock: Arc<dyn Clock>,
    hosts: Arc<dyn Hosts>,
    mut heard: mpsc::UnboundedReceiver<Heard>,
) -> Result<(), StoreError> {
    let mut engine = Engine::load(&store, clock.now_ms())?;
    let mut changed = store.watch();
    let mut said = Vec::new();
    loop {
        let thought =
            turn(&mut engine, &store, clock.as_ref(), hosts.as_ref(), std::mem::take(&mut said)).await?;
        if thought > LONG_THOUGHT {
            tokio::time::sleep((thought * REST_TIMES).min(REST_MAX)).await;
        }
        let nap = engine
            .wake_at()
            .map_or(PERIOD, |at| Duration::from_millis(at.saturating_sub(clock.now_ms()).max(1)).min(PERIOD));
        tokio::select! {
            n = heard.recv_many(&mut said, HEARD_AT_ONCE) => if n == 0 { return Ok(()) },
            Ok(()) = changed.changed() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}

/// Says how long it thought, waiting for the disk not included.
async fn turn(
    engine: &mut Engine,
    store: &Store,
    clock: &dyn Clock,
    hosts: &dyn Hosts,
    heard: Vec<Heard>,
) -> Result<Duration, StoreError> {
    let begun = Instant::now();
    let mut waited = Duration::ZERO;
    engine.refresh(store)?;
    if engine.scales() {
        engine.carried(hosts.flows());
    }
    for _ in 0..TRIES {
        let liveness: HashMap<_, _> = engine.hosts().map(|h| (h, hosts.liveness(h))).collect();
        let batch = engine.step(heard.clone(), liveness, clock.now_ms());
        if batch.is_empty() {
            break;
        }
        let asked = Instant::now();
        let committed = store.commit_async(batch).await;
        waited += asked.elapsed();
        match committed {
            Ok(committed) => {
                engine.wrote(&committed);
                engine.refresh(store)?;
                break;
            }
            Err(StoreError::Conflict { kind, key }) => {
                tracing::debug!(kind, key, "changed meanwhile: decided anew");
                engine.reload(store)?;
            }
            Err(other) => return Err(other),
        }
    }
    tell(engine, hosts);
    Ok(begun.elapsed().saturating_sub(waited))
}

fn tell(engine: &mut Engine, hosts: &dyn Hosts) {
    let mut told = engine.told();
    // Ways first: what comes to a host may talk from its first moment.
    told.neighbours.iter().for_each(|network| hosts.publish_neighbours(network));
    for (topic, carriers) in &told.topics {
        hosts.publish_topic(topic, carriers);
    }
    for host in engine.hosts() {
        let delta = told.documents.remove(&host).unwrap_or_default();
        hosts.publish(host, delta, true);
    }
    for (host, delta) in told.documents {
        hosts.publish(host, delta, true);
    }
    for (host, tasks) in told.acknowledged {
        hosts.acknowledge(host, tasks);
    }
    for host in told.forgotten {
        hosts.forget(host);
    }
}
