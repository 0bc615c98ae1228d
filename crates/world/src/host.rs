//! A host of the world: it does what its document says, as an agent with its PID 1s does, and forgets nothing that an agent
//! writes down. It may die, as a whole or its agent alone.

use crate::people::BAD;
use lace_fleet::Hello;
use lace_model::document::{Entry, EntryBody, EntryId, NodeEntry, Task, TaskOutcome, Verb};
use lace_model::host::Capacity;
use lace_model::job::Job as JobEntry;
use lace_model::node::{Exit, NodePhase, NodeStatus};
use lace_model::target::Want;
use lace_model::{AppName, Generation, HostId, JobId, Millis, NodeId, TaskId};
use lace_wire::link::frame::{HostFacts, JobEnd, JobReport, ToAgent, ToController};
use std::collections::BTreeMap;

/// A wait before a process is begun again, doubled each time up to the second.
const BACKOFF_MS: (Millis, Millis) = (500, 10_000);

/// What comes to pass on a host by itself, later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A node is laid out: its process begins.
    Starts(NodeId, u64),
    /// Its check answers well.
    Ready(NodeId, u64),
    /// It ends at once, as bad ones do.
    Ends(NodeId, u64),
    /// It has been stopped.
    Stopped(NodeId, u64),
    /// A job ends.
    JobEnds(JobId),
    /// A task is done.
    TaskDone(TaskId),
}

/// A node on its host.
pub struct Node {
    /// What it is told.
    pub entry: NodeEntry,
    generation: Generation,
    phase: NodePhase,
    ready: bool,
    since: Millis,
    started_at: Option<Millis>,
    restarts: u32,
    exit: Option<Exit>,
    /// Counts whatever makes timers of before void.
    turn: u64,
}

impl Node {
    /// Is there anything of it that runs?
    pub fn is_alive(&self) -> bool {
        matches!(self.phase, NodePhase::Starting | NodePhase::Running | NodePhase::Stopping)
    }

    /// May it be there at all, as far as its host knows?
    pub fn shall_run(&self) -> bool {
        self.entry.want == Want::Run
    }

    fn is_bad(&self) -> bool {
        self.entry.spec.start.iter().any(|word| word == BAD)
    }
}

struct Job {
    entry: JobEntry,
    started_at: Millis,
    end: Option<JobEnd>,
}

/// The host.
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// What it can carry.
    pub capacity: Capacity,
    /// It runs, and its agent does.
    pub up: (bool, bool),
    /// Its disk is nearly full.
    pub full: bool,
    entries: BTreeMap<EntryId, Generation>,
    topics: BTreeMap<AppName, Generation>,
    /// Its nodes.
    pub nodes: BTreeMap<NodeId, Node>,
    jobs: BTreeMap<JobId, Job>,
    tasks: BTreeMap<TaskId, (Task, Option<TaskOutcome>)>,
    epoch: u64,
    /// What is to come, with the time that it takes.
    pub timers: Vec<(Millis, Timer)>,
    /// What is to be said.
    pub says: Vec<ToController>,
    /// Statements that it refused for being older than what it has.
    pub refused: u32,
}

impl Host {
    /// An empty one.
    pub fn new(id: HostId, capacity: Capacity) -> Self {
        Self {
            id,
            capacity,
            up: (true, true),
            full: false,
            entries: BTreeMap::new(),
            topics: BTreeMap::new(),
            nodes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            epoch: 0,
            timers: Vec::new(),
            says: Vec::new(),
            refused: 0,
        }
    }

    /// Its first words.
    pub fn hello(&self) -> Hello {
        let facts = HostFacts {
            capacity: self.capacity.clone(),
            attributes: BTreeMap::new(),
            agent_version: "simulated".into(),
            underlay: None,
        };
        Hello {
            version: lace_wire::WIRE_VERSION,
            facts,
            entries: self.entries.iter().map(|(id, generation)| (*id, *generation)).collect(),
            topics: self.topics.iter().map(|(app, generation)| (app.clone(), *generation)).collect(),
            nodes: self.nodes.values().map(|node| self.status(node)).collect(),
        }
    }

