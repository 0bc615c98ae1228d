//! Sessions of agents: who is there, what they say, what they are told.

use crate::document::Documents;
use crate::drain::Drains;
use crate::flow::Said;
use crate::liveness::UsageNow;
use crate::rights::Contents;
use crate::streams::Waiting;
use crate::usage::UsageHistory;
use crate::{FleetLink, Support};
use lace_model::document::{Entry, EntryBody, EntryId, TaskOutcome, Topic};
use lace_model::host::{Block, Liveness, Neighbour};
use lace_model::node::NodeStatus;
use lace_model::package::{FIGURES_MAX, Figure};
use lace_model::traffic::{Flows, Traffic};
use lace_model::vm::VmSample;
use lace_model::{AppName, Generation, HostId, Millis, NodeId, TaskId};
use lace_wire::DRAINS_SINCE;
use lace_wire::api::UsagePoint;
use lace_wire::link::frame::{HostFacts, JobReport, ToAgent, ToController};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// A host that was not heard for this long counts as away, though its connection may still be open.
pub const HEARD_WITHIN_MS: Millis = 4_000;
/// Agents beat at this interval.
pub const BEAT_MS: u64 = 1_000;
/// Frames that may wait for one agent; an agent that falls further behind loses its session and catches up afresh.
const FRAMES_WAITING: usize = 1_024;

/// What hosts say, for the engine.
#[derive(Debug)]
pub enum FleetEvent {
    /// A session began.
    Connected {
        /// Which host.
        host: HostId,
        /// Its facts.
        facts: HostFacts,
        /// Entries it holds.
        entries: Vec<(EntryId, Generation)>,
        /// All its nodes.
        nodes: Vec<NodeStatus>,
    },
    /// Something moved on.
    Report {
        /// Which host.
        host: HostId,
        /// Nodes.
        nodes: Vec<NodeStatus>,
        /// Jobs.
        jobs: Vec<JobReport>,
        /// Tasks.
        tasks: Vec<(TaskId, TaskOutcome)>,
    },
    /// A session ended, or the host was not heard for [`HEARD_WITHIN_MS`].
    Lost {
        /// Which host.
        host: HostId,
    },
}

struct Session {
    number: u64,
    /// Wire version of its agent.
    version: u32,
    to: mpsc::Sender<ToAgent>,
    /// Secrets that this session was given.
    secrets: HashSet<String>,
}

/// Numbers of a runtime that are older are not shown any more.
const VM_KEPT_MS: Millis = 60_000;
/// Figures are read every 15 s: after so long nobody knows them any more.
const FIGURES_KEPT_MS: Millis = 90_000;

#[derive(Default)]
pub(crate) struct HostState {
    session: Option<Session>,
    pub(crate) documents: Documents,
    liveness: Liveness,
    usage: HashMap<NodeId, UsageNow>,
    /// What Erlang runtimes said last, and when.
    vms: HashMap<NodeId, (VmSample, Millis)>,
    figures: HashMap<NodeId, (Arc<[Figure]>, Millis)>,
    used: HashMap<NodeId, UsageHistory>,
    /// What its door carried, as it said last.
    traffic: Said,
    /// The hosts of its network.
    neighbours: Option<Arc<Vec<Neighbour>>>,
    /// Entries that the host held when its session began, and nodes without one.
    held: Vec<(EntryId, Generation)>,
}

impl HostState {
    /// Is it there, and of this wire version at least?
    pub(crate) fn speaks(&self, version: u32) -> bool {
        self.session.as_ref().is_some_and(|session| session.version >= version)
    }

    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn last_heard(&self) -> Millis {
        self.liveness.last_seen
    }

    fn unknown(&self) -> Vec<(EntryId, Generation)> {
        if !self.documents.complete {
            return Vec::new();
        }
        self.held.iter().filter(|(id, _)| !self.documents.entries.contains_key(id)).copied().collect()
    }
}

