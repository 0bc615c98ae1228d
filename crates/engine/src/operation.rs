//! Operations: which of them have ended.

use crate::world::World;
use lace_model::event::NewEvent;
use lace_model::operation::{Operation, OperationState};
use lace_model::{Code, FamilyPath, Millis, NodeId};
use lace_planner::{GoalFacts, GoalProgress, goal_state};
use lace_store::Batch;
use std::collections::{BTreeMap, BTreeSet};

/// Abandoned nodes of a family that an operation names; the events name all.
const ABANDONED_NAMED_MAX: usize = 100;

impl World {
    fn progress(&self, operation: &Operation) -> GoalProgress {
        if let Some(until) = operation.held_until {
            return self.held(operation, until);
        }
        let tasks = self.tasks.values().flat_map(BTreeMap::values);
        let tasks: Vec<_> = tasks.filter(|t| t.operation == Some(operation.id)).collect();
        let families = operation.waits.iter().map(|goal| &goal.family);
        let families: BTreeSet<_> = families.chain(tasks.iter().map(|t| &t.path.family)).collect();
        let mut observed: BTreeMap<NodeId, _> = BTreeMap::new();
        for family in families {
            observed.extend(self.observed.get(family).into_iter().flatten().map(|(k, v)| (*k, v.clone())));
        }
        let facts = GoalFacts {
            families: &self.families,
            targets: &self.targets,
            revisions: &self.revisions,
            observed: &observed,
            tasks: &tasks,
            now: self.now,
        };
        goal_state(operation, &facts)
    }

    /// What the controller works at itself ends by its own word; nobody says it any more where that controller has stopped.
    fn held(&self, operation: &Operation, until: Millis) -> GoalProgress {
        if self.now <= until && operation.started_at >= self.started_at {
            return GoalProgress::Running(operation.message.clone());
        }
        let text = if self.now > until { "it took too long" } else { "the controller was stopped meanwhile" };
        GoalProgress::Failed(Code::Error, format!("{text}: ask for it again"), Vec::new())
    }

    /// Operations that delete a family name what was given up.
    pub(crate) fn name_abandoned(&mut self, family: &FamilyPath, lines: Vec<String>, batch: &mut Batch) {
        if lines.is_empty() {
            return;
        }
        let deletes = |o: &&Operation| o.waits.iter().any(|g| g.family == *family && g.revision.is_none());
        let owners: Vec<Operation> = self.operations.values().filter(deletes).cloned().collect();
        for mut operation in owners {
            operation.details.extend(lines.iter().take(ABANDONED_NAMED_MAX).cloned());
            self.put(&operation, batch);
            self.operations.insert(operation.id, operation);
        }
    }

    /// Ends the operations whose goals are reached or missed; notes what the others wait for.
    pub(crate) fn end_operations(&mut self, batch: &mut Batch) {
        let running: Vec<Operation> = self.operations.values().cloned().collect();
        for mut operation in running {
            let progress = self.progress(&operation);
            let before = operation.clone();
            match progress {
                GoalProgress::Running(message) => operation.message = message,
                GoalProgress::Done(message) => {
                    operation.state = OperationState::Done;
                    operation.message = message;
                }
                GoalProgress::Failed(code, message, details) => {
                    operation.state = OperationState::Failed;
                    operation.code = Some(code);
                    operation.message = message;
                    operation.details = details;
                }
            }
            if operation == before {
                continue;
            }
            if operation.state != OperationState::Running {
                operation.ended_at = Some(self.now);
                let kind = if operation.state == OperationState::Done {
                    "operation.done"
                } else {
                    "operation.failed"
                };
                let message = format!("{}: {}", operation.verb, operation.message);
                batch.event(NewEvent::new(kind, &operation.subject, message).by(operation.actor.clone()));
            }
            self.put(&operation, batch);
        }
    }
}
