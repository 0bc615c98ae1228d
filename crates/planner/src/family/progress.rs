//! How far the rollout is: all ready, watched for a while, done; or back where it came from.

use super::draft::Draft;
use super::settle::turn;
use super::{beside, canary, wish};
use lace_model::Reason;
use lace_model::rollout::{Phase, Rollout};

/// Moves the rollout's phase on, and tells what it waits for.
pub(super) fn progress(draft: &mut Draft) {
    let Some(rollout) = draft.rollout.clone() else {
        return;
    };
    match &rollout.phase {
        Phase::Rolling => rolling(draft, &rollout),
        Phase::Watching { since } => watching(draft, &rollout, *since),
        Phase::Reverting { cause } => going_back(draft, &rollout, cause.clone()),
        Phase::Aborted => going_back(draft, &rollout, "aborted".into()),
        Phase::Reverted { cause } | Phase::Failed { cause } => {
            draft.reason(Reason::RevisionFailed { revision: rollout.to, cause: cause.clone() });
        }
        Phase::Done => {}
    }
    tell_unready(draft);
}

fn rolling(draft: &mut Draft, rollout: &Rollout) {
    if draft.family().count == 0 {
        beside::rolling(draft, rollout);
        return draft.say("no nodes are wanted: the revision shows itself with the first one");
    }
    if beside::rolling(draft, rollout) {
        return;
    }
    canary::progress(draft, rollout);
    beside::tell_in_place(draft, rollout);
    let new = draft
        .running()
        .all(|n| n.revision == rollout.to && n.restart >= draft.family().restart && draft.is_ready(n));
    if new && has_all(draft) {
        let since = draft.now();
        turn(draft, Phase::Watching { since });
        return;
    }
    if let Some(reason) = wish::hold(draft, rollout) {
        draft.reason(reason);
    }
}

/// Every wanted index has its node, those aside that no host can take.
fn has_all(draft: &Draft) -> bool {
    draft.running().next().is_some()
        && draft.indexes().all(|i| draft.run(i).is_some() || draft.unplaceable.contains(&i))
}

fn watching(draft: &mut Draft, rollout: &Rollout, since: u64) {
    // Nodes that came after the watch began (or none at all) are not what was watched: once they are ready, it begins anew.
    let is_another = draft.running().any(|n| draft.begun_at(n) > since && !draft.is_ready(n));
    let beside = rollout.beside().is_some();
    if !beside && is_another || draft.running().next().is_none() {
        return turn(draft, Phase::Rolling);
    }
    let at = beside::stays_until(draft, rollout, since);
    let all_ready = has_all(draft)
        && draft.running().filter(|n| !beside || n.revision == rollout.to).all(|n| draft.is_ready(n));
    if draft.now() < at {
        draft.wake(at);
        return draft.reason(Reason::Watching { left: lace_model::Span(at - since) });
    }
    if beside && draft.family().paused {
        return draft.reason(Reason::Paused);
    }
    if !all_ready {
        return draft.say("watched long enough, but not every node is ready");
    }
    draft.good = Some(rollout.to);
    beside::take_over(draft, rollout);
    let subject = &draft.family().path;
    draft.event("rollout.done", subject, format!("revision {} is healthy", rollout.to));
    turn(draft, Phase::Done);
}

fn going_back(draft: &mut Draft, rollout: &Rollout, cause: String) {
    let from = rollout.from.unwrap_or(rollout.to);
    let settled =
        draft.running().all(|n| n.revision == from && (n.planned_at < rollout.moved_at || draft.is_ready(n)));
    if settled && (has_all(draft) || draft.family().count == 0) {
        let subject = &draft.family().path;
        draft.event("rollout.reverted", subject, format!("revision {from} is back: {cause}"));
        draft.rollout.iter_mut().for_each(|rollout| rollout.split = None);
        return turn(draft, Phase::Reverted { cause });
    }
    draft.say(format!("going back to revision {from}: {cause}"));
}

/// Every delay has a reason; one that does not change with each node that becomes ready.
fn tell_unready(draft: &mut Draft) {
    let unready = draft.running().any(|n| !draft.is_ready(n));
    if unready && !draft.has_reason() {
        draft.say("not every node is ready yet");
    }
}
