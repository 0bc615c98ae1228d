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
}

impl VoteSet {
    /// The first set of a family.
    pub fn first(members: impl IntoIterator<Item = Seat>) -> Self {
        Self { generation: 1, members: members.into_iter().collect() }
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
/// by two need not. New members first: the set is never smaller than it has to be.
pub fn next_set(now: &VoteSet, wanted: &BTreeSet<Seat>, settled: Settled) -> Option<VoteSet> {
    if settled != Settled::Whole || wanted.is_empty() {
        return None;
    }
    let joins = wanted.difference(&now.members).next();
    let leaves = now.members.difference(wanted).last();
    let mut members = now.members.clone();
    match (joins, leaves) {
        (Some(seat), _) => drop(members.insert(*seat)),
        (None, Some(seat)) => drop(members.remove(seat)),
        (None, None) => return None,
    }
    Some(VoteSet { generation: now.generation + 1, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_changes_by_one_member_and_only_when_the_last_change_has_settled() {
        let wanted = BTreeSet::from([1, 2, 3, 4, 5]);
        let mut set = VoteSet::first([1, 2, 3]);
        assert_eq!(next_set(&set, &wanted, Settled::Seen(2)), None);
        let mut sizes = vec![set.members.len()];
        while let Some(next) = next_set(&set, &wanted, Settled::Whole) {
            assert_eq!(next.generation, set.generation + 1);
            assert_eq!(next.members.symmetric_difference(&set.members).count(), 1);
            set = next;
            sizes.push(set.members.len());
        }
        assert_eq!((sizes, &set.members), (vec![3, 4, 5], &wanted));
        let mut left = Vec::new();
        while let Some(next) = next_set(&set, &BTreeSet::from([1, 2, 3]), Settled::Whole) {
            left.extend(set.members.difference(&next.members).copied());
            set = next;
        }
        assert_eq!(left, [5, 4]);
        let one_by_one = [1, 2, 3, 4, 5].map(|n| VoteSet::first(1..=n).majority());
        assert_eq!(one_by_one, [1, 2, 2, 3, 3]);
    }
}
