//! Which revision an index shall have, by the phase of the rollout.

use super::draft::Draft;
use lace_model::Reason;
use lace_model::rollout::{Phase, Rollout, Strategy};
use lace_model::target::PlannedNode;

/// The revision that a node should have by now, if it were only up to the rollout's phase.
pub(super) fn of_node(draft: &Draft, node: &PlannedNode) -> u64 {
    match &draft.rollout {
        None => node.revision,
        Some(rollout) => match rollout.phase {
            Phase::Rolling | Phase::Watching { .. } | Phase::Done => rollout.to,
            Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted => {
                rollout.from.unwrap_or(rollout.to)
            }
            Phase::Failed { .. } => node.revision,
        },
    }
}

/// The revision of a node that is to be planned at an empty index. `former` is what a node that was just lost had.
pub(super) fn of_new(draft: &Draft, former: Option<u64>) -> u64 {
    let wanted = draft.family().revision;
    let Some(rollout) = &draft.rollout else {
        return wanted;
    };
    let back = rollout.from.filter(|from| draft.revision(*from).is_some() && !draft.is_bad(*from));
    match rollout.phase {
        Phase::Rolling if hold(draft, rollout).is_some() => former.or(back).unwrap_or(rollout.to),
        Phase::Rolling | Phase::Watching { .. } | Phase::Done => rollout.to,
        Phase::Reverting { .. } | Phase::Reverted { .. } | Phase::Aborted => {
            rollout.from.unwrap_or(rollout.to)
        }
        Phase::Failed { .. } => back.unwrap_or(rollout.to),
    }
}

/// Why the rollout may not replace more nodes now, if so: a pause, or a canary that sings for a person.
pub(super) fn hold(draft: &Draft, rollout: &Rollout) -> Option<Reason> {
    let family = draft.family();
    let to_come = draft.running().any(|n| n.revision != rollout.to);
    if family.paused && (to_come || rollout.from.is_none()) {
        return Some(Reason::Paused);
    }
    let canary = family.rollout.strategy == Strategy::Canary
        && rollout.from.is_some_and(|from| from != rollout.to)
        && family.promoted != Some(rollout.to);
    if canary && to_come && draft.running().any(|n| n.revision == rollout.to) {
        let text = format!(
            "one node runs revision {}: `lace rollout promote {}` rolls the rest, `abort` goes back",
            rollout.to, family.path
        );
        return Some(Reason::Other { text });
    }
    None
}
