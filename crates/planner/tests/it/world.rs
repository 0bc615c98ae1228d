//! A small simulated world: hosts that obey targets late, crash, fall silent and lose nodes; one controller that plans.
//! After every decision the invariants are checked.

use crate::make::{SEED, family, host, path, revision};
use lace_model::document::{TaskOutcome, Verb};
use lace_model::family::Family;
use lace_model::node::{Exit, NodePhase, NodeStatus};
use lace_model::revision::Revision;
use lace_model::rollout::{Phase, Strategy};
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::task::NodeTask;
use lace_model::{HostId, Millis, NodeId};
use lace_planner::{Answered, FamilyInput, FamilyOutcome, Gates, HostView, plan};
use std::collections::{BTreeMap, BTreeSet};

/// What a revision's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    Good,
    CrashesAtBoot,
    /// Ready, and down 200 ms later.
    CrashesWhenReady,
    NeverReady,
}

/// One host as it really is.
struct SimHost {
    nodes: BTreeMap<NodeId, SimNode>,
    up: bool,
}

#[derive(Clone)]
struct SimNode {
    status: NodeStatus,
    want: Want,
    /// When its phase moves on.
    next_at: Millis,
}

/// The world.
pub struct World {
    pub now: Millis,
    pub family: Family,
    pub revisions: BTreeMap<u64, Revision>,
    pub conduct: BTreeMap<u64, Conduct>,
    pub hosts: Vec<HostView>,
    pub target: Option<Target>,
    pub observed: BTreeMap<NodeId, NodeStatus>,
    pub gates: Gates,
    /// What doors brought back.
    pub answered: BTreeMap<u64, Answered>,
    /// Restarts in place.
    pub restarts: BTreeMap<NodeId, NodeTask>,
    /// Hosts leave them to the test.
    pub upgrades: BTreeMap<NodeId, Vec<NodeTask>>,
    /// The controller's.
    pub epoch: u64,
    /// Nodes speak of this vote set, whatever they are told.
    pub votes_seen: Option<u64>,
    /// Hosts refuse restarts.
    pub refuses: bool,
    pub events: Vec<String>,
    pub family_done: bool,
    sims: BTreeMap<HostId, SimHost>,
    random: u64,
    wake_at: Option<Millis>,
    /// The full look that happens every second whatever was reported.
    is_touched: bool,
}

pub const TICK_MS: Millis = 100;