    /// What an agent says again after its first words: ended jobs and tasks, until they are acknowledged.
    pub fn says_again(&mut self) {
        let jobs = self.jobs.values().filter(|job| job.end.is_some()).map(Job::report).collect::<Vec<_>>();
        let ended = self.tasks.iter().filter_map(|(id, (_, outcome))| Some((*id, outcome.clone()?)));
        let tasks = ended.collect::<Vec<_>>();
        if !(jobs.is_empty() && tasks.is_empty()) {
            self.says.push(ToController::Report { nodes: Vec::new(), jobs, tasks });
        }
    }

    fn status(&self, node: &Node) -> NodeStatus {
        NodeStatus {
            id: node.entry.id,
            path: node.entry.path.clone(),
            revision: node.entry.revision,
            host: self.id,
            address: node.entry.address,
            generation: node.generation,
            phase: node.phase,
            ready: node.ready,
            since: node.since,
            started_at: node.started_at,
            restarts: node.restarts,
            exit: node.exit.clone(),
            detail: None,
            alarms: Vec::new(),
            votes_seen: None,
            holds: false,
            joined: false,
        }
    }

    /// A frame of the controller. False: it is of an older epoch, or sends the host away.
    pub fn hear(&mut self, frame: ToAgent, now: Millis) -> bool {
        match frame {
            ToAgent::Welcome { epoch, .. } if epoch < self.epoch => return false,
            ToAgent::Welcome { epoch, .. } => self.epoch = epoch,
            ToAgent::Document { upserts, removes } => self.document(upserts, removes, now),
            ToAgent::Topic(topic) => drop(self.topics.insert(topic.app.clone(), topic.generation)),
            ToAgent::TopicGone(app) => drop(self.topics.remove(&app)),
            ToAgent::AckTasks(ids) => ids.iter().for_each(|id| drop(self.tasks.remove(id))),
            ToAgent::Drain { node, .. } => self.says.push(ToController::Drained { node }),
            ToAgent::Leave => return false,
            _ => {}
        }
        true
    }

    fn document(&mut self, upserts: Vec<Entry>, removes: Vec<(EntryId, Generation)>, now: Millis) {
        for entry in upserts {
            match self.entries.get(&entry.id).copied() {
                Some(held) if held > entry.generation => {
                    self.refused += 1;
                    self.says.push(ToController::Refused { id: entry.id, held });
                }
                Some(held) if held == entry.generation => {}
                _ => {
                    self.entries.insert(entry.id, entry.generation);
                    self.take(entry, now);
                }
            }
        }
        for (id, generation) in removes {
            match self.entries.get(&id).copied() {
                Some(held) if held > generation => {
                    self.refused += 1;
                    self.says.push(ToController::Refused { id, held });
                }
                _ => self.remove(id, now),
            }
        }
    }

    fn take(&mut self, entry: Entry, now: Millis) {
        match entry.body {
            EntryBody::Node(node) => self.take_node(*node, entry.generation, now),
            EntryBody::Job(job) if !self.jobs.contains_key(&job.id) => {
                let id = job.id;
                self.jobs.insert(id, Job { entry: *job, started_at: now, end: None });
                self.timers.push((800, Timer::JobEnds(id)));
            }
            EntryBody::Job(_) => {}
            EntryBody::Task(task) => {
                let id = task.id;
                let known = self.tasks.entry(id).or_insert((task, None)).1.clone();
                match known {
                    Some(outcome) => self.report(None, None, Some((id, outcome))),
                    None => self.timers.push((150, Timer::TaskDone(id))),
                }
            }
        }
    }

