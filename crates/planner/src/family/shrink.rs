//! Fewer nodes: the highest indexes go first; a stopped or deleted family has none.

use super::draft::Draft;
use super::votes;
use lace_model::Reason;

/// All nodes shall go.
pub(super) fn everything(draft: &mut Draft) {
    dismiss_from(draft, 0);
    if let Some(at) = draft.family().force_at.filter(|_| draft.family().deleting) {
        if draft.now() < at { draft.wake(at) } else { abandon(draft) }
    }
}

/// What does not go is given up, and named. Its host is told that nothing names it any more, and removes it in the end.
fn abandon(draft: &mut Draft) {
    let indexes: Vec<u32> = draft.slots.keys().copied().collect();
    for index in indexes {
        for node in draft.change(index, |slot| std::mem::take(&mut slot.going)) {
            let name = draft.path(index).short();
            let host =
                draft.host(node.host).map_or_else(|| node.host.to_string(), |h| h.host.name.to_string());
            let message = format!("abandoned: host {host} has not removed it; it goes on trying");
            draft.abandoned.push(format!("{name} ({}) is {message}", node.id));
            draft.event("node.abandoned", name, message);
        }
    }
}

/// Nodes beyond the wanted count shall go.
pub(super) fn beyond_count(draft: &mut Draft) {
    for index in
        running_from(draft, 0).into_iter().filter(|index| !draft.is_wanted(*index)).collect::<Vec<_>>()
    {
        // Who has a vote is missed by a majority: first the set becomes smaller, then the family.
        if votes::has_vote(draft, index) {
            draft.say(format!("{} leaves when it has no vote any more", draft.path(index).short()));
        } else {
            draft.dismiss(index);
        }
    }
    let going: Vec<u32> = draft.slots.keys().copied().filter(|index| !draft.is_wanted(*index)).collect();
    for index in going.into_iter().rev() {
        draft.reason(Reason::ScalingDown { index });
    }
}

fn dismiss_from(draft: &mut Draft, first: u32) {
    for index in running_from(draft, first) {
        draft.dismiss(index);
    }
}

fn running_from(draft: &Draft, first: u32) -> Vec<u32> {
    draft.slots.range(first..).filter(|(_, s)| s.run.is_some()).map(|(index, _)| *index).collect()
}
