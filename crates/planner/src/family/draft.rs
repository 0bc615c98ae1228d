//! A target under work, and the questions that every rule asks of it.

use super::beside;
use super::input::{FamilyInput, FamilyOutcome, HostView, Order};
use super::place::Market;
use super::room::Room;
use super::silence::Silence;
use super::slot::{Slot, nodes_of, slots_of};
use super::{market, mesh};
use lace_model::beam::Beam;
use lace_model::document::Verb;
use lace_model::event::NewEvent;
use lace_model::family::Family;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::reason::HostRejection;
use lace_model::revision::Revision;
use lace_model::rollout::{HEALTHY_FOR_MIN, Phase, Rollout, Strategy};
use lace_model::target::{PlannedNode, Target, Votes, Want};
use lace_model::task::NodeTask;
use lace_model::{Generation, HostId, Millis, NodeId, NodePath, Reason, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Reasons of one kind that a target keeps: it is read by people, and 5,000 lines are read by nobody.
const REASONS_OF_A_KIND_MAX: usize = 16;

/// What a round may change and a target keeps.
#[derive(PartialEq)]
pub(super) struct Shape {
    slots: BTreeMap<u32, Slot>,
    rollout: Option<Rollout>,
    good: Option<u64>,
    votes: Option<Votes>,
    base: u32,
    mesh: u64,
}

/// A target under work.
pub(super) struct Draft<'a> {
    pub input: &'a FamilyInput<'a>,
    pub slots: BTreeMap<u32, Slot>,
    pub rollout: Option<Rollout>,
    pub good: Option<u64>,
    pub votes: Option<Votes>,
    /// See [`Target::base`].
    pub base: u32,
    /// See [`Target::mesh`].
    pub mesh: u64,
    pub generation: Generation,
    pub room: Room,
    pub market: Market,
    /// Hosts that the family does not want, and why.
    pub unwanted: BTreeMap<HostId, HostRejection>,
    pub bad: Option<(u64, String)>,
    pub events: Vec<NewEvent>,
    pub tasks: Vec<NodeTask>,
    pub abandoned: Vec<String>,
    /// Missing indexes that no host can take now.
    pub unplaceable: BTreeSet<u32>,
    /// Indexes whose node, or whose job before it, could be only where no host has room now: its own goes, or is lost.
    pub homeless: BTreeSet<u32>,
    pub clear_replace: Vec<u32>,
    pub orders: Vec<Order>,
    /// Nodes planned by this decision: a part of their ids, so that no two are alike.
    planned: u32,
    silence: Option<Silence>,
    reasons: Vec<Reason>,
    wake_at: Option<Millis>,
}

impl<'a> Draft<'a> {
    pub fn new(input: &'a FamilyInput<'a>) -> Self {
        let current = input.current;
        let generation = current.map_or_else(Generation::default, |t| t.generation).next_in(input.epoch);
        Self {
            input,
            slots: slots_of(current),
            rollout: current.and_then(|t| t.rollout.clone()),
            good: current.and_then(|t| t.good),
            votes: current.and_then(|t| t.votes.clone()),
            base: current.map_or(0, |t| t.base),
            mesh: current.map_or(0, |t| t.mesh),
            generation,
            room: Room::default(),
            market: Market::default(),
            unwanted: market::unwanted(input),
            bad: None,
            events: Vec::new(),
            tasks: Vec::new(),
            abandoned: Vec::new(),
            unplaceable: BTreeSet::new(),
            homeless: BTreeSet::new(),
            clear_replace: Vec::new(),
            orders: Vec::new(),
            planned: 0,
            silence: None,
            reasons: Vec::new(),
            wake_at: None,
        }
    }

    pub fn shape(&self) -> Shape {
        let (slots, rollout) = (self.slots.clone(), self.rollout.clone());
        let (good, votes) = (self.good, self.votes.clone());
        Shape { slots, rollout, good, votes, base: self.base, mesh: self.mesh }
    }

    /// Findings are of one round; what was changed stays.
    pub fn begin_round(&mut self) {
        self.reasons.clear();
        self.wake_at = None;
        self.unplaceable.clear();
        self.homeless.clear();
        self.clear_replace.clear();
        self.slots.retain(|_, slot| !slot.is_empty());
        self.room = Room::of(&self.slots, self.input);
        self.market = Market::default();
    }

