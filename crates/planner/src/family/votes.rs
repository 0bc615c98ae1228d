//! Who votes on a family's one copy: the first set with the first nodes, then one member at a time.

use super::draft::Draft;
use lace_model::Millis;
use lace_model::beam::Beam;
use lace_model::target::{VoteOrder, VoteSeat, Votes};
use lace_vote::{Settled, Terms, VoteSet, next_set};
use std::collections::{BTreeMap, BTreeSet};
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
        Some(base) if !is_new || seats(&base.order) == wanted => step(draft, base, &wanted),
        _ => first(base.map_or(0, |base| base.order.generation), wanted),
    };
    if let Some(at) = votes.settles_at {
        draft.wake(at);
    }
    draft.votes = Some(votes);
}

/// Indexes within the count that have a node or a vote, with their newest addresses.
fn wanted(draft: &Draft, base: Option<&Votes>) -> Seats {
    let mut wanted = base.map(|base| seats(&base.order)).unwrap_or_default();
    wanted.extend(draft.running().map(|node| (node.index, node.address)));
    wanted.into_iter().filter(|(index, _)| draft.is_wanted(*index)).take(MEMBERS_MAX).collect()
}

fn seats(order: &VoteOrder) -> Seats {
    order.seats.iter().map(|seat| (seat.index, seat.address)).collect()
}

fn order(generation: u64, seats: &Seats) -> VoteOrder {
    let seats = seats.iter().map(|(index, address)| VoteSeat { index: *index, address: *address });
    VoteOrder { generation, seats: seats.collect() }
}

fn first(before: u64, wanted: Seats) -> Votes {
    let generation = before + 1;
    Votes { order: order(generation, &wanted), since: generation, settles_at: None }
}

fn step(draft: &Draft, base: &Votes, wanted: &Seats) -> Votes {
    let mut seats = seats(&base.order);
    let mut votes = Votes { settles_at: settles_at(draft, base), ..base.clone() };
    let set = VoteSet { generation: base.order.generation, members: seats.keys().copied().collect() };
    let whole = votes.settles_at.is_some_and(|at| at <= draft.now());
    let settled = if whole { Settled::Whole } else { Settled::Seen(0) };
    let indexes: BTreeSet<u32> = wanted.keys().copied().collect();
    // A node that came again may have another address; its seat is the same.
    seats.iter_mut().for_each(|(index, address)| *address = *wanted.get(index).unwrap_or(address));
    if let Some(next) = next_set(&set, &indexes, settled) {
        seats.retain(|index, _| next.members.contains(index));
        seats.extend(wanted.iter().filter(|(index, _)| next.members.contains(index)));
        return Votes { order: order(next.generation, &seats), since: next.generation, settles_at: None };
    }
    if order(set.generation, &seats) != base.order {
        votes.order = order(set.generation + 1, &seats);
    }
    votes
}

/// Once a majority gives no vote to older sets, those end when the promises of before have ended.
fn settles_at(draft: &Draft, base: &Votes) -> Option<Millis> {
    let has_seen = |seat: &&VoteSeat| {
        let status = draft.run(seat.index).and_then(|node| draft.status(node.id));
        status.and_then(|status| status.votes_seen).is_some_and(|seen| seen >= base.since)
    };
    let seen = base.order.seats.iter().filter(has_seen).count();
    let majority = base.order.seats.len() / 2 + 1;
    base.settles_at.or_else(|| (seen >= majority).then(|| draft.now() + Terms::USUAL.promise_ms))
}
