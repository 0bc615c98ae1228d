//! Blue-green: the new revision comes up beside the old, at indexes of its own. When all of it is good the doors switch
//! in one step; the old nodes stay for a while, so that going back is as quick, and then they end.
//!
//! Names belong to indexes, so two sets need two ranges of them. The sets take turns: 1, 2, 3, then 101, 102, 103.

use super::draft::Draft;
use super::mesh;
use super::settle::turn;
use lace_model::rollout::{Phase, Rollout, Split, Strategy};
use lace_model::{Millis, Reason};
use std::ops::RangeInclusive;

/// The second set begins here at least.
const SECOND_MIN: u32 = 100;

/// A range that holds no index.
fn nobody() -> RangeInclusive<u32> {
    let (after, before) = (1, 0);
    after..=before
}

/// The indexes of the family's own nodes, and of those beside them (none where there is no such set).
pub(super) fn sets(draft: &Draft) -> (RangeInclusive<u32>, RangeInclusive<u32>) {
    let count = draft.family().count;
    let set = |base: u32, end: u32| base + 1..=base.saturating_add(count).min(end);
    match draft.rollout.as_ref().and_then(Rollout::beside) {
        None => (set(draft.base, u32::MAX), nobody()),
        // A family that grows meanwhile stops where the other set begins.
        Some(new) if new > draft.base => (set(draft.base, new), set(new, u32::MAX)),
        Some(new) => (set(draft.base, u32::MAX), set(new, draft.base)),
    }
}

/// Is the index one of the new set?
pub(super) fn is_new(draft: &Draft, index: u32) -> bool {
    sets(draft).1.contains(&index)
}

/// Where a second set begins: the lowest range that leaves both sets room to double. Where a family has several clusters its
/// first one is whole there, too.
fn second(base: u32, count: u32, cluster: u32) -> u32 {
    let room = count.saturating_mul(2);
    if base >= room.max(1) {
        return 0;
    }
    let mut step = SECOND_MIN;
    while step < base.saturating_add(room) {
        step = step.saturating_mul(10);
    }
    step.checked_next_multiple_of(cluster.max(1)).unwrap_or(step)
}

/// May the new set stand beside the old one? What belongs to an index (a volume, a vote) cannot be there twice, nor what
/// has one copy in all of the family.
fn may_stand(draft: &Draft, from: u64, to: u64) -> Result<(), &'static str> {
    let bound = |number: u64| {
        let spec = draft.revision(number).map(|revision| &revision.spec);
        spec.is_some_and(|spec| !spec.volumes.is_empty())
    };
    if bound(from) || bound(to) {
        return Err("its volumes belong to one index each");
    }
    if draft.family().state != lace_model::family::StateKind::Replaceable {
        return Err("its nodes are not replaceable");
    }
    if !mesh::may_part(draft, from) || !mesh::may_part(draft, to) {
        return Err("its nodes share one copy of a distributed application");
    }
    Ok(())
}

/// Would the two revisions be two clusters of Erlang nodes, side by side until the doors switch?
pub(super) fn parts(draft: &Draft, from: u64, to: u64) -> bool {
    draft.family().rollout.strategy == Strategy::BlueGreen
        && draft.family().count > 0
        && may_stand(draft, from, to).is_ok()
}

/// How a rollout that begins divides the work.
pub(super) fn split(draft: &Draft, from: Option<u64>, to: u64) -> Option<Split> {
    let from = from.filter(|from| *from != to)?;
    match draft.strategy_between(Some(from), to) {
        Strategy::Canary => Some(Split::default()),
        Strategy::BlueGreen if draft.family().count > 0 && may_stand(draft, from, to).is_ok() => {
            // A set that an earlier rollout left is taken over.
            let base = draft.rollout.as_ref().and_then(Rollout::beside);
            let cluster = draft.revision(to).and_then(|to| Some(to.spec.beam.as_ref()?.cluster_size));
            let base =
                base.unwrap_or_else(|| second(draft.base, draft.family().count, cluster.unwrap_or_default()));
            Some(Split { base: Some(base), permille: Some(0), ..Split::default() })
        }
        _ => None,
    }
}

/// Why a blue-green rollout is one node first and then all, in their places.
pub(super) fn tell_in_place(draft: &mut Draft, rollout: &Rollout) {
    let Some(from) = rollout.from.filter(|from| *from != rollout.to) else { return };
    if draft.strategy() == Strategy::BlueGreen
        && let Err(why) = may_stand(draft, from, rollout.to)
    {
        draft.say(format!("the new nodes take the places of the old, the first one alone: {why}"));
    }
}

/// All of the new set are good: the doors switch. True where the rollout has such a set.
pub(super) fn rolling(draft: &mut Draft, rollout: &Rollout) -> bool {
    if rollout.beside().is_none() {
        return false;
    }
    if draft.family().count == 0 {
        // Nobody is there to stand beside: the next node has the new revision.
        draft.rollout.iter_mut().for_each(|rollout| rollout.split = None);
        return true;
    }
    let mut all = true;
    for index in sets(draft).1 {
        all &= tell_unready(draft, index, rollout.to);
    }
    if !all {
        return true;
    }
    if draft.family().paused {
        draft.reason(Reason::Paused);
        return true;
    }
    let now = draft.now();
    if let Some(split) = draft.rollout.as_mut().and_then(|rollout| rollout.split.as_mut()) {
        (split.permille, split.since) = (Some(Split::WHOLE), Some(now));
    }
    let subject = &draft.family().path;
    draft.event("rollout.switched", subject, format!("the doors lead to revision {}", rollout.to));
    turn(draft, Phase::Watching { since: now });
    true
}

/// Is the node of an index of the new set good? If not, the reason is told.
fn tell_unready(draft: &mut Draft, index: u32, to: u64) -> bool {
    let Some(node) = draft.run(index).filter(|node| node.revision == to).cloned() else {
        let text = format!("waits for {} beside the old nodes", draft.path(index).short());
        draft.reason(Reason::Other { text });
        return false;
    };
    if draft.is_good(&node) {
        return true;
    }
    let path = draft.path(index);
    if draft.is_ready(&node) {
        draft.wake(draft.good_at(&node));
        draft.reason(Reason::WaitsForGood { node: path, span: draft.healthy_for() });
    } else {
        draft.reason(Reason::WaitsForReady { node: path });
    }
    false
}

/// The doors have switched: until when the old nodes stay.
pub(super) fn stays_until(draft: &Draft, rollout: &Rollout, since: Millis) -> Millis {
    let keep = draft.family().rollout.keep;
    let promoted = draft.family().promoted == Some(rollout.to);
    let watched = draft.healthy_for();
    since + if rollout.beside().is_some() && !promoted { keep.max(watched) } else { watched }.ms()
}

/// The new set is the family's from now on; the old one is beyond what is wanted.
pub(super) fn take_over(draft: &mut Draft, rollout: &Rollout) {
    if let Some(base) = rollout.beside() {
        draft.base = base;
    }
    draft.mesh = rollout.mesh.unwrap_or(draft.mesh);
    draft.rollout.iter_mut().for_each(|rollout| rollout.split = None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_have_room_to_double() {
        for (base, count, cluster, expected) in [
            (0, 3, 0, 100),
            (100, 3, 0, 0),
            (0, 50, 0, 100),
            (0, 51, 0, 1_000),
            (100, 60, 0, 1_000),
            (1_000, 60, 0, 0),
            (1_000, 600, 0, 10_000),
            (0, 6, 3, 102),
            (102, 6, 3, 0),
        ] {
            assert_eq!(second(base, count, cluster), expected, "{count} after {base}");
        }
    }
}
