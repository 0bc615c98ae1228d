//! One index of a family: the node that shall run there, and those that are still going.

use lace_model::target::{PlannedNode, Target, Want};
use std::collections::BTreeMap;

/// One index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slot {
    /// The node that shall run.
    pub run: Option<PlannedNode>,
    /// Nodes that shall go, oldest first.
    pub going: Vec<PlannedNode>,
    /// The revision of a node that was lost in this very decision: its successor takes it while a rollout is held.
    pub former: Option<u64>,
}

impl Slot {
    /// The running node shall go; its successor may be planned.
    pub fn dismiss(&mut self) -> Option<PlannedNode> {
        let mut node = self.run.take()?;
        self.former = Some(node.revision);
        node.want = Want::Gone;
        self.going.push(node.clone());
        Some(node)
    }

    pub fn is_empty(&self) -> bool {
        self.run.is_none() && self.going.is_empty()
    }
}

/// The slots of a target.
pub(super) fn slots_of(target: Option<&Target>) -> BTreeMap<u32, Slot> {
    let mut slots = BTreeMap::<u32, Slot>::new();
    for node in target.into_iter().flat_map(|t| &t.nodes) {
        let slot = slots.entry(node.index).or_default();
        match node.want {
            Want::Run => slot.run = Some(node.clone()),
            Want::Gone => slot.going.push(node.clone()),
        }
    }
    slots
}

/// The nodes of slots, by index, those that go first.
pub(super) fn nodes_of(slots: &BTreeMap<u32, Slot>) -> Vec<PlannedNode> {
    slots.values().flat_map(|s| s.going.iter().chain(&s.run)).cloned().collect()
}
