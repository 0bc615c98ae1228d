//! Which rollout is under way: a new revision begins one, a person's word ends one or tries again.

use super::draft::Draft;
use super::{beside, mesh};
use lace_model::Reason;
use lace_model::rollout::{Phase, Rollout};

/// Brings the rollout's record in line with what is wanted, before any node follows it: a rollout that is aborted in
/// the moment in which it begins touches nothing.
pub(super) fn settle(draft: &mut Draft) {
    const STEPS_MAX: usize = 3;
    for _ in 0..STEPS_MAX {
        let before = draft.rollout.clone();
        step(draft);
        if draft.rollout == before {
            break;
        }
    }
}

fn step(draft: &mut Draft) {
    let wanted = draft.family().revision;
    let Some(rollout) = draft.rollout.clone() else {
        return begin(draft, draft.good);
    };
    if rollout.to != wanted {
        if draft.is_bad(wanted) && draft.good.is_some() {
            return tell_bad(draft, wanted);
        }
        // Back to the good revision is a restart of it: should it fail now, that does not make it a bad one.
        return begin(draft, draft.good);
    }
    match &rollout.phase {
        Phase::Rolling | Phase::Watching { .. } if draft.family().aborted == Some(wanted) => {
            abort(draft, &rollout)
        }
        Phase::Done if restart_is_new(draft) => begin(draft, Some(wanted)),
        Phase::Failed { .. } | Phase::Reverted { .. } if may_try_again(draft, &rollout) => {
            begin(draft, draft.good.filter(|good| *good != wanted));
        }
        Phase::Failed { .. } if restart_is_new(draft) && rollout.from.is_none_or(|from| from == wanted) => {
            begin(draft, rollout.from);
        }
        _ => {}
    }
}

fn begin(draft: &mut Draft, from: Option<u64>) {
    let now = draft.now();
    let to = draft.family().revision;
    let what = match from {
        Some(from) if from == to => format!("restart of revision {to}"),
        Some(from) => format!("revision {from} to {to}"),
        None => format!("revision {to}"),
    };
    let split = beside::split(draft, from, to);
    let mesh = mesh::of_rollout(draft, from, to, split.is_some());
    draft.rollout = Some(Rollout {
        from,
        to,
        phase: Phase::Rolling,
        started_at: now,
        moved_at: now,
        last_lines: Vec::new(),
        split,
        mesh,
    });
    let subject = &draft.family().path;
    draft.event("rollout.started", subject, what);
}

fn tell_bad(draft: &mut Draft, revision: u64) {
    let cause = draft.revision(revision).and_then(|r| r.bad.clone()).unwrap_or_default();
    draft.reason(Reason::RevisionFailed { revision, cause });
}

/// A revision whose bad mark (or abort) a person has cleared.
fn may_try_again(draft: &Draft, rollout: &Rollout) -> bool {
    !draft.is_bad(rollout.to)
        && draft.family().aborted != Some(rollout.to)
        && rollout.from != Some(rollout.to)
}

/// A restart that none of the nodes has seen yet.
fn restart_is_new(draft: &Draft) -> bool {
    let wanted = draft.family().restart;
    let mut newest = None;
    for node in draft.running() {
        newest = newest.max(Some(node.restart));
    }
    newest.is_some_and(|newest| newest < wanted)
}

fn abort(draft: &mut Draft, rollout: &Rollout) {
    let back = rollout.from.is_some_and(|from| from != rollout.to);
    let phase = if back { Phase::Aborted } else { Phase::Failed { cause: "aborted".into() } };
    let subject = &draft.family().path;
    draft.event("rollout.aborted", subject, format!("revision {} was aborted", rollout.to));
    turn(draft, phase);
}

/// The rollout enters another phase.
pub(super) fn turn(draft: &mut Draft, phase: Phase) {
    let now = draft.now();
    if let Some(rollout) = &mut draft.rollout {
        rollout.phase = phase;
        rollout.moved_at = now;
    }
}