impl World {
    pub fn new(count: u32, hosts: u8, seed: u64) -> Self {
        let hosts: Vec<HostView> = (1..=hosts).map(host).collect();
        let sims = hosts.iter().map(|h| (h.host.id, SimHost { nodes: BTreeMap::new(), up: true })).collect();
        Self {
            now: 1_000_000,
            family: family(count),
            revisions: BTreeMap::from([(1, revision(1))]),
            conduct: BTreeMap::from([(1, Conduct::Good)]),
            hosts,
            target: None,
            observed: BTreeMap::new(),
            gates: Gates::default(),
            answered: BTreeMap::new(),
            restarts: BTreeMap::new(),
            upgrades: BTreeMap::new(),
            epoch: 1,
            votes_seen: None,
            refuses: false,
            events: Vec::new(),
            family_done: false,
            sims,
            random: seed | 1,
            wake_at: None,
            is_touched: true,
        }
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub fn roll_out(&mut self, conduct: Conduct) -> u64 {
        let number = self.revisions.len() as u64 + 1;
        self.revisions.insert(number, revision(number));
        self.conduct.insert(number, conduct);
        self.family.revision = number;
        number
    }

    pub fn set_host(&mut self, at: usize, up: bool) {
        let at = at % self.hosts.len();
        let now = self.now;
        let view = &mut self.hosts[at];
        if view.liveness.connected && !up {
            view.liveness.last_seen = now;
        }
        view.liveness.connected = up;
        self.sims.get_mut(&view.host.id).unwrap().up = up;
    }

    /// The process of some node ends.
    pub fn kill(&mut self, which: usize) {
        let now = self.now;
        let running = self.sims.values_mut().flat_map(|h| h.nodes.values_mut());
        let mut running: Vec<_> = running.filter(|n| n.status.phase == NodePhase::Running).collect();
        let count = running.len();
        if count > 0 {
            crash(running[which % count], now, 200);
        }
    }

    /// The process of this node ends.
    pub fn kill_node(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.sims.values_mut().find_map(|host| host.nodes.get_mut(&id)).expect("known");
        crash(node, now, 200);
    }

    /// A host forgets a node.
    pub fn lose(&mut self, which: usize) {
        let now = self.now;
        let running = self.sims.values_mut().flat_map(|h| h.nodes.values_mut());
        let mut running: Vec<_> = running.filter(|n| n.status.phase == NodePhase::Running).collect();
        let count = running.len();
        if count > 0 {
            set(&mut running[which % count].status, NodePhase::Gone, now);
        }
    }

    pub fn run_for(&mut self, span: Millis) {
        let end = self.now + span;
        while self.now < end {
            self.tick();
        }
    }

    /// Runs until the target rests for ten seconds and time alone will not change it; panics when that takes too long.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..6_000 {
            let before = self.target.as_ref().map(|t| t.generation);
            self.tick();
            let same = self.target.as_ref().map(|t| t.generation) == before;
            quiet = if same && self.wake_at.is_none() { quiet + 1 } else { 0 };
            if quiet > 100 {
                return;
            }
        }
        panic!("does not settle: {:#?}\n{:#?}\nevents {:#?}", self.target, self.observed, self.events);
    }

    pub fn tick(&mut self) {
        self.now += TICK_MS;
        let before = self.observed.clone();
        for at in 0..self.hosts.len() {
            self.act(at);
        }
        let is_due = self.wake_at.is_some_and(|at| at <= self.now);
        if self.is_touched || is_due || self.observed != before {
            self.decide();
        }
        // Every second all is looked at, as the engine does.
        self.is_touched = self.now.is_multiple_of(1_000);
    }

    /// One host: takes over its document when connected, moves its nodes on, reports.
    fn act(&mut self, at: usize) {
        let id = self.hosts[at].host.id;
        let connected = self.hosts[at].liveness.connected;
        let delay = 50 + self.chance(400);
        let mut sim = self.sims.remove(&id).unwrap();
        if connected {
            self.obey(&mut sim, id, delay);
        }
        if sim.up {
            let ids: Vec<NodeId> = sim.nodes.keys().copied().collect();
            for node in ids {
                let blocked = is_blocked(&sim, node);
                let conduct = self.conduct[&sim.nodes[&node].status.revision];
                move_on(sim.nodes.get_mut(&node).unwrap(), self.now, delay, blocked, conduct);
            }
        }
        if connected {
            self.restart_in_place(&mut sim, delay);
            self.hosts[at].liveness.last_seen = self.now;
            for (id, node) in &sim.nodes {
                self.observed.insert(*id, node.status.clone());
            }
        }
        self.sims.insert(id, sim);
    }

    fn obey(&mut self, sim: &mut SimHost, id: HostId, delay: Millis) {
        let planned: Vec<PlannedNode> =
            self.target.iter().flat_map(|t| &t.nodes).filter(|n| n.host == id).cloned().collect();
        let known: BTreeSet<NodeId> = planned.iter().map(|n| n.id).collect();
        sim.nodes.retain(|id, n| n.status.phase != NodePhase::Gone || known.contains(id));
        self.observed.retain(|node, s| s.host != id || s.phase != NodePhase::Gone || known.contains(node));
        for node in planned {
            let now = self.now;
            let sim_node = sim.nodes.entry(node.id).or_insert_with(|| new_node(&node, now, delay));
            sim_node.want = node.want;
            let told = self.target.as_ref().and_then(|t| Some(t.votes.as_ref()?.order.generation));
            sim_node.status.votes_seen = self.votes_seen.or(told);
        }
    }

    fn restart_in_place(&mut self, sim: &mut SimHost, delay: Millis) {
        let now = self.now;
        for task in self.restarts.values_mut().filter(|t| t.state.is_open() && t.created_at + 100 < now) {
            let Some(node) = sim.nodes.get_mut(&task.node) else { continue };
            if self.refuses || !matches!(node.status.phase, NodePhase::Running | NodePhase::Backoff) {
                task.end(TaskOutcome::Failed { cause: "the node does not run".into() }, now);
                continue;
            }
            set(&mut node.status, NodePhase::Running, now);
            node.status.started_at = Some(now);
            node.next_at = now + delay;
            task.end(TaskOutcome::Done { lines: Vec::new() }, now);
        }
    }

    pub fn input(&self) -> FamilyInput<'_> {
        FamilyInput {
            family: &self.family,
            current: self.target.as_ref(),
            observed: &self.observed,
            revisions: &self.revisions,
            hosts: &self.hosts,
            offers: &[],
            gates: &self.gates,
            restarts: &self.restarts,
            upgrades: &self.upgrades,
            answered: &self.answered,
            epoch: self.epoch,
            now: self.now,
            seed: SEED,
        }
    }

    pub fn decide(&mut self) {
        let outcome = plan(&self.input());
        self.check(&outcome);
        for index in &outcome.clear_replace {
            self.family.replace.remove(index);
        }
        if let Some((number, cause)) = &outcome.bad {
            self.revisions.get_mut(number).unwrap().bad = Some(cause.clone());
        }
        for event in &outcome.events {
            self.events.push(format!("{} {} {}: {}", self.now, event.kind, event.subject, event.message));
        }
        self.family_done = outcome.family_done;
        self.wake_at = outcome.wake_at;
        if let Some(target) = outcome.target {
            self.target = Some(target);
        }
        for task in outcome.tasks {
            match task.verb {
                Verb::Upgrade(_) => self.upgrades.entry(task.node).or_default().push(task),
                _ => drop(self.restarts.insert(task.node, task)),
            }
        }
        let again = plan(&self.input());
        assert!(
            again.target.is_none(),
            "not stable:\n{:#?}\nthen\n{:#?}\nobserved {:#?}",
            self.target,
            again.target,
            self.observed
        );
    }

    fn check(&self, outcome: &FamilyOutcome) {
        let Some(target) = &outcome.target else { return };
        let running: Vec<&PlannedNode> = target.nodes.iter().filter(|n| n.want == Want::Run).collect();
        let indexes: BTreeSet<u32> = running.iter().map(|n| n.index).collect();
        assert_eq!(indexes.len(), running.len(), "two nodes on one index: {target:#?}");
        let addresses: BTreeSet<_> = running.iter().map(|n| n.address).collect();
        assert_eq!(addresses.len(), running.len(), "one address twice: {target:#?}");
        let ids: BTreeSet<_> = target.nodes.iter().map(|n| n.id).collect();
        assert_eq!(ids.len(), target.nodes.len(), "one id twice: {target:#?}");
        for node in &running {
            let view = self.hosts.iter().find(|h| h.host.id == node.host).unwrap();
            assert!(view.host.blocks.iter().any(|b| b.addresses().any(|a| a == node.address)));
        }
        self.check_capacity(target);
        self.check_availability(target);
        let wanted = target.indexes(self.family.count);
        let missing = !self.family.deleting && wanted.clone().any(|i| !indexes.contains(&i));
        assert!(!missing || !target.reasons.is_empty(), "missing without a reason: {target:#?}");
        let unready = running.iter().any(|n| !self.is_ready(n));
        assert!(!unready || !target.reasons.is_empty(), "unready without a reason: {target:#?}");
    }

    fn check_capacity(&self, target: &Target) {
        for view in &self.hosts {
            let here: BTreeSet<u32> =
                target.nodes.iter().filter(|n| n.host == view.host.id).map(|n| n.index).collect();
            let limit = view.host.capacity.memory.0 / self.revisions[&1].spec.limits.memory.0;
            assert!(here.len() as u64 <= limit, "host {} is overfull: {target:#?}", view.host.name);
        }
    }

    /// Where a node that served was replaced, no more than `max_unavailable` indexes are without one.
    fn check_availability(&self, target: &Target) {
        let Some(before) = &self.target else { return };
        if self.family.rollout.strategy != Strategy::Rolling || !self.family.running || self.family.deleting {
            return;
        }
        let served = |index: u32| before.running(index).filter(|n| self.is_ready(n));
        let replaced = |index: &u32| {
            served(*index).is_some_and(|old| {
                target.running(*index).is_none_or(|new| new.id != old.id || new.restart != old.restart)
            })
        };
        let wanted = target.indexes(self.family.count);
        if !wanted.clone().any(|i| replaced(&i)) {
            return;
        }
        let down = wanted.filter(|i| match target.running(*i) {
            Some(node) => {
                let restarts = before.running(*i).is_some_and(|old| old.restart != node.restart);
                (restarts || !self.is_ready(node)) && self.is_connected(node.host)
            }
            None => target.nodes.iter().any(|n| n.index == *i && self.is_connected(n.host)),
        });
        let down = down.count() as u32;
        assert!(
            down <= self.family.rollout.max_unavailable.of(self.family.count),
            "{down} indexes do not serve: {target:#?}"
        );
    }

    pub fn is_connected(&self, host: HostId) -> bool {
        self.hosts.iter().any(|h| h.host.id == host && h.liveness.connected)
    }
    pub fn is_ready(&self, node: &PlannedNode) -> bool {
        self.observed.get(&node.id).is_some_and(|s| s.ready && s.phase == NodePhase::Running)
            && self.is_connected(node.host)
    }
    pub fn running(&self) -> Vec<PlannedNode> {
        let nodes = self.target.iter().flat_map(|t| &t.nodes);
        nodes.filter(|n| n.want == Want::Run).cloned().collect()
    }
    pub fn ready(&self) -> usize {
        self.running().iter().filter(|n| self.is_ready(n)).count()
    }
    pub fn revisions_running(&self) -> Vec<u64> {
        self.running().iter().map(|n| n.revision).collect()
    }
    pub fn phase(&self) -> Phase {
        self.target.as_ref().unwrap().rollout.as_ref().unwrap().phase.clone()
    }
    pub fn reasons(&self) -> Vec<String> {
        self.target.iter().flat_map(|t| &t.reasons).map(ToString::to_string).collect()
    }
}

