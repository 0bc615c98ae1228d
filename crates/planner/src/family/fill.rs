//! Missing indexes get nodes, the lowest first.

use super::draft::Draft;
use super::silence::Verdict;
use super::{beside, gate, place, votes, wish};
use lace_model::family::StateKind;
use lace_model::rollout::Phase;
use lace_model::target::PlannedNode;
use lace_model::{HostId, NodeId, Reason, Span};
use std::collections::BTreeSet;

/// Plans a node for every index that has none, where that is allowed and a host has room.
pub(super) fn missing(draft: &mut Draft) {
    let mut full = BTreeSet::new();
    for index in draft.indexes() {
        if draft.run(index).is_some() {
            continue;
        }
        if beside::is_new(draft, index) {
            if draft.family().paused {
                draft.reason(Reason::Paused);
                continue;
            }
            if matches!(draft.phase(), Some(Phase::Failed { .. })) {
                continue;
            }
        }
        let former = draft.slots.get(&index).and_then(|s| s.former);
        let revision = wish::of_new(draft, index, former);
        if let Err(reason) = gate::check(draft, revision) {
            // A job before the first nodes needs a host as they do, and they wait for it.
            let wants_host = matches!(reason, Reason::WaitsForJob { .. }) && draft.homeless.is_empty();
            if wants_host && !place::could(draft, index, revision, None) {
                draft.homeless.insert(index);
                place::tell_rejections(draft, revision);
            }
            draft.reason(reason);
            continue;
        }
        match way(draft, index) {
            Way::Free if full.contains(&revision) => {
                draft.unplaceable.insert(index);
            }
            Way::Free => {
                if !place_free(draft, index, revision) {
                    full.insert(revision);
                }
            }
            Way::After(old) => place_after(draft, index, revision, &old),
            Way::Blocked(node) => draft.reason(Reason::WaitsForNode { node }),
            Way::Away(host) => draft.reason(Reason::HostAway { host, left: Span(0) }),
        }
    }
}

enum Way {
    /// Nothing of this index is left that matters.
    Free,
    /// The old node is still going: its place may be given on.
    After(PlannedNode),
    /// Old nodes are still going at several places.
    Blocked(NodeId),
    /// An old node is on a host that does not answer, and there must not be two of it.
    Away(HostId),
}

fn way(draft: &mut Draft, index: u32) -> Way {
    let going = draft.slots.get(&index).map(|s| s.going.clone()).unwrap_or_default();
    let mut last: Option<PlannedNode> = None;
    for node in going {
        let Some(host) = draft.host(node.host) else {
            continue;
        };
        if !host.liveness.connected && draft.silence().verdict(host) == Verdict::Lost {
            // It may run on there: what may be there twice goes on elsewhere, and what has data or a vote waits.
            if draft.family().state == StateKind::Replaceable && !votes::has_vote(draft, index) {
                continue;
            }
            return Way::Away(node.host);
        }
        if last.as_ref().is_some_and(|l| (l.host, l.address) != (node.host, node.address)) {
            return Way::Blocked(node.id);
        }
        last = Some(node);
    }
    last.map_or(Way::Free, Way::After)
}

fn place_free(draft: &mut Draft, index: u32, revision: u64) -> bool {
    let Some((host, address)) = place::choose(draft, index, revision, None) else {
        draft.unplaceable.insert(index);
        place::tell_rejections(draft, revision);
        return false;
    };
    draft.put(index, revision, host, address);
    true
}

/// The successor gets the place and the address: its host starts it when the old one is gone.
fn place_after(draft: &mut Draft, index: u32, revision: u64, old: &PlannedNode) {
    match place::in_place(draft, index, revision, old.host) {
        Ok(()) => draft.put(index, revision, old.host, old.address),
        Err(_) => draft.reason(Reason::WaitsForNode { node: old.id }),
    }
}
