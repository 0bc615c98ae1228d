//! One member: told the time, what others said and what its node does; answers with what to do.

use crate::candidate::Tally;
use crate::message::{Body, Message};
use crate::voter::{Candidate, Voter};
use crate::{Seat, Terms, VoteSet};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this to a member.
    Send {
        /// To whom.
        to: Seat,
        /// What.
        message: Message,
    },
    /// The lease has begun: the application may be started, after [`Elector::begin_use`].
    Holds,
    /// The lease is over and the copy may still run: it must end at once.
    Stop,
    /// Somebody is preferred: the application shall be stopped, then [`Elector::end_use`].
    Yield,
}

/// How a member stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It counts by this set.
    pub generation: u64,
    /// It gives no vote to who counts by an older set than this one.
    pub seen: u64,
    /// It gives votes: what a life before it may have promised is over.
    pub votes: bool,
    /// It wants to hold.
    pub stands: bool,
    /// It holds for so long, ms; 0: it does not.
    pub holds_ms: u64,
    /// The application may be running.
    pub in_use: bool,
    /// The application shall be stopped in order: somebody is preferred.
    pub yields: bool,
    /// Members that said nothing for as long as a lease, while it asked them; the witness, which is seldom asked, is none
    /// of them.
    pub unheard: Vec<Seat>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Elector {
    me: Candidate,
    terms: Terms,
    set: VoteSet,
    voter: Voter,
    tally: Tally,
    /// Its lasting preference, while it stands.
    stands: Option<u64>,
    #[serde(default)]
    stands_since: u64,
    /// A preference above that: a person wished for this member, and later for no other one that was heard of.
    #[serde(default)]
    wish: Option<u64>,
    in_use: bool,
    yields: bool,
    next_ask: u64,
    /// After it has made room it asks for no votes until then.
    defers_until: u64,
    /// Rounds without success: spreads candidates that meet.
    attempts: u32,
}

impl Elector {
    /// A member that begins now. What a former life of it promised is not known, so it votes for nobody at first.
    pub fn new(seat: Seat, incarnation: u64, terms: Terms, now: u64) -> Self {
        Self {
            me: (seat, incarnation),
            terms,
            set: VoteSet::default(),
            voter: Voter::new(terms, now),
            tally: Tally::default(),
            stands: None,
            stands_since: now,
            wish: None,
            in_use: false,
            yields: false,
            next_ask: 0,
            defers_until: 0,
            attempts: 0,
        }
    }

    /// The first life of its seat: nobody promised anything there before, so it votes from now on.
    #[must_use]
    pub fn with_nothing_before(mut self, now: u64) -> Self {
        self.voter.wake(now);
        self
    }

    /// The vote set, from the controller. What is not newer is ignored.
    pub fn order(&mut self, now: u64, set: VoteSet) -> Vec<Output> {
        if set.generation <= self.set.generation {
            return Vec::new();
        }
        self.voter.seen = self.voter.seen.max(set.generation);
        self.set = set;
        let mut out = Vec::new();
        if self.tally.count(now, self.terms, &self.set) {
            out.push(Output::Holds);
        }
        // Who is no member any more cannot go on for long: better in order, and now.
        if !self.set.members.contains(&self.me.0) && self.in_use && !std::mem::replace(&mut self.yields, true)
        {
            out.push(Output::Yield);
        }
        out
    }

    /// The node can run the application, and wants to with this preference.
    pub fn stand(&mut self, now: u64, preference: u64) {
        if self.stands.is_none() {
            self.stands_since = now;
            self.next_ask = now;
            self.attempts = 0;
        }
        self.stands = Some(preference);
    }

    /// Somebody wants the copy at this member, which stands: with this preference, until another member asks with a higher
    /// one. Without that end a wish of long ago would outbid the lasting preference of whoever comes back.
    pub fn wish(&mut self, preference: u64) {
        self.wish = self.stands.map(|_| preference);
    }

    /// The node's process has ended: no copy runs here, and it wants nothing any more.
    pub fn withdraw(&mut self, now: u64) -> Vec<Output> {
        self.stands = None;
        self.wish = None;
        self.in_use = false;
        self.yields = false;
        self.release(now)
    }

