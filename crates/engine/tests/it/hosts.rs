//! A small world: one store, one engine, hosts that do what they are told when they are let.

use lace_engine::{Engine, Heard, JobEnded, JobNews};
use lace_model::document::{Entry, EntryBody, EntryId, NodeEntry, TaskOutcome, Topic};
use lace_model::family::{Application, Family, Service};
use lace_model::host::{Block, Capacity, Host, Liveness};
use lace_model::node::{Exit, NodePhase, NodeStatus};
use lace_model::revision::{Revision, RevisionSpec};
use lace_model::target::{Target, Want};
use lace_model::{ByteSize, CpuMillis, Digest, FamilyPath, HostId, JobId, Millis, Name, Object, TaskId};
use lace_store::{Batch, Clock, Expect, ManualClock, MasterKey, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub const START: Millis = 1_800_000_000_000;

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn path(text: &str) -> FamilyPath {
    text.parse().expect("a family path")
}

#[derive(Default)]
pub struct FakeHost {
    pub jobs_ended: BTreeSet<JobId>,
    pub entries: BTreeMap<EntryId, Entry>,
    pub topics: BTreeMap<Name, Topic>,
    pub nodes: BTreeMap<lace_model::NodeId, NodeStatus>,
    /// How tasks ended that were not acknowledged yet.
    pub outcomes: BTreeMap<TaskId, TaskOutcome>,
    pub connected: bool,
    pub last_seen: Millis,
}

pub struct Scene {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub engine: Engine,
    pub hosts: BTreeMap<HostId, FakeHost>,
    /// Revisions whose process crashes at once.
    pub crashing: BTreeSet<u64>,
    /// Commands of jobs that fail.
    pub failing_jobs: BTreeSet<String>,
    /// Commands of jobs that do not end.
    pub lasting_jobs: BTreeSet<String>,
}

impl Scene {
    pub fn new(hosts: u8) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let key = MasterKey::from_bytes([7; 32]);
        let store = Store::open_in_memory(key, clock.clone()).expect("a store");
        let mut scene_hosts = BTreeMap::new();
        let mut batch = Batch::new(None);
        for n in 0..hosts {
            let host = Host {
                id: HostId::derive(&[n; 32], "host"),
                name: name(&format!("h{n}")),
                capacity: Capacity { cpu: CpuMillis(8_000), memory: ByteSize::mib(4_096), slots: 100 },
                attributes: BTreeMap::new(),
                blocks: vec![Block { base: [10, 192, n, 0].into() }],
                draining: false,
                agent_version: "test".into(),
                joined_at: START,
                underlay: None,
                pool: None,
                removing: false,
            };
            batch.put(&host, Expect::Absent);
            scene_hosts.insert(host.id, FakeHost { connected: true, ..Default::default() });
        }
        store.commit(batch).expect("hosts");
        let engine = Engine::load(&store, START).expect("an engine");
        let (crashing, failing_jobs, lasting_jobs) = Default::default();
        Self { store, clock, engine, hosts: scene_hosts, crashing, failing_jobs, lasting_jobs }
    }

    /// A service with one family of its own name.
    pub fn serve(&mut self, family: &str, count: u32, before: Vec<Vec<String>>) {
        let path = path(family);
        let mut batch = Batch::new(None);
        let app = Application::new(path.app.clone(), START);
        let service = Service {
            path: path.service_path(),
            revision: 1,
            revision_last: 1,
            spec: Default::default(),
            deleting: false,
            pushes: None,
        };
        batch.put(&app, Expect::Any);
        batch.put(&service, Expect::Absent);
        batch.put(&revision(&path, 1, before), Expect::Absent);
        let family: Family = serde_json::from_value(serde_json::json!({
            "path": path, "count": count, "running": true, "revision": 1,
            "rollout": { "healthy_for": "1s" },
        }))
        .expect("a family");
        batch.put(&family, Expect::Absent);
        self.store.commit(batch).expect("a service");
    }

    pub fn change<T: Object>(&self, key: &str, change: impl FnOnce(&mut T)) {
        let mut row = self.store.get::<T>(key).expect("readable").expect("there").value;
        change(&mut row);
        let mut batch = Batch::new(None);
        batch.put(&row, Expect::Any);
        self.store.commit(batch).expect("changed");
    }

    /// A new revision becomes the wanted one.
    pub fn release(&self, family: &str, number: u64) {
        let path = path(family);
        let mut batch = Batch::new(None);
        batch.put(&revision(&path, number, vec![]), Expect::Absent);
        self.store.commit(batch).expect("revision");
        self.change::<Service>(&path.service_path().to_string(), |s| s.revision = number);
        self.change::<Family>(&path.to_string(), |f| f.revision = number);
    }

    pub fn target(&self, family: &str) -> Target {
        self.store.get::<Target>(family).expect("readable").expect("a target").value
    }

    /// One turn: the engine decides with what was heard, hosts get what they are told.
    pub fn turn(&mut self, heard: Vec<Heard>) {
        self.engine.refresh(&self.store).expect("fresh");
        let now = self.clock.now_ms();
        let live = |(id, host): (&HostId, &mut FakeHost)| {
            host.last_seen = if host.connected { now } else { host.last_seen };
            let last_seen = host.last_seen;
            (*id, Liveness { connected: host.connected, last_seen, disk_used_permille: 100 })
        };
        let liveness: HashMap<_, _> = self.hosts.iter_mut().map(live).collect();
        let batch = self.engine.step(heard, liveness, now);
        self.store.commit(batch).expect("committed");
        self.engine.refresh(&self.store).expect("fresh");
        let told = self.engine.told();
        for (topic, carriers) in told.topics {
            self.hosts.values_mut().for_each(|host| drop(host.topics.remove(&topic.app)));
            for host in carriers {
                self.hosts.entry(host).or_default().topics.insert(topic.app.clone(), topic.clone());
            }
        }
        for (host, tasks) in told.acknowledged {
            let outcomes = &mut self.hosts.entry(host).or_default().outcomes;
            tasks.iter().for_each(|id| drop(outcomes.remove(id)));
        }
        for (host, delta) in told.documents {
            let host = self.hosts.entry(host).or_default();
            for entry in delta.upserts {
                let held = host.entries.insert(entry.id, entry.clone());
                assert!(held.is_none_or(|h| h.generation <= entry.generation), "never an older generation");
            }
            for (id, _) in delta.removes {
                host.entries.remove(&id);
                if let EntryId::Node(node) = id {
                    host.nodes.remove(&node);
                }
            }
        }
    }

    /// The controller dies and another one starts.
    pub fn restart_controller(&mut self) {
        self.engine = Engine::load(&self.store, self.clock.now_ms()).expect("an engine");
        // What a controller does not tell again, hosts that call it are told to forget.
        self.hosts.values_mut().for_each(|host| host.topics.clear());
    }

    /// Every connected host does what its document says and reports it.
    pub fn obey(&mut self) -> Vec<Heard> {
        let now = self.clock.now_ms();
        let (crashing, failing) = (self.crashing.clone(), self.failing_jobs.clone());
        let lasting = self.lasting_jobs.clone();
        let mut heard = Vec::new();
        for (id, host) in self.hosts.iter_mut().filter(|(_, h)| h.connected) {
            let (mut nodes, mut jobs, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
            for entry in host.entries.values() {
                match &entry.body {
                    EntryBody::Node(node) => {
                        let status = obeyed(*id, node, entry, crashing.contains(&node.revision), now);
                        let same = host.nodes.get(&node.id).is_some_and(|h| h.phase == status.phase);
                        if !same {
                            host.nodes.insert(node.id, status.clone());
                            nodes.push(status);
                        }
                    }
                    EntryBody::Job(job) => {
                        let command = job.spec.start.join(" ");
                        // The entry of an ended job stays for the sake of its logs.
                        if lasting.contains(&command) || !host.jobs_ended.insert(job.id) {
                            continue;
                        }
                        let bad = failing.contains(&command);
                        let end = JobEnded {
                            at: now,
                            exit: Some(i32::from(bad)),
                            detail: None,
                            last_lines: vec![],
                        };
                        jobs.push(JobNews { job: job.id, started_at: Some(now), ended: Some(end) });
                    }
                    EntryBody::Task(task) => {
                        // Said until acknowledged.
                        let done = || TaskOutcome::Done { lines: vec![] };
                        let outcome = host.outcomes.entry(task.id).or_insert_with(done).clone();
                        tasks.push((task.id, outcome));
                    }
                }
            }
            if !(nodes.is_empty() && jobs.is_empty() && tasks.is_empty()) {
                heard.push(Heard::Report { host: *id, nodes, jobs, tasks });
            }
        }
        heard
    }

    /// Turns until nothing moves any more, a second of the clock each.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            let heard = self.obey();
            let before = *self.store.watch().borrow();
            let quiet = heard.is_empty();
            self.turn(heard);
            self.clock.advance(1_000);
            if quiet && *self.store.watch().borrow() == before && self.engine.wake_at().is_none() {
                return;
            }
        }
        panic!("the world does not settle");
    }

    /// Running nodes over all hosts: (index, revision).
    pub fn running(&self) -> Vec<(u32, u64)> {
        let up = |s: &&NodeStatus| s.phase == NodePhase::Running;
        let nodes = self.hosts.values().flat_map(|h| h.nodes.values());
        let mut all: Vec<_> = nodes.filter(up).map(|s| (s.path.index, s.revision)).collect();
        all.sort_unstable();
        all
    }
}