pub(crate) struct Inner {
    hosts: Mutex<HashMap<HostId, HostState>>,
    pub(crate) waiting: Waiting,
    pub(crate) contents: Contents,
    pub(crate) drains: Drains,
    pub(crate) support: Arc<dyn Support>,
    /// When this controller began.
    pub(crate) begun: Millis,
    events: mpsc::UnboundedSender<FleetEvent>,
    sessions: AtomicU64,
    adopting: AtomicBool,
}

/// All hosts that are there. Cheap to clone.
#[derive(Clone)]
pub struct Fleet(pub(crate) Arc<Inner>);

impl Fleet {
    /// An empty fleet, and what its hosts will say.
    pub fn new(support: Arc<dyn Support>) -> (Self, mpsc::UnboundedReceiver<FleetEvent>) {
        let (events, said) = mpsc::unbounded_channel();
        let inner = Inner {
            hosts: Mutex::default(),
            waiting: Waiting::default(),
            contents: Contents::default(),
            drains: Drains::default(),
            begun: support.now(),
            support,
            events,
            sessions: AtomicU64::new(1),
            adopting: AtomicBool::new(false),
        };
        (Self(Arc::new(inner)), said)
    }

    /// The gRPC service for agents.
    pub fn link(&self) -> FleetLink {
        FleetLink(self.clone())
    }

    pub(crate) fn hosts(&self) -> MutexGuard<'_, HashMap<HostId, HostState>> {
        self.0.hosts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn emit(&self, event: FleetEvent) {
        let _ = self.0.events.send(event);
    }

    /// How a host is now.
    pub fn liveness(&self, host: HostId) -> Liveness {
        self.hosts().get(&host).map(|h| h.liveness).unwrap_or_default()
    }

    /// Every host that was heard of since the controller started, or that something was published for.
    pub fn all(&self) -> std::collections::BTreeMap<HostId, Liveness> {
        self.hosts().iter().map(|(host, state)| (*host, state.liveness)).collect()
    }

    /// Nodes that hosts hold and no document names: left over from before a restore, or strays.
    pub fn unknown(&self) -> Vec<(HostId, NodeId)> {
        let hosts = self.hosts();
        let of_host = |(host, state): (&HostId, &HostState)| {
            let nodes = state.unknown().into_iter().filter_map(|(id, _)| match id {
                EntryId::Node(node) => Some(node),
                _ => None,
            });
            nodes.map(|node| (*host, node)).collect::<Vec<_>>()
        };
        hosts.iter().flat_map(of_host).collect()
    }

    /// Adopt mode ended: hosts are told to remove what no document names.
    fn remove_unknown(&self) {
        for (host, state) in self.hosts().iter_mut() {
            let removes = state.unknown();
            if !removes.is_empty() {
                tracing::info!(%host, count = removes.len(), "what adopt mode kept is removed");
                self.tell(*host, state, vec![ToAgent::Document { upserts: Vec::new(), removes }]);
                state.held.clear();
            }
        }
    }

    /// What a node uses now.
    pub fn usage(&self, node: NodeId) -> Option<UsageNow> {
        self.hosts().values().find_map(|h| h.usage.get(&node).copied())
    }

    /// What a node's Erlang runtime said last of itself.
    pub fn vm(&self, node: NodeId) -> Option<VmSample> {
        self.hosts().values().find_map(|h| h.vms.get(&node).map(|(sample, _)| sample.clone()))
    }

    /// What a node of a package said last of itself, and when.
    pub fn figures(&self, node: NodeId) -> Option<(Arc<[Figure]>, Millis)> {
        self.hosts().values().find_map(|h| h.figures.get(&node).cloned())
    }

    /// What the doors of connected hosts carried.
    pub fn traffic(&self) -> Vec<(HostId, Arc<Traffic>)> {
        let hosts = self.hosts();
        let connected = hosts.iter().filter(|(_, state)| state.liveness.connected);
        connected.filter_map(|(host, state)| Some((*host, state.traffic.last()?))).collect()
    }

    /// What the doors of connected hosts carried lately, together.
    pub fn flows(&self) -> Flows {
        let hosts = self.hosts();
        crate::flow::together(
            hosts.values().filter(|state| state.liveness.connected).map(|state| &state.traffic),
        )
    }