    fn take_node(&mut self, entry: NodeEntry, generation: Generation, now: Millis) {
        let id = entry.id;
        match self.nodes.get_mut(&id) {
            Some(node) => {
                (node.entry, node.generation) = (entry, generation);
                if !node.shall_run() {
                    self.stop(id, now);
                } else if matches!(node.phase, NodePhase::Stopping | NodePhase::Gone) {
                    node.phase = NodePhase::Preparing;
                    self.lay_out(id);
                }
            }
            None => {
                let phase = if entry.want == Want::Run { NodePhase::Preparing } else { NodePhase::Gone };
                let node = Node {
                    entry,
                    generation,
                    phase,
                    ready: false,
                    since: now,
                    started_at: None,
                    restarts: 0,
                    exit: None,
                    turn: 0,
                };
                let begins = node.shall_run();
                self.nodes.insert(id, node);
                if begins {
                    self.lay_out(id);
                }
            }
        }
        self.report(Some(id), None, None);
    }

    fn lay_out(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.turn += 1;
        self.timers.push((300, Timer::Starts(id, node.turn)));
    }

    fn stop(&mut self, id: NodeId, now: Millis) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        (node.ready, node.since) = (false, now);
        node.turn += 1;
        if node.is_alive() {
            node.phase = NodePhase::Stopping;
            self.timers.push((400, Timer::Stopped(id, node.turn)));
        } else {
            node.phase = NodePhase::Gone;
        }
    }

    fn remove(&mut self, id: EntryId, now: Millis) {
        self.entries.remove(&id);
        match id {
            EntryId::Node(id) => {
                if let Some(mut node) = self.nodes.remove(&id) {
                    (node.phase, node.ready, node.since) = (NodePhase::Gone, false, now);
                    let status = self.status(&node);
                    self.says.push(ToController::Report {
                        nodes: vec![status],
                        jobs: Vec::new(),
                        tasks: Vec::new(),
                    });
                }
            }
            EntryId::Job(id) => drop(self.jobs.remove(&id)),
            EntryId::Task(id) => drop(self.tasks.remove(&id)),
        }
    }

    fn report(&mut self, node: Option<NodeId>, job: Option<JobId>, task: Option<(TaskId, TaskOutcome)>) {
        let nodes: Vec<_> =
            node.and_then(|id| self.nodes.get(&id)).map(|node| self.status(node)).into_iter().collect();
        let jobs: Vec<_> = job.and_then(|id| self.jobs.get(&id)).map(Job::report).into_iter().collect();
        self.says.push(ToController::Report { nodes, jobs, tasks: task.into_iter().collect() });
    }
}

impl Job {
    fn report(&self) -> JobReport {
        JobReport { job: self.entry.id, started_at: Some(self.started_at), ended: self.end.clone() }
    }
}

impl Host {
    /// A timer is due; one of a dead host or a former turn is void.
    pub fn due(&mut self, timer: Timer, now: Millis) {
        if !self.up.0 {
            return;
        }
        match timer {
            Timer::Starts(id, turn) => self.starts(id, turn, now),
            Timer::Ready(id, turn) => {
                if let Some(node) = self.at(id, turn).filter(|node| node.phase == NodePhase::Running) {
                    (node.ready, node.since) = (true, now);
                    self.report(Some(id), None, None);
                }
            }
            Timer::Ends(id, turn) if self.at(id, turn).is_some() => self.ends(id, now),
            Timer::Ends(..) => {}
            Timer::Stopped(id, turn) => {
                if let Some(node) = self.at(id, turn).filter(|node| node.phase == NodePhase::Stopping) {
                    (node.phase, node.since) = (NodePhase::Gone, now);
                    self.report(Some(id), None, None);
                }
            }
            Timer::JobEnds(id) => self.job_ends(id, now),
            Timer::TaskDone(id) => self.task_done(id, now),
        }
    }

