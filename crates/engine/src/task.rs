//! Tasks: from the queue into a host's document, to their stored outcome.

use crate::world::World;
use lace_model::document::{EntryId, TaskOutcome, Verb};
use lace_model::event::NewEvent;
use lace_model::operation::Goal;
use lace_model::target::Want;
use lace_model::task::{NodeTask, TaskState};
use lace_model::{FamilyPath, HostId, Millis, NodeId, TaskId};
use lace_store::{Batch, Expect, Store, StoreError};
use std::collections::BTreeMap;

/// A host that took a task on has this long beyond the deadline, and the time that its process may take to stop, to
/// say how it ended.
const OUTCOME_WITHIN_MS: Millis = 15_000;

/// The steps of a hot upgrade and of its way back may take so long, beside the time that it is watched.
const UPGRADE_RUNS_MS: Millis = 180_000;

impl World {
    pub(crate) fn take_task(&mut self, store: &Store, key: &str) -> Result<(), StoreError> {
        let value = self.fetch::<NodeTask>(store, key)?;
        let Ok(id) = key.parse::<TaskId>() else { return Ok(()) };
        match value {
            Some(task) => self.keep_task(task),
            None => self.tasks.values_mut().for_each(|tasks| drop(tasks.remove(&id))),
        }
        Ok(())
    }

    fn keep_task(&mut self, task: NodeTask) {
        let family = task.path.family.clone();
        self.tasks.entry(family.clone()).or_default().insert(task.id, task);
        self.dirty.insert(family);
    }

    fn write_task(&mut self, task: NodeTask, batch: &mut Batch) {
        batch.put(&task, Expect::Any);
        self.keep_task(task);
    }

    /// The newest restart of each node of a family.
    pub(crate) fn restarts(&self, path: &FamilyPath) -> BTreeMap<NodeId, NodeTask> {
        let mut newest: BTreeMap<NodeId, NodeTask> = BTreeMap::new();
        let tasks = self.tasks.get(path).into_iter().flat_map(BTreeMap::values);
        for task in tasks.filter(|t| t.verb == Verb::Restart) {
            let known = newest.get(&task.node).map(|t| (t.created_at, t.id));
            if known.is_none_or(|known| known < (task.created_at, task.id)) {
                newest.insert(task.node, task.clone());
            }
        }
        newest
    }

    /// The hot upgrades of each node of a family, the newest last.
    pub(crate) fn upgrades(&self, path: &FamilyPath) -> BTreeMap<NodeId, Vec<NodeTask>> {
        let mut found: BTreeMap<NodeId, Vec<NodeTask>> = BTreeMap::new();
        let tasks = self.tasks.get(path).into_iter().flat_map(BTreeMap::values);
        for task in tasks.filter(|t| matches!(t.verb, Verb::Upgrade(_))) {
            found.entry(task.node).or_default().push(task.clone());
        }
        found.values_mut().for_each(|tasks| tasks.sort_by_key(|task| (task.created_at, task.id)));
        found
    }

    /// Tasks that the planner wants: they belong to the operation that waits for it.
    pub(crate) fn new_tasks(&mut self, tasks: Vec<NodeTask>, batch: &mut Batch) {
        for mut task in tasks {
            let asks = |g: &Goal| g.family == task.path.family && g.restart > 0;
            let owner = self.operations.values().rev().find(|op| op.waits.iter().any(asks));
            if let Some(owner) = owner {
                task.operation = Some(owner.id);
                task.actor = owner.actor.clone();
            }
            self.write_task(task, batch);
        }
    }

    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = &NodeTask> {
        self.tasks.values().flat_map(BTreeMap::values).filter(|t| t.state.is_open())
    }

    /// Queued tasks go to hosts that have a session; those whose time is over are given up.
    pub(crate) fn move_tasks(&mut self, batch: &mut Batch) {
        let open: Vec<NodeTask> = self.open_tasks().cloned().collect();
        for mut task in open {
            if self.moves(&mut task) {
                if !task.state.is_open() {
                    tell(&task, batch);
                }
                self.write_task(task, batch);
            }
        }
    }

    fn moves(&self, task: &mut NodeTask) -> bool {
        let is_there = self
            .targets
            .get(&task.path.family)
            .is_some_and(|target| target.nodes.iter().any(|n| n.id == task.node && n.want == Want::Run));
        let connected = self.liveness.get(&task.host).is_some_and(|l| l.connected);
        match task.state {
            TaskState::Queued if !is_there => {
                task.give_up(TaskState::Failed, "the node is there no more", self.now);
            }
            TaskState::Queued if self.now > task.deadline => {
                task.give_up(TaskState::Expired, "its host did not answer before the deadline", self.now);
            }
            TaskState::Queued if connected => {
                task.state = TaskState::Sent;
                task.sent_at = Some(self.now);
            }
            TaskState::Sent if self.now > self.outcome_due(task) || !is_there && !connected => {
                let cause = "its host does not say how it ended: it may have been done";
                task.give_up(TaskState::Unknown, cause, self.now);
            }
            _ => return false,
        }
        true
    }

    fn outcome_due(&self, task: &NodeTask) -> Millis {
        let revisions = self.revisions.get(&task.path.family.service_path());
        let stops = revisions.into_iter().flat_map(BTreeMap::values).map(|r| r.spec.stop.timeout.ms());
        let runs = match &task.verb {
            Verb::Action(action) => action.timeout.ms(),
            Verb::Upgrade(_) => UPGRADE_RUNS_MS,
            _ => 0,
        };
        task.deadline + stops.max().unwrap_or(0) + runs + OUTCOME_WITHIN_MS
    }

    /// A host says how tasks ended. What is not known here any more is acknowledged too: nobody waits for it.
    pub(crate) fn task_news(&mut self, host: HostId, tasks: Vec<(TaskId, TaskOutcome)>, batch: &mut Batch) {
        for (id, outcome) in tasks {
            self.acknowledged.entry(host).or_default().push(id);
            let known = self.tasks.values().find_map(|of_family| of_family.get(&id)).cloned();
            let Some(mut task) = known.filter(|t| t.host == host) else { continue };
            if task.state.is_open() || task.state == TaskState::Unknown {
                task.end(outcome, self.now);
                tell(&task, batch);
                self.write_task(task, batch);
            }
        }
    }

    /// Is the task still in its host's document?
    pub(crate) fn is_sent(&self, id: &EntryId) -> bool {
        let EntryId::Task(id) = id else { return false };
        let known = self.tasks.values().find_map(|of_family| of_family.get(id));
        known.is_some_and(|task| task.state == TaskState::Sent)
    }
}

fn tell(task: &NodeTask, batch: &mut Batch) {
    // Its host has read them, or nobody will: a task that was given up is not begun any more.
    for secret in task.verb.secrets() {
        batch.secret_remove(&secret.app, &secret.name);
    }
    let (kind, how) = match task.state {
        TaskState::Done => ("task.done", "done"),
        TaskState::Unknown => ("task.unknown", "nobody knows whether it was done"),
        TaskState::Expired => ("task.expired", "not begun in time"),
        _ => ("task.failed", "not done"),
    };
    let cause = task.cause.as_ref().map_or(String::new(), |cause| format!(": {cause}"));
    let message = format!("{}: {how}{cause}", task.verb);
    batch.event(NewEvent::new(kind, task.path.short(), message).by(&task.actor));
}
