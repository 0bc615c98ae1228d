//! Which revision an index shall have, by the phase of the rollout.

use super::draft::Draft;
use super::{beside, canary};
use lace_model::Reason;
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::PlannedNode;

/// The revision that a node should have by now, if it were only up to the rollout's phase.
pub(super) fn of_node(draft: &Draft, node: &PlannedNode) -> u64 {
    match &draft.rollout {
        None => node.revision,
        Some(rollout) => match rollout.phase {
            Phase::Failed { .. } => node.revision,
            _ if rollout.beside().is_some() => of_set(draft, rollout, node.index),
            Phase::Rolling | Phase::Watching { .. } | Phase::Done => rollout.to,
            Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted => {
                rollout.from.unwrap_or(rollout.to)
            }
        },
    }
}

/// The new set has the new revision, the old one keeps its own.
fn of_set(draft: &Draft, rollout: &Rollout, index: u32) -> u64 {
    if beside::is_new(draft, index) { rollout.to } else { rollout.from.unwrap_or(rollout.to) }
}

/// The revision of a node that is to be planned at an empty index. `former` is what a node that was just lost had.
pub(super) fn of_new(draft: &Draft, index: u32, former: Option<u64>) -> u64 {
    let wanted = draft.family().revision;
    let Some(rollout) = &draft.rollout else {
        return wanted;
    };
    let back = rollout.from.filter(|from| draft.revision(*from).is_some() && !draft.is_bad(*from));
    match rollout.phase {
        Phase::Rolling | Phase::Watching { .. } if rollout.beside().is_some() => {
            of_set(draft, rollout, index)
        }
        Phase::Rolling if hold(draft, rollout).is_some() => former.or(back).unwrap_or(rollout.to),
        Phase::Rolling | Phase::Watching { .. } | Phase::Done => rollout.to,
        Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted => {
            rollout.from.unwrap_or(rollout.to)
        }
        Phase::Failed { .. } => back.unwrap_or(rollout.to),
    }
}

/// Why the rollout may not replace more nodes now, if so: a pause, or a canary that sings.
pub(super) fn hold(draft: &Draft, rollout: &Rollout) -> Option<Reason> {
    let family = draft.family();
    if rollout.beside().is_some() {
        return None;
    }
    let to_come = draft.running().any(|n| n.revision != rollout.to);
    if family.paused && (to_come || rollout.from.is_none()) {
        return Some(Reason::Paused);
    }
    canary::hold(draft, rollout)
}