    pub fn family(&self) -> &'a Family {
        self.input.family
    }
    pub fn now(&self) -> Millis {
        self.input.now
    }
    pub fn path(&self, index: u32) -> NodePath {
        self.family().path.node(index)
    }
    pub fn revision(&self, number: u64) -> Option<&'a Revision> {
        self.input.revisions.get(&number)
    }
    pub fn status(&self, id: NodeId) -> Option<&'a NodeStatus> {
        self.input.observed.get(&id)
    }
    pub fn run(&self, index: u32) -> Option<&PlannedNode> {
        self.slots.get(&index)?.run.as_ref()
    }
    /// The indexes that shall have a node, the lowest first: those of the family, and during a blue-green rollout those
    /// of the new set beside them.
    pub fn indexes(&self) -> impl Iterator<Item = u32> + use<> {
        let (old, new) = beside::sets(self);
        let (first, second) = if old.start() < new.start() { (old, new) } else { (new, old) };
        first.chain(second)
    }
    pub fn is_wanted(&self, index: u32) -> bool {
        let (old, new) = beside::sets(self);
        old.contains(&index) || new.contains(&index)
    }
    /// The nodes that shall run, by index.
    pub fn running(&self) -> impl Iterator<Item = &PlannedNode> {
        self.slots.values().filter_map(|s| s.run.as_ref())
    }

    /// A host by its id. Sorted hosts are found in logarithmic time.
    pub fn host(&self, id: HostId) -> Option<&'a HostView> {
        self.host_at(id).map(|at| &self.input.hosts[at])
    }
    pub fn host_at(&self, id: HostId) -> Option<usize> {
        let hosts = self.input.hosts;
        match hosts.binary_search_by(|h| h.host.id.cmp(&id)) {
            Ok(at) => Some(at),
            Err(_) => hosts.iter().position(|h| h.host.id == id),
        }
    }
    pub fn is_connected(&self, id: HostId) -> bool {
        self.host(id).is_some_and(|h| h.liveness.connected)
    }
    pub fn is_ready(&self, node: &PlannedNode) -> bool {
        self.status(node.id).is_some_and(|s| s.ready && s.phase == NodePhase::Running)
            && self.is_connected(node.host)
            && !self.restart_of(node.id).is_some_and(|task| task.state.is_open())
    }
    /// A node that came with the rollout under way counts only once it has been ready for a while: what is ready and
    /// crashes a moment later takes no second node.
    pub fn is_good(&self, node: &PlannedNode) -> bool {
        let rolling = self.rollout.as_ref().filter(|r| r.phase == Phase::Rolling);
        let is_new = rolling.is_some_and(|r| r.from.is_some() && self.begun_at(node) >= r.started_at);
        self.is_ready(node) && (!is_new || self.now() >= self.good_at(node))
    }
    /// When a node that is ready has been so for long enough.
    pub fn good_at(&self, node: &PlannedNode) -> Millis {
        self.status(node.id).map_or(0, |s| s.since + self.healthy_for().ms())
    }
    /// How long a node, and at last all, must be ready without a break.
    pub fn healthy_for(&self) -> Span {
        self.family().rollout.healthy_for.max(HEALTHY_FOR_MIN)
    }
    /// The newest wish to restart a node in place, this decision's included.
    pub fn restart_of(&self, id: NodeId) -> Option<&NodeTask> {
        let restart = |t: &&NodeTask| t.node == id && t.verb == Verb::Restart;
        self.tasks.iter().find(restart).or_else(|| self.input.restarts.get(&id))
    }
    /// How nodes change over: by the family's rules, unless a person said it for this revision.
    pub fn strategy(&self) -> Strategy {
        let rollout = self.rollout.as_ref();
        self.strategy_between(rollout.and_then(|r| r.from), rollout.map_or(self.family().revision, |r| r.to))
    }
    /// The same for a rollout that is about to begin. Nodes with and without TLS are no cluster together, nor are those with
    /// other global groups: they change over side by side as two clusters where the rules say so, and else all at once,
    /// whatever the rules say.
    pub fn strategy_between(&self, from: Option<u64>, to: u64) -> Strategy {
        let family = self.family();
        let beam = |number| self.revision(number)?.spec.beam.as_ref();
        let is_hot = family.hot == Some(family.revision);
        let are_two =
            |(before, after): (&Beam, &Beam)| before.tls != after.tls || !before.shares_groups(after);
        if from.and_then(beam).zip(beam(to)).is_some_and(are_two) {
            let parts = !is_hot && from.is_some_and(|from| beside::parts(self, from, to));
            return if parts { Strategy::BlueGreen } else { Strategy::AllAtOnce };
        }
        if is_hot { Strategy::Hot } else { family.rollout.strategy }
    }
    /// When a node as it is now was begun: planned, or restarted in place by order.
    pub fn begun_at(&self, node: &PlannedNode) -> Millis {
        node.planned_at.max(self.restart_of(node.id).map_or(0, |task| task.created_at))
    }
    /// Restarts of a node's process that nobody asked for, since it was last restarted by order.
    pub fn restarts(&self, status: &NodeStatus) -> u32 {
        status.restarts.saturating_sub(self.restart_of(status.id).map_or(0, |task| task.restarts))
    }
    /// Known as bad, before this decision or by it. What this family has had in good health since is not.
    pub fn is_bad(&self, revision: u64) -> bool {
        if self.good == Some(revision) {
            return false;
        }
        self.revision(revision).is_some_and(|r| r.bad.is_some())
            || self.bad.as_ref().is_some_and(|(number, _)| *number == revision)
    }
    pub fn phase(&self) -> Option<&Phase> {
        self.rollout.as_ref().map(|r| &r.phase)
    }
    pub fn silence(&mut self) -> &Silence {
        let (hosts, now) = (self.input.hosts, self.input.now);
        self.silence.get_or_insert_with(|| Silence::of(hosts, now))
    }

    pub fn event(&mut self, kind: &str, subject: impl ToString, message: impl Into<String>) {
        self.events.push(NewEvent::new(kind, subject, message));
    }
    pub fn wake(&mut self, at: Millis) {
        if at > self.now() {
            self.wake_at = Some(self.wake_at.map_or(at, |w| w.min(at)));
        }
    }
    /// Keeps a reason, once, and only so many of a kind.
    pub fn reason(&mut self, reason: Reason) {
        let kind = std::mem::discriminant(&reason);
        let alike = self.reasons.iter().filter(|r| std::mem::discriminant(*r) == kind).count();
        if alike < REASONS_OF_A_KIND_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
    pub fn say(&mut self, text: impl Into<String>) {
        self.reason(Reason::Other { text: text.into() });
    }
    /// Has a reason been given in this round?
    pub fn has_reason(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// A new node at an index.
    pub fn put(&mut self, index: u32, revision: u64, host: HostId, address: Ipv4Addr) {
        let purpose = format!("{}/{}/{}/{}", self.path(index), self.generation, self.now(), self.planned);
        self.planned += 1;
        let node = PlannedNode {
            id: NodeId::derive(&self.input.seed, &purpose),
            index,
            revision,
            restart: self.family().restart,
            host,
            address,
            want: Want::Run,
            planned_at: self.now(),
            mesh: mesh::of_new(self, revision),
        };
        self.change(index, |slot| slot.run = Some(node));
    }

    /// The node at an index shall go.
    pub fn dismiss(&mut self, index: u32) -> Option<PlannedNode> {
        self.change(index, Slot::dismiss)
    }

    /// Changes a slot, and the room that it takes.
    pub fn change<T>(&mut self, index: u32, how: impl FnOnce(&mut Slot) -> T) -> T {
        let input = self.input;
        let slot = self.slots.entry(index).or_default();
        self.room.leave(slot, input);
        let result = how(slot);
        self.room.enter(slot, input);
        result
    }

    pub fn finish(self) -> FamilyOutcome {
        let nodes = nodes_of(&self.slots);
        let family_done = self.family().deleting && nodes.is_empty();
        let current = self.input.current;
        let same = current.is_some_and(|t| {
            t.nodes == nodes
                && t.rollout == self.rollout
                && t.good == self.good
                && t.votes == self.votes
                && t.base == self.base
                && t.mesh == self.mesh
                && t.reasons == self.reasons
        });
        let family = self.family();
        let made_at = self.now();
        let target = (!same && !family_done).then(|| Target {
            family: family.path.clone(),
            generation: self.generation,
            parent: current.map(|t| t.generation),
            made_at,
            nodes,
            rollout: self.rollout,
            good: self.good,
            base: self.base,
            mesh: self.mesh,
            votes: self.votes,
            reasons: self.reasons.clone(),
        });
        FamilyOutcome {
            events: if target.is_some() || family_done { self.events } else { Vec::new() },
            target,
            reasons: self.reasons,
            wake_at: self.wake_at,
            family_done,
            clear_replace: self.clear_replace,
            bad: self.bad,
            tasks: self.tasks,
            abandoned: self.abandoned,
            orders: self.orders,
        }
    }
}
