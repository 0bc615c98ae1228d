//! When is an operation done? When the families are as it wanted them, or when that can no longer come about.

use lace_model::document::Verb;
use lace_model::family::Family;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::operation::{Goal, Operation};
use lace_model::revision::Revision;
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::task::NodeTask;
use lace_model::{Code, FamilyPath, Millis, NodeId, Reason, ServicePath};
use std::collections::BTreeMap;

mod task;

/// A target that says "no host can take it" for so long is believed.
pub const CANNOT_PLACE_AFTER_MS: Millis = 5_000;

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoalProgress {
    /// Under way: what it waits for.
    Running(String),
    /// Ended well: what is so now.
    Done(String),
    /// Ended badly: code, what happened, more lines.
    Failed(Code, String, Vec<String>),
}

use GoalProgress::{Done, Failed, Running};

/// What the answer is read from.
pub struct GoalFacts<'a> {
    /// Families.
    pub families: &'a BTreeMap<FamilyPath, Family>,
    /// Their targets.
    pub targets: &'a BTreeMap<FamilyPath, Target>,
    /// Revisions of their services.
    pub revisions: &'a BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    /// Nodes of the families and tasks that the operation is about.
    pub observed: &'a BTreeMap<NodeId, NodeStatus>,
    /// The operation's tasks. They count where it has no goals: those of a family's goal are the planner's.
    pub tasks: &'a [&'a NodeTask],
    /// Now.
    pub now: Millis,
}

/// Where an operation stands, by its goals: failed if one failed, done if all are done. Time alone may change the
/// answer, so a running operation is asked about every second.
pub fn goal_state(op: &Operation, facts: &GoalFacts) -> GoalProgress {
    let look = |goal: &Goal| Look {
        op,
        family: facts.families.get(&goal.family),
        target: facts.targets.get(&goal.family),
        observed: facts.observed,
        now: facts.now,
        facts,
    };
    let mut states: Vec<GoalProgress> = op.waits.iter().map(|goal| look(goal).state(goal)).collect();
    if states.is_empty() {
        states = facts.tasks.iter().map(|task| task::state(task, facts)).collect();
    }
    if let Some(failed) = states.iter().find(|s| matches!(s, Failed(..))) {
        return failed.clone();
    }
    let running: Vec<&str> = states
        .iter()
        .filter_map(|s| if let Running(text) = s { Some(text.as_str()) } else { None })
        .collect();
    if !running.is_empty() {
        return Running(some_of(&running));
    }
    let done: Vec<&str> =
        states.iter().filter_map(|s| if let Done(text) = s { Some(text.as_str()) } else { None }).collect();
    Done(if done.is_empty() { "done".into() } else { some_of(&done) })
}

fn some_of(texts: &[&str]) -> String {
    const SHOWN_MAX: usize = 3;
    let mut text = texts[..texts.len().min(SHOWN_MAX)].join("; ");
    if texts.len() > SHOWN_MAX {
        text.push_str(&format!("; and {} more", texts.len() - SHOWN_MAX));
    }
    text
}

struct Look<'a> {
    op: &'a Operation,
    family: Option<&'a Family>,
    target: Option<&'a Target>,
    observed: &'a BTreeMap<NodeId, NodeStatus>,
    now: Millis,
    facts: &'a GoalFacts<'a>,
}