fn new_node(node: &PlannedNode, now: Millis, delay: Millis) -> SimNode {
    let status = NodeStatus {
        id: node.id,
        path: path().node(node.index),
        revision: node.revision,
        host: node.host,
        address: node.address,
        generation: lace_model::Generation::default(),
        phase: NodePhase::Preparing,
        ready: false,
        since: now,
        started_at: None,
        restarts: 0,
        exit: None,
        detail: None,
        alarms: Vec::new(),
        votes_seen: None,
        holds: false,
        joined: false,
    };
    SimNode { status, want: node.want, next_at: now + delay }
}

/// Another node of the host still has its address.
fn is_blocked(sim: &SimHost, id: NodeId) -> bool {
    let address = sim.nodes[&id].status.address;
    sim.nodes.values().any(|n| {
        n.status.id != id
            && n.want == Want::Gone
            && n.status.address == address
            && n.status.phase != NodePhase::Gone
    })
}

fn set(status: &mut NodeStatus, phase: NodePhase, now: Millis) {
    status.phase = phase;
    status.ready = false;
    status.since = now;
}

fn crash(node: &mut SimNode, now: Millis, backoff: Millis) {
    set(&mut node.status, NodePhase::Backoff, now);
    let last_lines = vec!["it broke".to_owned()];
    node.status.exit =
        Some(Exit { code: Some(1), signal: None, oom: false, at: now, cause: None, last_lines });
    node.next_at = now + backoff;
}