    /// What a node used over the last hours, the oldest first.
    pub fn usage_history(&self, node: NodeId) -> Vec<UsagePoint> {
        self.hosts().values().find_map(|h| h.used.get(&node)).map(UsageHistory::points).unwrap_or_default()
    }

    /// The engine's changes of a host's document; `complete` once everything was said.
    pub fn publish(
        &self,
        host: HostId,
        upserts: Vec<Entry>,
        removes: Vec<(EntryId, Generation)>,
        complete: bool,
    ) {
        let mut hosts = self.hosts();
        let state = hosts.entry(host).or_default();
        state.documents.update(&upserts, &removes, self.0.support.now());
        // What was known and is removed now is no stranger.
        state.held.retain(|(id, _)| removes.iter().all(|(removed, _)| removed != id));
        if complete {
            state.documents.complete = true;
        }
        if state.documents.complete && !(upserts.is_empty() && removes.is_empty()) {
            self.tell(host, state, vec![ToAgent::Document { upserts, removes }]);
        }
    }

    /// An application's topic for the hosts that carry it; hosts that no longer do are told so.
    pub fn publish_topic(&self, topic: &Topic, carriers: &HashSet<HostId>) {
        let mut hosts = self.hosts();
        for host in carriers {
            hosts.entry(*host).or_default();
        }
        for (host, state) in hosts.iter_mut() {
            let frame = if carriers.contains(host) {
                state.documents.topics.insert(topic.app.clone(), topic.clone());
                ToAgent::Topic(topic.clone())
            } else if state.documents.topics.remove(&topic.app).is_some() {
                ToAgent::TopicGone(topic.app.clone())
            } else {
                continue;
            };
            self.tell(*host, state, vec![frame]);
        }
    }

    /// The hosts of a network, for all of them.
    pub fn publish_neighbours(&self, neighbours: &Arc<Vec<Neighbour>>) {
        let mut hosts = self.hosts();
        for neighbour in neighbours.iter() {
            let state = hosts.entry(neighbour.host).or_default();
            state.neighbours = Some(neighbours.clone());
            self.tell(neighbour.host, state, vec![ToAgent::Neighbours(neighbours.to_vec())]);
        }
    }

    /// Forgets a host that was removed for good.
    pub fn forget(&self, host: HostId) {
        let mut hosts = self.hosts();
        if let Some(state) = hosts.get_mut(&host) {
            self.tell(host, state, vec![ToAgent::Leave]);
        }
        hosts.remove(&host);
        drop(hosts);
        self.drains_nothing(host);
    }

    /// Task outcomes are stored: the agent may forget them.
    pub fn acknowledge(&self, host: HostId, tasks: Vec<TaskId>) {
        let mut hosts = self.hosts();
        if let Some(state) = hosts.get_mut(&host) {
            self.tell(host, state, vec![ToAgent::AckTasks(tasks)]);
        }
    }

    pub(crate) fn send(&self, host: HostId, frame: ToAgent) -> bool {
        let mut hosts = self.hosts();
        hosts.get_mut(&host).is_some_and(|state| self.tell(host, state, vec![frame]))
    }

    /// Sends frames, the secrets that they name first. A session that cannot take them ends; the agent comes again.
    fn tell(&self, host: HostId, state: &mut HostState, frames: Vec<ToAgent>) -> bool {
        let Some(session) = &mut state.session else {
            return false;
        };
        for frame in frames {
            let secrets = self.secrets_for(&frame, &mut session.secrets);
            let mut all = secrets.into_iter().chain([frame]);
            if all.any(|frame| session.to.try_send(frame).is_err()) {
                tracing::warn!(%host, "agent takes no more frames: its session ends");
                state.session = None;
                return false;
            }
        }
        true
    }

    fn secrets_for(&self, frame: &ToAgent, given: &mut HashSet<String>) -> Option<ToAgent> {
        let named = match frame {
            ToAgent::Document { upserts, .. } => upserts.iter().flat_map(secret_names).collect(),
            ToAgent::Topic(topic) => certificate_names(topic),
            _ => Vec::new(),
        };
        let mut values = Vec::new();
        for (app, name, version) in named {
            let key = format!("{app}/{name}@{version}");
            if given.contains(&key) {
                continue;
            }
            match self.0.support.secret(app.as_str(), &name, version) {
                Ok(value) => {
                    given.insert(key.clone());
                    values.push((key, value));
                }
                Err(problem) => tracing::warn!(%key, %problem, "secret not sent"),
            }
        }
        (!values.is_empty()).then_some(ToAgent::Secrets { values })
    }

