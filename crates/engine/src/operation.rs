//! Operations: which of them have ended.

use crate::world::World;
use lace_model::NodeId;
use lace_model::event::NewEvent;
use lace_model::operation::{Operation, OperationState};
use lace_planner::{GoalProgress, goal_state};
use lace_store::Batch;
use std::collections::BTreeMap;

impl World {
    /// Ends the operations whose goals are reached or missed; notes what the others wait for.
    pub(crate) fn end_operations(&mut self, batch: &mut Batch) {
        let running: Vec<Operation> = self.operations.values().cloned().collect();
        for mut operation in running {
            let mut observed: BTreeMap<NodeId, _> = BTreeMap::new();
            for goal in &operation.waits {
                observed.extend(
                    self.observed.get(&goal.family).into_iter().flatten().map(|(k, v)| (*k, v.clone())),
                );
            }
            let progress = goal_state(&operation, &self.families, &self.targets, &observed, self.now);
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