impl Look<'_> {
    fn state(&self, goal: &Goal) -> GoalProgress {
        let path = &goal.family;
        let Some(revision) = goal.revision else { return self.gone(path) };
        let Some(family) = self.family.filter(|f| !f.deleting) else {
            return Failed(Code::Conflict, format!("{path} was deleted meanwhile"), Vec::new());
        };
        let Some(target) = self.target else { return Running(format!("{path} is not planned yet")) };
        let back = target.rollout.as_ref().filter(|r| self.leads_back(r, revision));
        if family.revision != revision && back.is_none() {
            let text = format!(
                "{path} shall have revision {} by now: a newer request replaced this one",
                family.revision
            );
            return Failed(Code::Conflict, text, Vec::new());
        }
        if let Some(replaced) = replaced(goal, family) {
            return replaced;
        }
        self.rollout(goal, family, target, revision)
            .unwrap_or_else(|wanted| self.nodes(goal, family, target, wanted))
    }

    /// Is the rollout on its way back to this revision (or about to be, by this very operation)?
    fn leads_back(&self, rollout: &Rollout, revision: u64) -> bool {
        let is_back =
            matches!(rollout.phase, Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted);
        rollout.from == Some(revision) && rollout.to != revision && (is_back || self.op.verb == "abort")
    }

    fn gone(&self, path: &FamilyPath) -> GoalProgress {
        let left = self.target.map_or(0, |t| t.nodes.len());
        match self.family {
            Some(family) if !family.deleting => {
                Failed(Code::Conflict, format!("{path} is wanted again"), Vec::new())
            }
            Some(_) => Running(format!("{path}: {left} nodes are still going")),
            None => Done(format!("{path} is gone")),
        }
    }

    /// What the rollout says; `Err` with the revision that nodes must have (or none in particular), where they decide.
    fn rollout(
        &self,
        goal: &Goal,
        family: &Family,
        target: &Target,
        revision: u64,
    ) -> Result<GoalProgress, Option<u64>> {
        let path = &goal.family;
        let stops = !family.running || goal.ready == 0;
        let Some(rollout) = target.rollout.as_ref().filter(|_| !stops) else { return Err(Some(revision)) };
        let going_back = rollout.from == Some(revision) && family.revision != revision;
        if rollout.to != revision && !going_back {
            return Ok(self.comes_to_rest(target, path));
        }
        let stale = rollout.moved_at < self.op.started_at;
        match &rollout.phase {
            Phase::Done => Err(Some(revision)),
            Phase::Rolling | Phase::Watching { .. } => self
                .cannot_place(target, path)
                .map_or_else(|| Ok(Running(self.rolling(goal, target, rollout))), Ok),
            Phase::Reverting { .. } | Phase::Aborted => Ok(self.comes_to_rest(target, path)),
            Phase::Reverted { .. } if going_back || stale && !self.rolls() => {
                Err(Some(rollout.from.unwrap_or(revision)))
            }
            Phase::Reverted { .. } | Phase::Failed { .. }
                if stale && restarts_what_is_there(goal, rollout) =>
            {
                Err(None)
            }
            Phase::Failed { .. } if stale && self.never_had_nodes(goal, target) => Ok(failed(path, rollout)),
            Phase::Reverted { .. } | Phase::Failed { .. } if stale && self.rolls() => {
                Ok(Running(format!("{path}: revision {} will be tried again", rollout.to)))
            }
            Phase::Failed { .. } if stale => Err(Some(rollout.to)),
            Phase::Reverted { cause } => Ok(Failed(
                Code::FailedReverted,
                format!("revision {} of {path} failed and was reverted: {cause}", rollout.to),
                rollout.last_lines.clone(),
            )),
            Phase::Failed { .. } => Ok(failed(path, rollout)),
        }
    }

    /// Of what never came so far as to have nodes none can be restarted, started or added: nobody tries it again.
    fn never_had_nodes(&self, goal: &Goal, target: &Target) -> bool {
        let waited = self.now >= self.op.started_at + CANNOT_PLACE_AFTER_MS;
        (goal.restart > 0 || !self.rolls()) && waited && self.running(target).next().is_none()
    }

    /// Does the operation bring a revision, or work with the one that is there?
    fn rolls(&self) -> bool {
        !matches!(
            self.op.verb.as_str(),
            "scale" | "start" | "stop" | "replace" | "node" | "pause" | "abort" | "delete"
        )
    }

    fn rolling(&self, goal: &Goal, target: &Target, rollout: &Rollout) -> String {
        let ready = self.ready(target, |n| n.revision == rollout.to);
        let reason = target.reasons.first().map(|r| format!(": {r}")).unwrap_or_default();
        format!("{}: {ready} of {} ready at revision {}{reason}", goal.family, goal.ready, rollout.to)
    }

    fn nodes(&self, goal: &Goal, family: &Family, target: &Target, revision: Option<u64>) -> GoalProgress {
        let path = &goal.family;
        // No rollout leads these: their tasks say how far they are.
        let restarting = if revision.is_none() { self.restarting(target) } else { None };
        let ready =
            self.ready(target, |n| revision.is_none_or(|r| n.revision == r) && n.restart >= goal.restart);
        let superseded = family.running && family.count > goal.ready;
        let wanted = target.indexes(goal.ready);
        let extra = target.nodes.iter().any(|n| !wanted.contains(&n.index) || n.want == Want::Gone);
        if ready >= goal.ready && (superseded || !extra) && restarting.is_none() {
            if let Some(waits) = self.copy(goal, family, target) {
                return waits;
            }
            return Done(match (goal.ready, revision) {
                (0, _) => format!("{path} has no nodes"),
                (all, Some(revision)) => format!("{path}: {all} of {all} ready at revision {revision}"),
                (all, None) => format!("{path}: {all} of {all} restarted and ready"),
            });
        }
        self.broken(goal, family, target)
            .or(restarting)
            .or_else(|| self.cannot_place(target, path))
            .unwrap_or_else(|| Running(self.waits(goal, target, ready)))
    }

    /// A distributed application for which the nodes vote runs on one of them: whoever asks next shall find it.
    fn copy(&self, goal: &Goal, family: &Family, target: &Target) -> Option<GoalProgress> {
        let newest = self.running(target).map(|node| node.revision).max().filter(|_| goal.ready > 0)?;
        let revision = self.facts.revisions.get(&goal.family.service_path())?.get(&newest)?;
        let application = revision.spec.beam.as_ref().filter(|beam| beam.is_voted())?.failover.as_ref()?;
        let statuses = || self.running(target).filter_map(|node| self.observed.get(&node.id));
        if statuses().any(|status| status.holds && status.phase == NodePhase::Running) {
            return None;
        }
        let path = &goal.family;
        let since = statuses().map(|status| status.since).max().unwrap_or(0).max(self.op.started_at);
        let deadline = family.rollout.deadline;
        if self.now < since + deadline.ms() {
            return Some(Running(format!("{path}: all are ready; {application} runs on none of them yet")));
        }
        let text = format!("{path}: all are ready, and {application} runs on none of them after {deadline}");
        Some(Failed(Code::FailedNotReverted, text, Vec::new()))
    }

    /// Restarts of this operation that are not done, or failed; what became of a node that went away is the planner's.
    fn restarting(&self, target: &Target) -> Option<GoalProgress> {
        let nodes: Vec<NodeId> = self.running(target).map(|node| node.id).collect();
        let tasks = self.facts.tasks.iter().filter(|t| t.verb == Verb::Restart && nodes.contains(&t.node));
        let (failed, open): (Vec<_>, Vec<_>) = tasks
            .map(|task| task::state(task, self.facts))
            .filter(|state| !matches!(state, Done(_)))
            .partition(|state| matches!(state, Failed(..)));
        failed.into_iter().chain(open).next()
    }

    fn waits(&self, goal: &Goal, target: &Target, ready: u32) -> String {
        let path = &goal.family;
        let going = target.nodes.iter().filter(|n| n.want == Want::Gone).count();
        match (ready >= goal.ready, going) {
            (true, _) => format!("{path}: {going} nodes are still going"),
            _ => format!("{path}: {ready} of {} ready", goal.ready),
        }
    }

    /// A node that came with this operation and does not come up; or one of before that is not up when it has had as long.
    fn broken(&self, goal: &Goal, family: &Family, target: &Target) -> Option<GoalProgress> {
        let deadline = family.rollout.deadline;
        for node in self.running(target).filter(|n| target.indexes(goal.ready).contains(&n.index)) {
            let status = self.observed.get(&node.id);
            if status.is_some_and(is_ready) {
                continue;
            }
            let is_new = node.planned_at >= self.op.started_at;
            let crashed = is_new && status.is_some_and(|s| crate::family::has_crashed(s, s.restarts));
            let late = self.now >= node.planned_at.max(self.op.started_at) + deadline.ms();
            if crashed || late {
                let exit = status.and_then(|s| s.exit.as_ref());
                let why = exit.map_or_else(|| format!("not ready after {deadline}"), ToString::to_string);
                let lines = exit.map(|e| e.last_lines.clone()).unwrap_or_default();
                let name = target.family.node(node.index).short();
                return Some(Failed(
                    Code::FailedNotReverted,
                    format!("{name} does not come up: {why}"),
                    lines,
                ));
            }
        }
        None
    }

    fn cannot_place(&self, target: &Target, path: &FamilyPath) -> Option<GoalProgress> {
        let since = target.made_at.max(self.op.started_at);
        // What waits for a host that comes can be placed.
        if target.reasons.iter().any(|r| matches!(r, Reason::WaitsForHost { .. })) {
            return None;
        }
        let no = |r: &&Reason| match r {
            Reason::HostRejected { .. } | Reason::NoHosts | Reason::PoolRejected { .. } => true,
            Reason::HostAway { left, .. } => left.0 == 0,
            Reason::WaitsForJob { no_room_since: Some(since), .. } => {
                self.now >= since + CANNOT_PLACE_AFTER_MS
            }
            _ => false,
        };
        let reasons: Vec<String> = target.reasons.iter().filter(no).map(ToString::to_string).collect();
        (!reasons.is_empty() && self.now >= since + CANNOT_PLACE_AFTER_MS)
            .then(|| Failed(Code::CannotPlace, format!("no host can take a node of {path}"), reasons))
    }

    /// What has to end before this operation's own work does, or has no room for it.
    fn comes_to_rest(&self, target: &Target, path: &FamilyPath) -> GoalProgress {
        self.cannot_place(target, path).unwrap_or_else(|| Running(self.first_reason(target, path)))
    }

    fn first_reason(&self, target: &Target, path: &FamilyPath) -> String {
        target
            .reasons
            .first()
            .map_or_else(|| format!("{path} is not planned yet"), |r| format!("{path}: {r}"))
    }

    fn running<'t>(&self, target: &'t Target) -> impl Iterator<Item = &'t PlannedNode> {
        target.nodes.iter().filter(|n| n.want == Want::Run)
    }

    fn ready(&self, target: &Target, counts: impl Fn(&PlannedNode) -> bool) -> u32 {
        let ready = |n: &&PlannedNode| counts(n) && self.observed.get(&n.id).is_some_and(is_ready);
        self.running(target).filter(ready).count() as u32
    }
}

