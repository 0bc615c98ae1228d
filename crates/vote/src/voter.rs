//! The voter: one promise at a time.

use crate::{Seat, Terms};
use serde::{Deserialize, Serialize};

/// A candidate's life: its seat, and which start of it.
pub(crate) type Candidate = (Seat, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Promise {
    to: Candidate,
    /// The newest question that it was given for.
    sent: u64,
    until: u64,
}

/// The voter's memory. It is all that safety stands on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Voter {
    /// A life before this one may have promised something until then.
    deaf_until: u64,
    promise: Option<Promise>,
    /// The newest vote set that was heard of: who counts by an older one gets no vote.
    pub seen: u64,
}

impl Voter {
    pub fn new(terms: Terms, now: u64) -> Self {
        Self { deaf_until: now + terms.promise_ms, promise: None, seen: 0 }
    }

    /// Gives the vote or does not.
    pub fn asked(&mut self, now: u64, terms: Terms, who: Candidate, sent: u64, generation: u64) -> bool {
        let is_old = generation < self.seen;
        self.seen = self.seen.max(generation);
        if is_old || !self.is_awake(now) || !self.is_free_for(now, who) {
            return false;
        }
        let former = self.promise.filter(|promise| promise.to == who);
        let (last, end) = former.map_or((0, 0), |promise| (promise.sent, promise.until));
        let until = end.max(now + terms.promise_ms);
        self.promise = Some(Promise { to: who, sent: last.max(sent), until });
        true
    }

    /// There was no life before.
    pub fn wake(&mut self, now: u64) {
        self.deaf_until = now;
    }

    /// It may give its vote.
    pub fn is_awake(&self, now: u64) -> bool {
        now >= self.deaf_until
    }

    /// Nobody has its vote.
    pub fn is_free(&self, now: u64) -> bool {
        self.promise.is_none_or(|promise| promise.until <= now)
    }

    /// Nobody else has its vote.
    pub fn is_free_for(&self, now: u64, who: Candidate) -> bool {
        self.promise.is_none_or(|promise| promise.to == who || promise.until <= now)
    }

    /// The candidate gives the vote back. An old release that was long on its way is about a former vote. Says whether
    /// the vote is free now.
    pub fn released(&mut self, who: Candidate, sent: u64) -> bool {
        let meant = self.promise.is_some_and(|promise| promise.to == who && promise.sent <= sent);
        if meant {
            self.promise = None;
        }
        meant
    }

    /// Forgets what is over.
    pub fn tick(&mut self, now: u64) {
        self.promise = self.promise.filter(|promise| promise.until > now);
    }
}
