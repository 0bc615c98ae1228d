//! Which mesh of Erlang nodes a node belongs to. Where two revisions work side by side (blue-green, canary) each has its own,
//! and is never connected with the other; whoever rolls joins the mesh that is there.
//!
//! A mesh is a number, and a node keeps its own for life: its runtime reads its cookie once.

use super::draft::Draft;

/// The mesh of the new revision's nodes, where it is another one than that of the nodes that are there.
pub(super) fn of_rollout(draft: &Draft, from: Option<u64>, to: u64, is_split: bool) -> Option<u64> {
    let is_beam = |number| draft.revision(number).is_some_and(|revision| revision.spec.beam.is_some());
    if !is_split || !is_beam(to) || !may_part(draft, from?) || !may_part(draft, to) {
        return None;
    }
    // A revision that is tried again goes on in the mesh that it has.
    let there = draft.running().find(|node| node.revision == to).map(|node| node.mesh);
    if there.is_some() {
        return there.filter(|mesh| *mesh != draft.mesh);
    }
    // Any that no node has, those included that are still on their way out.
    let going = draft.slots.values().flat_map(|slot| slot.going.iter().chain(&slot.run));
    Some(going.map(|node| node.mesh).fold(draft.mesh, u64::max) + 1)
}

/// A distributed application has one copy in all of its family: its nodes stay together.
pub(super) fn may_part(draft: &Draft, revision: u64) -> bool {
    let beam = draft.revision(revision).and_then(|revision| revision.spec.beam.as_ref());
    beam.is_none_or(|beam| beam.failover.is_none())
}

/// The mesh of a node that is planned now.
pub(super) fn of_new(draft: &Draft, revision: u64) -> u64 {
    let rollout = draft.rollout.as_ref().filter(|rollout| rollout.to == revision);
    rollout.and_then(|rollout| rollout.mesh).unwrap_or(draft.mesh)
}