fn obeyed(host: HostId, node: &NodeEntry, entry: &Entry, crashes: bool, now: Millis) -> NodeStatus {
    let exit = Exit {
        code: Some(1),
        signal: None,
        oom: false,
        at: now,
        cause: None,
        last_lines: vec!["no scoreboard".into()],
    };
    let phase = match (node.want, crashes) {
        (Want::Gone, _) => NodePhase::Gone,
        (Want::Run, true) => NodePhase::Backoff,
        (Want::Run, false) => NodePhase::Running,
    };
    NodeStatus {
        id: node.id,
        path: node.path.clone(),
        revision: node.revision,
        host,
        address: node.address,
        generation: entry.generation,
        phase,
        ready: phase == NodePhase::Running,
        since: now,
        started_at: Some(now),
        restarts: u32::from(crashes),
        exit: (phase == NodePhase::Backoff).then_some(exit),
        detail: None,
        alarms: Vec::new(),
        votes_seen: None,
        holds: false,
        joined: false,
    }
}

fn revision(path: &FamilyPath, number: u64, before: Vec<Vec<String>>) -> Revision {
    let spec: RevisionSpec = serde_json::from_value(serde_json::json!({
        "release": format!("x@{number}"), "tree": null, "kind": "generic",
        "start": ["./run", number.to_string()], "before": before,
    }))
    .expect("a spec");
    Revision {
        service: path.service_path(),
        number,
        digest: Digest::of_value(&spec),
        spec,
        created_at: START,
        created_by: "test".into(),
        note: "test".into(),
        bad: None,
    }
}