    /// A session begins: its frames come out of the receiver. A former session of the host ends.
    pub fn connected(
        &self,
        host: HostId,
        blocks: Vec<Block>,
        hello: Hello,
    ) -> (u64, mpsc::Receiver<ToAgent>) {
        let knows_drains = hello.version >= DRAINS_SINCE;
        let (to, frames) = mpsc::channel(FRAMES_WAITING);
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        let adopt = self.0.support.adopting();
        // Noticed here too: the mode may end before the next look at it.
        self.0.adopting.fetch_or(adopt, Ordering::Relaxed);
        let mut hosts = self.hosts();
        let state = hosts.entry(host).or_default();
        state.liveness.connected = true;
        state.liveness.last_seen = self.0.support.now();
        state.held = hello.held();
        state.session = Some(Session { number, version: hello.version, to, secrets: HashSet::new() });
        let welcome = ToAgent::Welcome {
            version: lace_wire::WIRE_VERSION,
            host,
            epoch: self.0.support.epoch(),
            blocks,
            adopt,
            beat_ms: BEAT_MS,
        };
        let mut first = vec![welcome];
        first.extend(state.neighbours.iter().map(|list| ToAgent::Neighbours(list.to_vec())));
        first.extend(state.documents.catch_up(&hello.entries, &hello.topics, adopt));
        self.tell(host, state, first);
        self.drains_go_on(host);
        drop(hosts);
        self.drains_are_asked(host, knows_drains);
        let Hello { facts, entries, nodes, .. } = hello;
        self.emit(FleetEvent::Connected { host, facts, entries, nodes });
        (number, frames)
    }

    /// A frame of a session came.
    pub fn heard(&self, host: HostId, frame: ToController) {
        self.alive(host);
        match frame {
            ToController::Report { nodes, jobs, tasks } => {
                self.emit(FleetEvent::Report { host, nodes, jobs, tasks });
            }
            ToController::Beat { disk_used_permille, usage, vms, figures, traffic } => {
                self.beat(host, disk_used_permille, usage);
                self.carried(host, traffic.map(|traffic| *traffic));
                self.sampled(host, vms);
                self.figured(host, figures);
            }
            ToController::Vote { node, family, message } => {
                if let Some(message) = self.0.support.witness(host, (node, &family), message) {
                    self.send(host, ToAgent::Vote { node, message });
                }
            }
            ToController::Drain { node, app, within_ms } => self.drain(host, (node, app), within_ms),
            ToController::Drained { node } => self.drained(host, node),
            ToController::Refused { id, held } => {
                tracing::warn!(%host, ?id, %held, "agent holds a newer statement")
            }
            ToController::Hello { .. } => {}
        }
    }

    fn alive(&self, host: HostId) {
        if let Some(state) = self.hosts().get_mut(&host) {
            state.liveness.last_seen = self.0.support.now();
            state.liveness.connected = true;
        }
    }

    fn beat(&self, host: HostId, disk_used_permille: u32, usage: Vec<lace_wire::link::frame::NodeUsage>) {
        let now = self.0.support.now();
        if let Some(state) = self.hosts().get_mut(&host) {
            state.liveness.disk_used_permille = disk_used_permille;
            let former = std::mem::take(&mut state.usage);
            let next =
                |u: lace_wire::link::frame::NodeUsage| (u.node, UsageNow::next(former.get(&u.node), u, now));
            state.usage = usage.into_iter().map(next).collect();
            state.used.retain(|node, _| state.usage.contains_key(node));
            for (node, usage) in &state.usage {
                state.used.entry(*node).or_default().note(usage);
            }
        }
    }

