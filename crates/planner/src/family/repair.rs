//! Nodes that fail through no fault of their revision: lost by their host, on a silent host, or impossible to make.
//! Crashed processes are not this room's business: PID 1 starts them again.

use super::draft::Draft;
use super::silence::Verdict;
use super::{gate, place, votes, wish};
use lace_model::family::StateKind;
use lace_model::node::NodePhase;
use lace_model::target::PlannedNode;
use lace_model::{Millis, Reason, Span};

/// A host that loses nodes faster than this is not given new ones at its own pace.
const VANISH_PAUSE_MS: Millis = 1_000;
/// A node that cannot be made is tried on another host after this long.
const ELSEWHERE_AFTER_MS: Millis = 10_000;

/// Nodes that shall run and whose host says that nothing of them is left: a new one comes.
pub(super) fn vanished(draft: &mut Draft) {
    let gone: Vec<PlannedNode> = draft
        .running()
        .filter(|n| draft.status(n.id).is_some_and(|s| s.phase == NodePhase::Gone))
        .cloned()
        .collect();
    for node in gone {
        let at = node.planned_at + VANISH_PAUSE_MS;
        if draft.now() < at {
            draft.wake(at);
            draft.say("its host says that a node is gone; planned again within a second");
            continue;
        }
        draft.change(node.index, |slot| {
            slot.run = None;
            slot.former = Some(node.revision);
        });
        let name = draft.path(node.index).short();
        draft.event("node.lost", name, "its host says that nothing of it is left");
    }
}

/// Nodes of hosts that do not answer.
pub(super) fn silent_hosts(draft: &mut Draft) {
    let away: Vec<PlannedNode> = draft.running().filter(|n| !draft.is_connected(n.host)).cloned().collect();
    for node in away {
        let Some(host) = draft.host(node.host) else {
            continue;
        };
        match draft.silence().verdict(host) {
            Verdict::Waiting(lost_at) => {
                // The whole span, not what is left of it: a target that changes with every tick would never rest.
                draft.reason(Reason::HostAway { host: node.host, left: super::AWAY_AFTER });
                if let Some(at) = lost_at {
                    draft.wake(at);
                }
            }
            Verdict::Many { away, of } => draft.reason(Reason::ManyHostsAway { away, of }),
            Verdict::Lost => lost(draft, &node, host.host.name.as_str()),
        }
    }
}

fn lost(draft: &mut Draft, node: &PlannedNode, host: &str) {
    let name = draft.path(node.index).short();
    let state = match draft.family().state {
        // A second PID 1 in the same seat could vote twice.
        StateKind::Replaceable if votes::has_vote(draft, node.index) => "voting",
        StateKind::Replaceable => {
            return move_away(draft, node, &format!("host {host} does not answer"));
        }
        StateKind::SingleWriter => "single-writer",
        StateKind::Pinned => "pinned",
    };
    draft.say(format!("{name} stays on the silent host {host}: its state is {state}"));
}

/// Plans a successor on another host at once; the node itself goes when its host can be told.
fn move_away(draft: &mut Draft, node: &PlannedNode, why: &str) {
    let revision = wish::of_new(draft, node.index, Some(node.revision));
    if let Err(reason) = gate::check(draft, revision) {
        return draft.reason(reason);
    }
    match place::choose(draft, node.index, revision, Some(node.host)) {
        Some((host, address)) => {
            draft.dismiss(node.index);
            draft.put(node.index, revision, host, address);
            let name = draft.path(node.index).short();
            draft.event("node.moved", name, why);
        }
        None => {
            if !draft.is_connected(node.host) {
                draft.reason(Reason::HostAway { host: node.host, left: Span(0) });
            }
            draft.homeless.insert(node.index);
            place::tell_rejections(draft, revision);
        }
    }
}

/// Nodes of a good revision that their host cannot make: another host tries.
pub(super) fn cannot_be_made(draft: &mut Draft) {
    let failed: Vec<PlannedNode> = draft
        .running()
        .filter(|n| Some(n.revision) == draft.good && draft.is_connected(n.host))
        .filter(|n| draft.status(n.id).is_some_and(|s| s.phase == NodePhase::Failed))
        .cloned()
        .collect();
    for node in failed {
        let Some(status) = draft.status(node.id) else {
            continue;
        };
        let detail = status.detail.clone().unwrap_or_else(|| "its host cannot make it".into());
        let at = status.since.max(node.planned_at) + ELSEWHERE_AFTER_MS;
        let elsewhere = draft.family().state == StateKind::Replaceable && !votes::has_vote(draft, node.index);
        if elsewhere && draft.now() >= at && place::could(draft, node.index, node.revision, Some(node.host)) {
            move_away(draft, &node, &detail);
            continue;
        }
        draft.wake(at);
        let name = draft.path(node.index).short();
        draft.say(format!("{name} cannot be made: {detail}"));
    }
}
