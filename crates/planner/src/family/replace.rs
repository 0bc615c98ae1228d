//! Nodes that are not as they should be give way, some at a time.

use super::draft::Draft;
use super::judge::has_crashed;
use super::{gate, hot, place, restart, wish};
use lace_model::Reason;
use lace_model::rollout::{Phase, Strategy};
use lace_model::target::PlannedNode;

/// Nodes that are named when others wait for them.
const WAITED_MAX: usize = 4;

/// Replaces outdated nodes: first those that serve nobody anyway, then, within `max_unavailable`, those that are ready.
pub(super) fn outdated(draft: &mut Draft) {
    let mut broken = Vec::new();
    let mut serving = Vec::new();
    for node in draft.running().filter(|n| draft.is_connected(n.host)) {
        if is_outdated(draft, node) {
            if draft.is_ready(node) { serving.push(node.clone()) } else { broken.push(node.clone()) }
        }
    }
    if broken.is_empty() && serving.is_empty() {
        return;
    }
    let budget = budget(draft);
    let unhindered = is_going_back(draft);
    let mut on_the_way = on_the_way(draft);
    for node in broken {
        if !unhindered && on_the_way >= budget {
            tell_wait(draft);
            break;
        }
        on_the_way += usize::from(renew(draft, &node));
    }
    let mut not_ready = not_ready(draft);
    for node in serving {
        if not_ready >= budget {
            tell_wait(draft);
            break;
        }
        not_ready += usize::from(renew(draft, &node));
    }
}

fn is_going_back(draft: &Draft) -> bool {
    matches!(draft.phase(), Some(Phase::Reverting { .. } | Phase::Aborted))
}

fn is_outdated(draft: &Draft, node: &PlannedNode) -> bool {
    let family = draft.family();
    node.revision != wish::of_node(draft, node)
        || node.restart < family.restart && !restart::has_failed(draft)
        || is_asked_for(draft, node)
        || is_drained(draft, node)
        || is_left_broken(draft, node)
}

fn is_asked_for(draft: &Draft, node: &PlannedNode) -> bool {
    draft.family().replace.get(&node.index) == Some(&node.id)
}

fn is_drained(draft: &Draft, node: &PlannedNode) -> bool {
    draft.host(node.host).is_some_and(|h| h.host.draining || h.host.removing)
}

/// A node that had crashed before this rollout began (a revision that is tried again): it would never come up.
fn is_left_broken(draft: &Draft, node: &PlannedNode) -> bool {
    let Some(rollout) = &draft.rollout else {
        return false;
    };
    rollout.phase == Phase::Rolling
        && draft.begun_at(node) < rollout.started_at
        && draft.status(node.id).is_some_and(|s| has_crashed(s, draft.restarts(s)))
}

/// How many wanted indexes may be without a ready node because of replacements.
fn budget(draft: &Draft) -> usize {
    let policy = &draft.family().rollout;
    let some = policy.max_unavailable.of(draft.family().count) as usize;
    match draft.strategy() {
        Strategy::Hot => 1,
        Strategy::Rolling | Strategy::Canary => some,
        Strategy::AllAtOnce => usize::MAX,
        // Where the new set cannot stand beside the old one: one goes first, then all.
        Strategy::BlueGreen if first_is_good(draft) => usize::MAX,
        Strategy::BlueGreen => 1,
    }
}

fn first_is_good(draft: &Draft) -> bool {
    draft.running().any(|n| !is_outdated(draft, n) && draft.is_good(n))
}

/// Wanted indexes whose node is on its way: replaced, or about to be.
fn on_the_way(draft: &Draft) -> usize {
    count_wanted(draft, |node| node.is_none_or(|n| !is_outdated(draft, n) && !draft.is_good(n)))
}

/// Wanted indexes without a ready node. Those that no host can take and those on silent hosts are not the rollout's
/// doing, and do not stop it.
fn not_ready(draft: &Draft) -> usize {
    count_wanted(draft, |node| node.is_none_or(|n| !draft.is_good(n) && draft.is_connected(n.host)))
}

fn count_wanted(draft: &Draft, test: impl Fn(Option<&PlannedNode>) -> bool) -> usize {
    draft
        .indexes()
        .filter(|index| !draft.unplaceable.contains(index))
        .filter(|index| test(draft.run(*index)))
        .count()
}

fn tell_wait(draft: &mut Draft) {
    let some = budget(draft).clamp(1, WAITED_MAX);
    let waited: Vec<PlannedNode> = draft
        .running()
        .filter(|n| draft.is_wanted(n.index) && !draft.is_good(n))
        .take(some)
        .cloned()
        .collect();
    for node in waited {
        let path = draft.path(node.index);
        if !draft.is_ready(&node) {
            draft.reason(Reason::WaitsForReady { node: path });
            continue;
        }
        draft.wake(draft.good_at(&node));
        draft.reason(Reason::WaitsForGood { node: path, span: draft.healthy_for() });
    }
}

/// A node gives way: its process is restarted in place where that is all that was asked for, or it is replaced.
fn renew(draft: &mut Draft, node: &PlannedNode) -> bool {
    if !is_asked_for(draft, node)
        && !is_drained(draft, node)
        && let Some(is_away) = hot::change_over(draft, node)
    {
        return is_away;
    }
    match restart::status_of(draft, node) {
        Some(restarts) if !is_asked_for(draft, node) && !is_drained(draft, node) => {
            match permit(draft, node) {
                Ok(()) => restart::in_place(draft, node, restarts),
                Err(reason) => {
                    draft.reason(reason);
                    return false;
                }
            }
            true
        }
        _ => replace(draft, node),
    }
}

/// Replaces a node where that is allowed and its successor has a place; otherwise it stays, with a reason.
fn replace(draft: &mut Draft, node: &PlannedNode) -> bool {
    let revision = wish::of_node(draft, node);
    if let Err(reason) = permit(draft, node).and_then(|()| gate::check(draft, revision)) {
        draft.reason(reason);
        return false;
    }
    let (index, host, address) = (node.index, node.host, node.address);
    match place::in_place(draft, index, revision, host) {
        Ok(()) => {
            draft.dismiss(index);
            draft.put(index, revision, host, address);
            true
        }
        // The name stays with the index, so the old node goes before the new one comes at another place.
        Err(_) if place::could(draft, index, revision, Some(host)) => {
            if let Some(old) = draft.dismiss(index) {
                draft.reason(Reason::WaitsForNode { node: old.id });
            }
            true
        }
        Err(reason) => {
            // All of a host that is to be left need room; of a rollout one at a time does.
            if is_drained(draft, node) || draft.homeless.is_empty() {
                draft.homeless.insert(index);
            }
            draft.reason(reason);
            place::tell_rejections(draft, revision);
            false
        }
    }
}

/// A pause or a waiting canary stops the rollout, not a drain or a person's word about one node.
pub(super) fn permit(draft: &Draft, node: &PlannedNode) -> Result<(), Reason> {
    if is_asked_for(draft, node) || is_drained(draft, node) {
        return Ok(());
    }
    if draft.family().paused {
        return Err(Reason::Paused);
    }
    match &draft.rollout {
        Some(rollout) if rollout.phase == Phase::Rolling => wish::hold(draft, rollout).map_or(Ok(()), Err),
        _ => Ok(()),
    }
}