    fn carried(&self, host: HostId, traffic: Option<Traffic>) {
        let now = self.0.support.now();
        if let (Some(traffic), Some(state)) = (traffic, self.hosts().get_mut(&host)) {
            state.traffic.note(now, traffic);
        }
    }

    /// Runtimes that say nothing for long are forgotten.
    fn sampled(&self, host: HostId, vms: Vec<(NodeId, VmSample)>) {
        let now = self.0.support.now();
        if let Some(state) = self.hosts().get_mut(&host) {
            state.vms.retain(|_, (_, at)| now.saturating_sub(*at) < VM_KEPT_MS);
            state.vms.extend(vms.into_iter().map(|(node, sample)| (node, (sample, now))));
        }
    }

    /// Nodes that say nothing for long are forgotten; of each no more is kept than an agent would tell.
    fn figured(&self, host: HostId, news: Vec<(NodeId, Vec<Figure>)>) {
        let now = self.0.support.now();
        if let Some(state) = self.hosts().get_mut(&host) {
            state.figures.retain(|_, (_, at)| now.saturating_sub(*at) < FIGURES_KEPT_MS);
            for (node, mut figures) in news {
                figures.truncate(FIGURES_MAX);
                state.figures.insert(node, (figures.into(), now));
            }
        }
    }

    /// A session ended. A newer session of the same host is not touched.
    pub fn lost(&self, host: HostId, number: u64) {
        let mut hosts = self.hosts();
        let Some(state) = hosts.get_mut(&host) else {
            return;
        };
        if state.session.as_ref().is_some_and(|s| s.number != number) {
            return;
        }
        state.session = None;
        state.liveness.connected = false;
        self.drains_wait(host, self.0.support.now());
        drop(hosts);
        self.emit(FleetEvent::Lost { host });
    }

    /// Hosts that were not heard for too long lose their session; the end of adopt mode is noticed. Called about once a
    /// second.
    pub fn check_silence(&self) {
        let adopting = self.0.support.adopting();
        if self.0.adopting.swap(adopting, Ordering::Relaxed) && !adopting {
            self.remove_unknown();
        }
        let now = self.0.support.now();
        let mut silent = Vec::new();
        for (host, state) in self.hosts().iter_mut() {
            if state.liveness.connected && now.saturating_sub(state.liveness.last_seen) > HEARD_WITHIN_MS {
                state.session = None;
                state.liveness.connected = false;
                self.drains_wait(*host, state.liveness.last_seen);
                silent.push(*host);
            }
        }
        for host in silent {
            self.emit(FleetEvent::Lost { host });
        }
        self.check_drains();
    }
}

/// The content of a hello frame.
pub struct Hello {
    /// Wire version.
    pub version: u32,
    /// Facts of the host.
    pub facts: HostFacts,
    /// Entries that it holds.
    pub entries: Vec<(EntryId, Generation)>,
    /// Topics that it holds.
    pub topics: Vec<(AppName, Generation)>,
    /// All of its nodes.
    pub nodes: Vec<NodeStatus>,
}

impl Hello {
    /// Entries, and nodes that have none.
    fn held(&self) -> Vec<(EntryId, Generation)> {
        let mut held: BTreeMap<EntryId, Generation> = self.entries.iter().copied().collect();
        for node in &self.nodes {
            held.entry(EntryId::Node(node.id)).or_insert(node.generation);
        }
        held.into_iter().collect()
    }
}

fn certificate_names(topic: &Topic) -> Vec<(AppName, String, u64)> {
    topic.certificates.iter().map(|c| (topic.app.clone(), c.secret.clone(), c.version)).collect()
}

fn secret_names(entry: &Entry) -> Vec<(AppName, String, u64)> {
    let (app, secrets) = match &entry.body {
        EntryBody::Node(node) => (&node.path.family.app, &node.spec.secrets),
        EntryBody::Job(job) => (&job.app, &job.spec.secrets),
        EntryBody::Task(task) => {
            let named = task.verb.secrets();
            return named.map(|of| (of.app.clone(), of.name.clone(), of.version)).collect();
        }
    };
    secrets.iter().map(|(name, version)| (app.clone(), name.clone(), *version)).collect()
}