fn move_on(node: &mut SimNode, now: Millis, delay: Millis, blocked: bool, conduct: Conduct) {
    let status = &mut node.status;
    if node.want == Want::Gone && !matches!(status.phase, NodePhase::Stopping | NodePhase::Gone) {
        set(status, NodePhase::Stopping, now);
        node.next_at = now + delay;
        return;
    }
    if now < node.next_at || blocked && node.want == Want::Run {
        return;
    }
    match status.phase {
        NodePhase::Stopping => set(status, NodePhase::Gone, now),
        NodePhase::Preparing => {
            set(status, NodePhase::Running, now);
            status.started_at = Some(now);
            node.next_at = now + delay;
        }
        NodePhase::Backoff => {
            set(status, NodePhase::Running, now);
            status.restarts += 1;
            status.started_at = Some(now);
            node.next_at = now + delay;
        }
        NodePhase::Running if !status.ready => match conduct {
            Conduct::Good => {
                status.ready = true;
                status.since = now;
            }
            Conduct::CrashesAtBoot => crash(node, now, 300),
            Conduct::CrashesWhenReady => {
                status.ready = true;
                status.since = now;
                node.next_at = now + 200;
            }
            Conduct::NeverReady => {}
        },
        NodePhase::Running if conduct == Conduct::CrashesWhenReady => crash(node, now, 300),
        _ => {}
    }
}