    fn at(&mut self, id: NodeId, turn: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&id).filter(|node| node.turn == turn)
    }

    /// A successor waits until whoever has its place has left, as agents have it (`node/claim.rs`).
    fn is_taken(&self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get(&id) else { return false };
        let same = |other: &&Node| {
            let (mine, other) = (&node.entry, &other.entry);
            other.id != id && (other.path == mine.path || other.address == mine.address)
        };
        self.nodes.values().filter(same).any(Node::is_alive)
    }

    fn starts(&mut self, id: NodeId, turn: u64, now: Millis) {
        if self.is_taken(id) && self.at(id, turn).is_some() {
            return self.timers.push((100, Timer::Starts(id, turn)));
        }
        let Some(node) = self.at(id, turn).filter(|node| node.shall_run()) else { return };
        (node.phase, node.ready, node.since, node.started_at) = (NodePhase::Running, false, now, Some(now));
        let next = if node.is_bad() { (100, Timer::Ends(id, turn)) } else { (500, Timer::Ready(id, turn)) };
        self.timers.push(next);
        self.report(Some(id), None, None);
    }

    /// A process ends by itself, and is begun again after a while.
    pub fn ends(&mut self, id: NodeId, now: Millis) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.phase == NodePhase::Running) else {
            return;
        };
        (node.phase, node.ready, node.since) = (NodePhase::Backoff, false, now);
        node.restarts += 1;
        node.exit = Some(Exit {
            code: Some(1),
            signal: None,
            oom: false,
            at: now,
            cause: None,
            last_lines: vec!["the end".into()],
        });
        node.turn += 1;
        let wait = (BACKOFF_MS.0 << node.restarts.min(8)).min(BACKOFF_MS.1);
        self.timers.push((wait, Timer::Starts(id, node.turn)));
        self.report(Some(id), None, None);
    }

    fn job_ends(&mut self, id: JobId, now: Millis) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.end.is_none()) else { return };
        let is_bad = job.entry.spec.start.iter().any(|word| word == BAD);
        let exit = Some(i32::from(is_bad));
        job.end = Some(JobEnd { at: now, exit, detail: None, last_lines: Vec::new() });
        self.report(None, Some(id), None);
    }

    fn task_done(&mut self, id: TaskId, now: Millis) {
        let Some((task, None)) = self.tasks.get(&id).cloned() else { return };
        let node = self.nodes.get_mut(&task.node).filter(|node| node.phase == NodePhase::Running);
        let outcome = match node {
            _ if now > task.deadline => TaskOutcome::Failed { cause: "its time was over".into() },
            None => TaskOutcome::Failed { cause: "its node does not run".into() },
            Some(node) => {
                if task.verb == Verb::Restart {
                    (node.started_at, node.ready, node.since) = (Some(now), false, now);
                    node.turn += 1;
                    let next = (500, Timer::Ready(task.node, node.turn));
                    self.timers.push(next);
                    self.report(Some(task.node), None, None);
                }
                TaskOutcome::Done { lines: Vec::new() }
            }
        };
        if let Some((_, known)) = self.tasks.get_mut(&id) {
            *known = Some(outcome.clone());
        }
        self.report(None, None, Some((id, outcome)));
    }

    /// It dies with everything on it; what an agent wrote down stays.
    pub fn dies(&mut self) {
        self.up = (false, false);
        for node in self.nodes.values_mut() {
            node.turn += 1;
            if node.is_alive() {
                (node.phase, node.ready) = (NodePhase::Backoff, false);
            }
        }
    }

    /// It has booted: whatever shall run is begun, what was stopping is gone, and jobs of before have failed.
    pub fn boots(&mut self, now: Millis) {
        self.up = (true, true);
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            if self.nodes[&id].shall_run() {
                self.lay_out(id);
            } else {
                self.stop(id, now);
            }
        }
        for job in self.jobs.values_mut().filter(|job| job.end.is_none()) {
            let detail = Some("its host was booted again".into());
            job.end = Some(JobEnd { at: now, exit: None, detail, last_lines: Vec::new() });
        }
        let open: Vec<_> =
            self.tasks.iter().filter(|(_, (_, outcome))| outcome.is_none()).map(|(id, _)| *id).collect();
        self.timers.extend(open.into_iter().map(|id| (150, Timer::TaskDone(id))));
    }
}
