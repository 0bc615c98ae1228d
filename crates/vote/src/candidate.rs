//! The candidate: the votes that it was given, and the lease that they make.

use crate::{Seat, Terms, VoteSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A candidate's count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// By voter: the newest question that it said yes to, by our clock when we asked.
    grants: BTreeMap<Seat, u64>,
    /// By voter: when it answered anything, by our clock.
    heard: BTreeMap<Seat, u64>,
    /// What was given for questions up to here was given back.
    void: u64,
    /// The newest question for votes.
    pub asked: u64,
    /// The end of the lease; past or 0: none.
    pub lease_until: u64,
}

impl Tally {
    pub fn holds(&self, now: u64) -> bool {
        now < self.lease_until
    }

    /// A stamp for a question now: later than everything that was given back.
    pub fn stamp(&self, now: u64) -> Option<u64> {
        (now > self.void).then_some(now)
    }

    /// A voter answered. Says whether the lease begins with it.
    pub fn answered(
        &mut self,
        now: u64,
        terms: Terms,
        set: &VoteSet,
        from: Seat,
        (sent, granted): (u64, bool),
    ) -> bool {
        self.heard.insert(from, now);
        if !granted || sent <= self.void {
            return false;
        }
        let newest = self.grants.entry(from).or_default();
        *newest = sent.max(*newest);
        self.count(now, terms, set)
    }

    /// Counts again. Says whether the lease begins. It never becomes shorter by counting.
    pub fn count(&mut self, now: u64, terms: Terms, set: &VoteSet) -> bool {
        let held = self.holds(now);
        let mut sents: Vec<u64> =
            set.members.iter().filter_map(|seat| self.grants.get(seat)).copied().collect();
        sents.sort_unstable_by(|a, b| b.cmp(a));
        // The majority's oldest vote ends first.
        if let Some(oldest) = sents.get(set.majority() - 1) {
            self.lease_until = self.lease_until.max(oldest + terms.lease_ms);
        }
        !held && self.holds(now)
    }

    /// Do votes that were given within this time make a majority without this member?
    pub fn is_carried_without(&self, now: u64, within_ms: u64, set: &VoteSet, seat: Seat) -> bool {
        let fresh = |seat: &&Seat| self.grants.get(seat).is_some_and(|sent| sent + within_ms > now);
        set.members.iter().filter(|member| **member != seat).filter(fresh).count() >= set.majority()
    }

    /// Gives everything back; the newest question that is void then.
    pub fn release(&mut self) -> u64 {
        self.void = self.void.max(self.asked);
        self.grants.clear();
        self.lease_until = 0;
        self.void
    }

    /// Is a question for votes open?
    pub fn is_asking(&self) -> bool {
        self.asked > self.void
    }

    /// Members that answered within this time, ourselves aside.
    pub fn hears(&self, now: u64, within_ms: u64, seat: Seat) -> bool {
        self.heard.get(&seat).is_some_and(|at| at + within_ms > now)
    }

    /// Forgets what makes no difference any more.
    pub fn tick(&mut self, now: u64, terms: Terms) {
        self.grants.retain(|_, sent| *sent + terms.lease_ms > now);
        self.heard.retain(|_, at| *at + terms.lease_ms > now);
        if self.lease_until <= now {
            self.lease_until = 0;
        }
    }
}
