//! The agent's lines to the runtimes of its nodes: one hidden connection each, as long as the process lives.
//!
//! The host may reach its nodes through their routed addresses. What a line carries: readiness, connecting of members,
//! calls, numbers. A line that cannot be made says why, and the release's own tools are the bridge meanwhile.

use super::ready::own_name;
use super::tls;
use crate::clock::Backoff;
use crate::hands::Hands;
use crate::node::Patient;
use crate::spec::Secrets;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use lace_beam::link::Settings;
use lace_beam::vm::alarm::Alarms;
use lace_beam::vm::{Ranker, Sampler};
use lace_beam::{Call, Identity, Link, Term};
use lace_model::NodeId;
use lace_model::beam::DISTRIBUTION_PORT;
use lace_model::document::NodeEntry;
use lace_model::node::NodeAlarm;
use lace_model::vm::{VmSample, VmTop};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Our name in every cluster: one atom in each runtime, for good.
const OUR_NAME: &str = "lace@agent.lace.internal";
/// Between two tries: a runtime that boots is met soon after it listens.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A runtime listens for TLS before it has loaded its cryptography, and logs an error for whoever comes too early.
const TLS_TRY_AGAIN: Duration = Duration::from_millis(250);
/// So long a runtime may take to listen before its line counts as broken.
const YOUNG: Duration = Duration::from_secs(10);
/// A TCP connection within the host.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at the numbers.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// For one look.
const SAMPLE_WITHIN: Duration = Duration::from_secs(5);
/// A runtime's own patience with a connection that is being made.
const MEET_WITHIN: Duration = Duration::from_secs(8);

/// A question about global names is waited for; its line ends it.
const SYNC_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// The one question about global names, for all who wait for its answer.
pub type Sharing = Shared<BoxFuture<'static, Result<(), String>>>;

/// The last look at a runtime's processes: when, how many were asked for, and what it found. Whoever looks holds it.
pub type Ranking = Arc<tokio::sync::Mutex<Option<(Instant, usize, VmTop)>>>;

/// How a line stands.
#[derive(Clone)]
pub enum Line {
    /// It can be used.
    Open(Link),
    /// The process is young: no line yet.
    Young,
    /// Why there is none.
    Broken(String),
}

/// Who learns of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All nodes of both: they become one cluster.
    Seen,
    /// Nobody: gateways between clusters.
    Hidden,
}

/// All lines of this host.
#[derive(Default)]
pub struct Lines(Mutex<HashMap<NodeId, Kept>>);

struct Kept {
    line: Line,
    since: Instant,
    /// Members that it is being connected to.
    meeting: Arc<Mutex<BTreeSet<String>>>,
    /// The question whether global names are shared, as long as it is not answered.
    sync: Option<Sharing>,
    ranker: Option<Ranker>,
    ranking: Ranking,
    sample: Option<VmSample>,
    is_news: bool,
    levels: Alarms,
    alarms: Vec<NodeAlarm>,
}

impl Kept {
    fn new() -> Self {
        Self {
            line: Line::Young,
            since: Instant::now(),
            meeting: Arc::default(),
            sync: None,
            ranker: None,
            ranking: Ranking::default(),
            sample: None,
            is_news: false,
            levels: Alarms::default(),
            alarms: Vec::new(),
        }
    }
}

/// Keeps a line in the table; until dropped. The task of a former process may end after that of the next one began: it
/// takes away nothing but its own.
struct Seat<'a> {
    lines: &'a Lines,
    id: NodeId,
    meeting: Arc<Mutex<BTreeSet<String>>>,
}

impl<'a> Seat<'a> {
    fn take(lines: &'a Lines, id: NodeId) -> Self {
        let kept = Kept::new();
        let meeting = kept.meeting.clone();
        lines.table().insert(id, kept);
        Self { lines, id, meeting }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut table = self.lines.table();
        if table.get(&self.id).is_some_and(|kept| Arc::ptr_eq(&kept.meeting, &self.meeting)) {
            table.remove(&self.id);
        }
    }
}

