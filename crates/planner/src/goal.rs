//! When is an operation done?

use lace_model::family::Family;
use lace_model::node::NodeStatus;
use lace_model::operation::Operation;
use lace_model::target::Target;
use lace_model::{Code, FamilyPath, Millis, NodeId};
use std::collections::BTreeMap;

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

/// Where an operation stands, by its goals.
pub fn goal_state(
    op: &Operation,
    families: &BTreeMap<FamilyPath, Family>,
    targets: &BTreeMap<FamilyPath, Target>,
    observed: &BTreeMap<NodeId, NodeStatus>,
    now: Millis,
) -> GoalProgress {
    let _ = (op, families, targets, observed, now);
    GoalProgress::Running(String::new())
}
