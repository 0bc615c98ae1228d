//! Vote sets, and how one becomes another.

use crate::Seat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who votes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteSet {
    /// The newer set counts; 0: nobody was told one yet.
    pub generation: u64,
    /// The voters.
    pub members: BTreeSet<Seat>,
    /// The member that is no node: it votes and never stands. It is asked only where the nodes alone make no majority,
    /// so who is whole needs it for nothing.
    #[serde(default)]
    pub witness: Option<Seat>,
}

impl VoteSet {
    /// The first set of a family.
    pub fn first(members: impl IntoIterator<Item = Seat>) -> Self {
        Self { generation: 1, members: members.into_iter().collect(), witness: None }
    }

    /// With a witness beside the nodes.
    #[must_use]
    pub fn with_witness(mut self, seat: Seat) -> Self {
        self.members.insert(seat);
        self.witness = Some(seat);
        self
    }

    /// The members that are nodes.
    pub fn nodes(&self) -> BTreeSet<Seat> {
        self.members.iter().filter(|seat| Some(**seat) != self.witness).copied().collect()
    }

    /// More than half of all.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
}

/// How far a set has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Members of it that are known to give no vote to older sets.
    Seen(usize),
    /// A majority of it has been known to for as long as a promise lasts.
    Whole,
}

/// The next set on the way from `now` to `wanted`: the same or one member more or less, and none before the last change
/// has settled. Majorities of two sets that differ by one member always share a voter; those of sets that differ
/// by two need not. New nodes first: the set is never smaller than it has to be. A witness that another one replaces (the
/// controller was restored) leaves before everything, for nobody may hear it any more; else a witness comes and goes last.
pub fn next_set(now: &VoteSet, wanted: &VoteSet, settled: Settled) -> Option<VoteSet> {
    let (nodes, aims) = (now.nodes(), wanted.nodes());
    if settled != Settled::Whole || aims.is_empty() {
        return None;
    }
    let mut next = VoteSet { generation: now.generation + 1, ..now.clone() };
    let is_replaced = now.witness.is_some() && wanted.witness.is_some() && now.witness != wanted.witness;
    let joins = aims.difference(&nodes).next().filter(|_| !is_replaced);
    let leaves = nodes.difference(&aims).last().filter(|_| !is_replaced);
    match (joins, leaves, now.witness, wanted.witness) {
        (Some(seat), ..) => drop(next.members.insert(*seat)),
        (None, Some(seat), ..) => drop(next.members.remove(seat)),
        (None, None, Some(seat), wanted) if wanted != Some(seat) => {
            next.members.remove(&seat);
            next.witness = None;
        }
        (None, None, None, Some(seat)) => next = next.with_witness(seat),
        _ => return None,
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_changes_by_one_member_and_only_when_the_last_change_has_settled() {
        let wanted = VoteSet::first([1, 2, 3, 4, 5]);
        let mut set = VoteSet::first([1, 2, 3]);
        assert_eq!(next_set(&set, &wanted, Settled::Seen(2)), None);
        let mut sizes = vec![set.members.len()];
        while let Some(next) = next_set(&set, &wanted, Settled::Whole) {
            assert_eq!(next.generation, set.generation + 1);
            assert_eq!(next.members.symmetric_difference(&set.members).count(), 1);
            set = next;
            sizes.push(set.members.len());
        }
        assert_eq!((sizes, &set.members), (vec![3, 4, 5], &wanted.members));
        let mut left = Vec::new();
        while let Some(next) = next_set(&set, &VoteSet::first([1, 2, 3]), Settled::Whole) {
            left.extend(set.members.difference(&next.members).copied());
            set = next;
        }
        assert_eq!(left, [5, 4]);
        let one_by_one = [1, 2, 3, 4, 5].map(|n| VoteSet::first(1..=n).majority());
        assert_eq!(one_by_one, [1, 2, 2, 3, 3]);
    }

    /// All sets on the way, as their members.
    fn way(from: VoteSet, to: &VoteSet) -> Vec<Vec<Seat>> {
        let mut way = Vec::new();
        let mut set = from;
        while let Some(next) = next_set(&set, to, Settled::Whole) {
            assert_eq!(next.members.symmetric_difference(&set.members).count(), 1);
            assert!(next.witness.is_none_or(|seat| next.members.contains(&seat)));
            way.push(next.members.iter().copied().collect());
            set = next;
        }
        assert_eq!((&set.members, set.witness), (&to.members, to.witness));
        way
    }

    #[test]
    fn a_witness_joins_and_leaves_last_and_a_replaced_one_first() {
        let two = VoteSet::first([1, 2]).with_witness(90);
        assert_eq!(way(two.clone(), &VoteSet::first([1, 2, 3])), [vec![1, 2, 3, 90], vec![1, 2, 3]]);
        assert_eq!(way(VoteSet::first([1, 2, 3]), &two), [vec![1, 2], vec![1, 2, 90]]);
        let other = VoteSet::first([1, 2]).with_witness(91);
        assert_eq!(way(two.clone(), &other), [vec![1, 2], vec![1, 2, 91]]);
        let four = VoteSet::first([1, 2, 3, 4]).with_witness(90);
        assert_eq!(way(two, &four), [vec![1, 2, 3, 90], vec![1, 2, 3, 4, 90]]);
    }
}