/// Somebody wants fewer nodes meanwhile, or none.
fn replaced(goal: &Goal, family: &Family) -> Option<GoalProgress> {
    let path = &goal.family;
    let text = if family.count < goal.ready {
        format!("{path} shall have {} nodes by now: a newer request replaced this one", family.count)
    } else if !family.running && goal.ready > 0 {
        format!("{path} was stopped meanwhile: a newer request replaced this one")
    } else {
        return None;
    };
    Some(Failed(Code::Conflict, text, Vec::new()))
}

/// The rollout is over, and this restart begins no other: nodes are restarted with the revisions that they have.
fn restarts_what_is_there(goal: &Goal, rollout: &Rollout) -> bool {
    let begins_anew =
        matches!(rollout.phase, Phase::Failed { .. }) && rollout.from.is_none_or(|from| from == rollout.to);
    goal.restart > 0 && !begins_anew
}

fn failed(path: &FamilyPath, rollout: &Rollout) -> GoalProgress {
    let cause = match &rollout.phase {
        Phase::Failed { cause } => cause.as_str(),
        _ => "nobody knows why",
    };
    let text = format!("revision {} of {path} failed: {cause}", rollout.to);
    Failed(Code::FailedNotReverted, text, rollout.last_lines.clone())
}

fn is_ready(status: &NodeStatus) -> bool {
    status.ready && status.phase == NodePhase::Running
}
