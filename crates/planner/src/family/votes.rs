//! Who votes on a family's one copy: the first set with the first nodes, then one member at a time.

use super::draft::Draft;
use lace_model::Millis;
use lace_model::beam::Beam;
use lace_model::target::{VoteOrder, VoteSeat, Votes, witness_seat};
use lace_vote::{Settled, Terms, VoteSet, next_set};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Members at most: each asks each.
const MEMBERS_MAX: usize = 101;

type Seats = BTreeMap<u32, Ipv4Addr>;

/// Has the node at an index a vote that counts now?
pub(super) fn has_vote(draft: &Draft, index: u32) -> bool {
    let votes = draft.votes.as_ref().filter(|_| is_voted(draft));
    votes.is_some_and(|votes| votes.order.seats.iter().any(|seat| seat.index == index))
}

fn is_voted(draft: &Draft) -> bool {
    let revision = draft.running().map(|node| node.revision).max();
    let revision = revision.and_then(|number| draft.revision(number));
    revision.and_then(|revision| revision.spec.beam.as_ref()).is_some_and(Beam::is_voted)
}

/// Keeps the vote set what the family's nodes are, a step at a time. Counted from the committed target, so that one decision
/// makes one step however many rounds it takes.
pub(super) fn keep(draft: &mut Draft) {
    if !is_voted(draft) {
        return;
    }
    let current = draft.input.current;
    let base = current.and_then(|target| target.votes.as_ref());
    let wanted = wanted(draft, base);
    // All PID 1s of before are known to be gone: what they promised is gone with them.
    let is_new = current.is_none_or(|target| target.nodes.is_empty());
    let votes = match base {
        Some(base) if !is_new || Wanted::of(&base.order) == wanted => step(draft, base, &wanted),
        _ => first(draft.now(), base.map_or(0, |base| base.order.generation), &wanted),
    };
    if let Some(at) = votes.settles_at {
        draft.wake(at);
    }
    draft.votes = Some(votes);
}

/// Who shall vote.
#[derive(PartialEq)]
struct Wanted {
    seats: Seats,
    witness: Option<u32>,
}

impl Wanted {
    fn of(order: &VoteOrder) -> Self {
        let seats = order.seats.iter().map(|seat| (seat.index, seat.address)).collect();
        Self { seats, witness: order.witness }
    }

    fn order(&self, generation: u64) -> VoteOrder {
        let seats = self.seats.iter().map(|(index, address)| VoteSeat { index: *index, address: *address });
        VoteOrder { generation, seats: seats.collect(), witness: self.witness, is_first: false }
    }

    fn set(&self, generation: u64) -> VoteSet {
        let nodes = VoteSet { generation, ..VoteSet::first(self.seats.keys().copied()) };
        match self.witness {
            Some(seat) => nodes.with_witness(seat),
            None => nodes,
        }
    }
}

/// Indexes within the count that have a node or a vote, with their newest addresses; and the controller where they are even.
fn wanted(draft: &Draft, base: Option<&Votes>) -> Wanted {
    let mut seats = base.map(|base| Wanted::of(&base.order).seats).unwrap_or_default();
    seats.extend(draft.running().map(|node| (node.index, node.address)));
    let wanted = seats.into_iter().filter(|(index, _)| draft.is_wanted(*index));
    let seats: Seats = wanted.take(MEMBERS_MAX).collect();
    let is_even = !seats.is_empty() && seats.len().is_multiple_of(2);
    Wanted { seats, witness: is_even.then(|| witness_seat(draft.input.epoch)) }
}

fn first(now: Millis, before: u64, wanted: &Wanted) -> Votes {
    let generation = before + 1;
    Votes { order: wanted.order(generation), since: generation, founded_at: Some(now), settles_at: None }
}

fn step(draft: &mut Draft, base: &Votes, wanted: &Wanted) -> Votes {
    let mut members = Wanted::of(&base.order);
    let mut votes = Votes { settles_at: settles_at(draft, base), ..base.clone() };
    let set = members.set(base.order.generation);
    let whole = votes.settles_at.is_some_and(|at| at <= draft.now()) && !is_behind(draft, base);
    let settled = if whole { Settled::Whole } else { Settled::Seen(0) };
    // A node that came again may have another address; its seat is the same.
    members
        .seats
        .iter_mut()
        .for_each(|(index, address)| *address = *wanted.seats.get(index).unwrap_or(address));
    if let Some(next) = next_set(&set, &wanted.set(0), settled) {
        members.seats.retain(|index, _| next.members.contains(index));
        members.seats.extend(wanted.seats.iter().filter(|(index, _)| next.members.contains(index)));
        members.witness = next.witness;
        let order = members.order(next.generation);
        return Votes { order, since: next.generation, settles_at: None, ..votes };
    }
    if members.order(set.generation) != base.order {
        votes.order = members.order(set.generation + 1);
    }
    votes
}

/// Generations that the base's members know of.
fn seen<'a>(draft: &'a Draft, base: &'a Votes) -> impl Iterator<Item = u64> + 'a {
    let status = |seat: &VoteSeat| draft.run(seat.index).and_then(|node| draft.status(node.id));
    base.order.seats.iter().filter_map(move |seat| status(seat)?.votes_seen)
}

/// The nodes know of a newer set than the one that is stored: this controller was restored from a copy of before. It
/// cannot tell what is one step away from theirs, so they keep what they have.
fn is_behind(draft: &mut Draft, base: &Votes) -> bool {
    let newest = seen(draft, base).max().unwrap_or(0);
    let is_behind = newest > base.order.generation;
    if is_behind {
        draft.say(format!(
            "its nodes have vote set {newest}, and the restored controller knows {} only: who votes stays as it is \
             until the service was stopped and started",
            base.order.generation
        ));
    }
    is_behind
}

/// Once a majority gives no vote to older sets, those end when the promises of before have ended. The controller itself
/// reads the committed set before it gives a vote, so it has heard of it from the commit on.
fn settles_at(draft: &Draft, base: &Votes) -> Option<Millis> {
    let here = witness_seat(draft.input.epoch);
    let witness = usize::from(base.order.witness == Some(here));
    let seen = seen(draft, base).filter(|seen| *seen >= base.since).count() + witness;
    let members = base.order.seats.len() + usize::from(base.order.witness.is_some());
    base.settles_at.or_else(|| (seen > members / 2).then(|| draft.now() + Terms::USUAL.promise_ms))
}