impl Lines {
    fn table(&self) -> MutexGuard<'_, HashMap<NodeId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the line to a node stands. A node without a running process has none.
    pub fn line(&self, id: NodeId) -> Line {
        let table = self.table();
        table.get(&id).map_or_else(|| Line::Broken("its process does not run".to_owned()), |k| k.line.clone())
    }

    /// The newest numbers of a node, and what it is near the limits of.
    pub fn numbers(&self, id: NodeId) -> (Option<VmSample>, Vec<NodeAlarm>) {
        let table = self.table();
        let Some(kept) = table.get(&id) else { return (None, Vec::new()) };
        (kept.sample.clone(), kept.alarms.clone())
    }

    /// Samples that were not taken from here yet.
    pub fn take_news(&self) -> Vec<(NodeId, VmSample)> {
        let mut table = self.table();
        let news = table.iter_mut().filter_map(|(id, kept)| {
            let is_news = std::mem::take(&mut kept.is_news);
            kept.sample.clone().filter(|_| is_news).map(|sample| (*id, sample))
        });
        news.collect()
    }

    /// All samples are news again: for a new session.
    pub fn renew(&self) {
        self.table().values_mut().for_each(|kept| kept.is_news = kept.sample.is_some());
    }

    /// The script that ranks processes, made at its first use.
    pub async fn ranker(&self, id: NodeId, link: &Link) -> Result<Ranker, lace_beam::CallError> {
        let known = self.table().get(&id).and_then(|kept| kept.ranker.clone());
        if let Some(ranker) = known {
            return Ok(ranker);
        }
        let ranker = Ranker::prepare(link).await?;
        if let Some(kept) = self.table().get_mut(&id) {
            kept.ranker = Some(ranker.clone());
        }
        Ok(ranker)
    }

    /// The last look at its processes.
    pub fn ranking(&self, id: NodeId) -> Ranking {
        self.table().get(&id).map(|kept| kept.ranking.clone()).unwrap_or_default()
    }

    /// Has the node connect to another one, beside everything else; never twice at a time.
    pub fn connect(&self, id: NodeId, other: &str, sight: Sight) {
        let table = self.table();
        let Some(Kept { line: Line::Open(link), meeting, .. }) = table.get(&id) else { return };
        let (link, meeting, other) = (link.clone(), meeting.clone(), other.to_owned());
        if !lock(&meeting).insert(other.clone()) {
            return;
        }
        tokio::spawn(async move {
            let function = match sight {
                Sight::Seen => "connect_node",
                Sight::Hidden => "hidden_connect_node",
            };
            let meet = Call::new("net_kernel", function, vec![Term::atom(&other)]);
            let met = link.call(meet.within(MEET_WITHIN)).await;
            tracing::debug!(node = link.peer().node.as_str(), other, ?met, "connected");
            lock(&meeting).remove(&other);
        });
    }

    /// Asks whether the node shares the global names of the others. A question that nobody waits for any more stays with a
    /// runtime until names are shared, so all who ask wait for one; it ends with the line.
    pub fn sync(&self, id: NodeId) -> Option<Sharing> {
        let mut table = self.table();
        let kept = table.get_mut(&id)?;
        if let Some(asked) = kept.sync.as_ref().filter(|asked| asked.peek().is_none()) {
            return Some(asked.clone());
        }
        let Line::Open(link) = kept.line.clone() else { return None };
        let asked = async move {
            let sync = Call::new("global", "sync", Vec::new()).within(SYNC_WITHIN);
            link.call(sync).await.map(drop).map_err(|error| error.to_string())
        };
        let asked = asked.boxed().shared();
        tokio::spawn(asked.clone());
        kept.sync = Some(asked.clone());
        Some(asked)
    }

    fn set(&self, id: NodeId, line: Line) {
        if let Some(kept) = self.table().get_mut(&id) {
            kept.line = line;
        }
    }

    /// A failure; while the process is young it is expected.
    fn failed(&self, id: NodeId, why: String) {
        if let Some(kept) = self.table().get_mut(&id)
            && (kept.since.elapsed() > YOUNG || !matches!(kept.line, Line::Young))
        {
            kept.line = Line::Broken(why);
        }
    }