    /// May the application be started now? From a yes on the copy counts as running.
    pub fn begin_use(&mut self, now: u64) -> bool {
        self.in_use |= self.stands.is_some() && self.tally.holds(now) && !self.yields;
        self.in_use
    }

    /// The application was stopped in order: no copy runs here.
    pub fn end_use(&mut self, now: u64) -> Vec<Output> {
        self.in_use = false;
        if !std::mem::take(&mut self.yields) {
            return Vec::new();
        }
        self.make_room(now)
    }

    /// A message came.
    pub fn heard(&mut self, now: u64, message: Message) -> Vec<Output> {
        let from = (message.from, message.incarnation);
        match message.body {
            Body::Ask { sent, generation, preference, hears, probe } => {
                let granted = !probe && self.voter.asked(now, self.terms, from, sent, generation);
                let answer = Body::Answer { sent, to: from.1, granted, generation: self.voter.seen };
                let mut out = vec![self.say(from.0, answer)];
                if self.set.members.contains(&from.0) {
                    self.wish = self.wish.filter(|mine| *mine >= preference);
                    if hears {
                        out.extend(self.somebody_wants(now, preference));
                    }
                }
                out
            }
            Body::Answer { sent, to, granted, generation } => {
                self.voter.seen = self.voter.seen.max(generation);
                if to != self.me.1 || !self.set.members.contains(&from.0) {
                    return Vec::new();
                }
                self.answered(now, from.0, sent, granted)
            }
            Body::Release { sent } => {
                if self.voter.released(from, sent) && self.stands.is_some() && !self.tally.holds(now) {
                    // Who is first in the set tries first.
                    let before = self.set.members.iter().filter(|seat| **seat < self.me.0).count() as u64;
                    self.next_ask = self.next_ask.min(now + before * self.terms.ask_ms / 8);
                }
                Vec::new()
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64) -> Vec<Output> {
        let mut out = Vec::new();
        let lapsed = self.tally.lease_until != 0 && !self.tally.holds(now);
        self.voter.tick(now);
        self.tally.tick(now, self.terms);
        if lapsed {
            self.yields = false;
            if std::mem::take(&mut self.in_use) {
                // The process that stood is about to be ended.
                self.stands = None;
                self.wish = None;
                out.push(Output::Stop);
            }
        }
        if now >= self.next_ask && self.stands.is_some() && self.set.members.contains(&self.me.0) {
            out.extend(self.next_round(now));
        }
        out
    }

    /// When the next tick is due.
    pub fn due(&self) -> Option<u64> {
        let lease = (self.tally.lease_until != 0).then_some(self.tally.lease_until);
        let ask = self.stands.filter(|_| self.set.members.contains(&self.me.0)).map(|_| self.next_ask);
        lease.into_iter().chain(ask).min()
    }

    /// It may be forgotten: it has promised nothing, and wants nothing.
    pub fn is_idle(&self, now: u64) -> bool {
        self.stands.is_none() && self.voter.is_awake(now) && self.voter.is_free(now)
    }

    /// Which life of the seat it is.
    pub fn incarnation(&self) -> u64 {
        self.me.1
    }

    /// Its own seat.
    pub fn seat(&self) -> Seat {
        self.me.0
    }

    /// How it stands.
    pub fn standing(&self, now: u64) -> Standing {
        let is_node = |seat: &Seat| *seat != self.me.0 && Some(*seat) != self.set.witness;
        // A majority may be there before the others have answered at all: only who asks for so long knows who is silent.
        let knows = self.stands.is_some() && now >= self.stands_since + self.terms.lease_ms;
        let hears = |seat: &Seat| self.tally.hears(now, self.terms.lease_ms, *seat);
        let unheard = |seat: &&Seat| knows && is_node(seat) && !hears(seat);
        Standing {
            generation: self.set.generation,
            seen: self.voter.seen,
            votes: self.voter.is_awake(now),
            stands: self.stands.is_some(),
            holds_ms: self.tally.lease_until.saturating_sub(now),
            in_use: self.in_use,
            yields: self.yields,
            unheard: self.set.members.iter().filter(unheard).copied().collect(),
        }
    }
}

impl Elector {
    /// How much it wants the copy now; none where it does not stand.
    fn preference(&self) -> Option<u64> {
        self.stands.max(self.wish)
    }

    fn say(&self, to: Seat, body: Body) -> Output {
        Output::Send { to, message: Message { from: self.me.0, incarnation: self.me.1, body } }
    }

    fn say_all(&self, body: Body) -> Vec<Output> {
        let others = self.set.members.iter().filter(|seat| **seat != self.me.0);
        others.map(|seat| self.say(*seat, body)).collect()
    }

    fn answered(&mut self, now: u64, from: Seat, sent: u64, granted: bool) -> Vec<Output> {
        let begins = self.tally.answered(now, self.terms, &self.set, from, (sent, granted));
        if begins {
            self.attempts = 0;
            return vec![Output::Holds];
        }
        Vec::new()
    }

    /// A candidate that hears a majority asks. Whoever holds with less preference makes room.
    fn somebody_wants(&mut self, now: u64, preference: u64) -> Vec<Output> {
        let less = self.preference().is_some_and(|mine| mine < preference);
        if !less || !self.tally.holds(now) || self.yields {
            return Vec::new();
        }
        if !self.in_use {
            return self.make_room(now);
        }
        self.yields = true;
        vec![Output::Yield]
    }

    fn make_room(&mut self, now: u64) -> Vec<Output> {
        self.defers_until = now + self.terms.lease_ms;
        self.release(now)
    }

    /// Gives all votes back. Only when no copy runs here.
    fn release(&mut self, now: u64) -> Vec<Output> {
        debug_assert!(!self.in_use, "votes are given back while a copy runs");
        if !self.tally.is_asking() && !self.tally.holds(now) {
            return Vec::new();
        }
        let sent = self.tally.release();
        self.voter.released(self.me, sent);
        self.say_all(Body::Release { sent })
    }

    fn next_round(&mut self, now: u64) -> Vec<Output> {
        if !self.tally.holds(now) && self.tally.is_asking() {
            // No majority: others may have more luck.
            self.attempts = (self.attempts + 1) % 16;
            self.next_ask = now + self.pause();
            return self.release(now);
        }
        self.next_ask = now + self.terms.ask_ms;
        self.ask(now)
    }

    fn ask(&mut self, now: u64) -> Vec<Output> {
        let Some(preference) = self.preference() else { return Vec::new() };
        // Whose own vote somebody else has cannot win: it only looks who is there.
        let probe =
            !self.tally.holds(now) && (now < self.defers_until || !self.voter.is_free_for(now, self.me));
        let stamp = self.tally.stamp(now).filter(|_| !probe);
        let generation = self.set.generation;
        let question = Body::Ask {
            sent: stamp.unwrap_or(now),
            generation,
            preference,
            hears: self.hears_majority(now),
            probe: stamp.is_none(),
        };
        let spared = self.set.witness.filter(|seat| stamp.is_none() || self.can_spare(now, *seat));
        let mut out = self.say_all(question);
        out.retain(|output| !matches!(output, Output::Send { to, .. } if Some(*to) == spared));
        if let Some(sent) = stamp {
            self.tally.asked = sent;
            let granted = self.voter.asked(now, self.terms, self.me, sent, generation);
            out.extend(self.answered(now, self.me.0, sent, granted));
        }
        out
    }

    /// The nodes alone carry it, and did so in the last two rounds.
    fn can_spare(&self, now: u64, witness: Seat) -> bool {
        self.tally.is_carried_without(now, self.some_rounds(), &self.set, witness)
    }

    fn some_rounds(&self) -> u64 {
        self.terms.ask_ms * 2 + self.terms.ask_ms / 2
    }

    fn hears_majority(&self, now: u64) -> bool {
        let within = self.some_rounds();
        let others = self.set.members.iter().filter(|seat| **seat != self.me.0);
        others.filter(|seat| self.tally.hears(now, within, **seat)).count() + 1 >= self.set.majority()
    }

    /// Another pause after each failure, another one for each member.
    fn pause(&self) -> u64 {
        let mixed = (self.me.1 ^ u64::from(self.me.0).rotate_left(32) ^ u64::from(self.attempts))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.terms.ask_ms / 4 + (mixed >> 32) % (self.terms.ask_ms * 2)
    }
}