    /// All alarms, where one changed.
    fn sampled(&self, id: NodeId, sample: VmSample, memory_limit: u64) -> Option<Vec<NodeAlarm>> {
        let mut table = self.table();
        let kept = table.get_mut(&id)?;
        let changes = kept.levels.look(&sample, memory_limit);
        (kept.sample, kept.is_news) = (Some(sample), true);
        if changes.is_empty() {
            return None;
        }
        super::over::changed(&mut kept.alarms, changes);
        Some(kept.alarms.clone())
    }
}

fn lock(names: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the line to a node's runtime, as long as it is polled.
pub async fn keep(patient: Patient) {
    let (hands, entry) = (patient.hands.clone(), patient.entry.clone());
    let id = entry.id;
    let seat = Seat::take(&hands.lines, id);
    let is_tls = entry.spec.beam.as_ref().is_some_and(|beam| beam.tls);
    let mut backoff = Backoff::new(if is_tls { TLS_TRY_AGAIN } else { TRY_AGAIN.0 }, TRY_AGAIN.1);
    let mut said = String::new();
    loop {
        let why = match open(&hands, &entry).await {
            Ok(link) => {
                backoff.reset();
                said.clear();
                hands.lines.set(id, Line::Open(link.clone()));
                tokio::select! {
                    why = link.closed() => why.to_string(),
                    () = look(&patient, &link) => String::new(),
                }
            }
            Err(why) => why,
        };
        if why != said {
            tracing::debug!(node = %seat.id, why, "no line to its runtime");
            said.clone_from(&why);
        }
        hands.lines.failed(id, why);
        tokio::time::sleep(backoff.wait()).await;
    }
}

async fn open(hands: &Hands, entry: &NodeEntry) -> Result<Link, String> {
    let (Some(name), Some(beam)) = (own_name(entry), &entry.spec.beam) else {
        return Err("no node of a cluster".to_owned());
    };
    let secrets = Secrets::find(&hands.held, &entry.path.family.app, &entry.spec)?;
    let cookie = secrets.cookie(entry.mesh).ok_or("its cluster has no cookie")?;
    let me = Identity { node: OUR_NAME.to_owned(), cookie };
    let address = (entry.address, DISTRIBUTION_PORT);
    let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| "its distribution port does not answer".to_owned())?;
    let stream = stream.map_err(|e| format!("its distribution port: {e}"))?;
    let tick_time = Duration::from_secs(u64::from(beam.net_ticktime.max(4)));
    let settings = Settings { tick_time, ..Settings::default() };
    let credentials = tls::credentials(&secrets, beam, OUR_NAME)?;
    tls::link(stream, credentials, &me, &name, settings).await
}

/// Looks at the numbers again and again. A runtime that does not answer is looked at again later.
async fn look(patient: &Patient, link: &Link) {
    let entry = &patient.entry;
    let mut sampler = None;
    loop {
        tokio::time::sleep(if sampler.is_some() { SAMPLE_EVERY } else { Duration::from_secs(1) }).await;
        if sampler.is_none() {
            sampler = Sampler::prepare(link).await.ok();
        }
        let Some(ready) = &sampler else { continue };
        match ready.sample(link, SAMPLE_WITHIN).await {
            Ok(sample) => {
                let memory_limit = entry.spec.limits.memory.0;
                if let Some(alarms) = patient.hands.lines.sampled(entry.id, sample, memory_limit) {
                    patient.alarms(alarms).await;
                }
            }
            Err(error) => tracing::debug!(node = %entry.id, %error, "no numbers of its runtime"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_former_process_takes_away_its_own_alone() {
        let (lines, id) = (Lines::default(), NodeId::derive(&[1; 32], "node"));
        let is_there = || matches!(lines.line(id), Line::Young);
        let former = Seat::take(&lines, id);
        let next = Seat::take(&lines, id);
        drop(former);
        assert!(is_there());
        drop(next);
        assert!(!is_there());
    }
}
