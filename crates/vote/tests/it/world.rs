//! A small world: members, the clocks they have, and the messages between them.

use lace_vote::{Elector, Message, Output, Seat, Terms, VoteSet};
use std::collections::BTreeSet;

/// A member with its clock and, perhaps, a running copy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Node {
    pub elector: Elector,
    /// So far its clock is behind.
    pub lag: u64,
    /// A copy of the application runs.
    pub copy: bool,
    pub lives: u64,
    pub preference: Option<u64>,
    /// It was told to stop its copy in order.
    pub yields: bool,
}

/// Everything, at one moment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub terms: Terms,
    pub now: u64,
    pub nodes: Vec<Node>,
    /// To whom, and what. A set: what is doubled is as good as what is late.
    pub flight: BTreeSet<(Seat, Message)>,
}

impl World {
    /// A world in which nobody ever voted before. `preferences` by seat, from 1: none does not stand.
    pub fn new(terms: Terms, preferences: &[Option<u64>]) -> Self {
        let seat = |n: usize| n as Seat + 1;
        let node = |(n, preference): (usize, &Option<u64>)| Node {
            elector: Elector::new(seat(n), 1, terms, 0),
            lag: 0,
            copy: false,
            lives: 1,
            preference: *preference,
            yields: false,
        };
        let nodes = preferences.iter().enumerate().map(node).collect();
        let mut world = Self { terms, now: terms.promise_ms, nodes, flight: BTreeSet::new() };
        for seat in 1..=preferences.len() as Seat {
            world.stand(seat);
        }
        world
    }

    pub fn clock(&self, seat: Seat) -> u64 {
        self.now - self.node(seat).lag
    }

    pub fn node(&self, seat: Seat) -> &Node {
        &self.nodes[seat as usize - 1]
    }

    pub fn node_mut(&mut self, seat: Seat) -> &mut Node {
        &mut self.nodes[seat as usize - 1]
    }

    pub fn seats(&self) -> std::ops::RangeInclusive<Seat> {
        1..=self.nodes.len() as Seat
    }

    pub fn order(&mut self, seat: Seat, set: &VoteSet) {
        let clock = self.clock(seat);
        let out = self.node_mut(seat).elector.order(clock, set.clone());
        self.take(seat, out);
    }

    /// Its process is there (again) and wants the application, where the member wants it at all.
    pub fn stand(&mut self, seat: Seat) {
        let clock = self.clock(seat);
        let node = self.node_mut(seat);
        if let Some(preference) = node.preference {
            node.elector.stand(clock, preference);
        }
    }

    pub fn tick(&mut self, seat: Seat) {
        let clock = self.clock(seat);
        let out = self.node_mut(seat).elector.tick(clock);
        self.take(seat, out);
        if !self.node(seat).elector.standing(clock).stands {
            // It was stopped for want of votes: its process starts again and stands by.
            let out = self.node_mut(seat).elector.withdraw(clock);
            self.take(seat, out);
            self.stand(seat);
        }
        // The copy starts as soon as it may.
        let node = self.node_mut(seat);
        if !node.copy && !node.yields && node.elector.begin_use(clock) {
            node.copy = true;
        }
    }

    /// Its process dies.
    pub fn crash(&mut self, seat: Seat) {
        let clock = self.clock(seat);
        let node = self.node_mut(seat);
        (node.copy, node.yields) = (false, false);
        let out = node.elector.withdraw(clock);
        self.take(seat, out);
        self.stand(seat);
    }

    /// PID 1 goes, with everything in the node and all that it promised; the next life is told the set.
    /// `forgets`: against the rules, it votes at once.
    pub fn restart(&mut self, seat: Seat, set: &VoteSet, forgets: bool) {
        let (clock, terms) = (self.clock(seat), self.terms);
        let node = self.node_mut(seat);
        node.lives += 1;
        (node.copy, node.yields) = (false, false);
        let silent_since = if forgets { clock.saturating_sub(terms.promise_ms) } else { clock };
        node.elector = Elector::new(seat, node.lives, terms, silent_since);
        self.order(seat, set);
        self.stand(seat);
    }

    /// A copy that shall make room has stopped.
    pub fn stop_in_order(&mut self, seat: Seat) {
        if !self.node(seat).yields {
            return;
        }
        let clock = self.clock(seat);
        let node = self.node_mut(seat);
        (node.copy, node.yields) = (false, false);
        let out = node.elector.end_use(clock);
        self.take(seat, out);
    }

    pub fn deliver(&mut self, to: Seat, message: Message) {
        let clock = self.clock(to);
        let out = self.node_mut(to).elector.heard(clock, message);
        self.take(to, out);
    }

    /// Delivers everything that passes, answers too; the rest is lost, or held for later.
    pub fn deliver_all(&mut self, passes: impl Fn(Seat, Seat) -> bool, hold: bool) {
        let mut held = BTreeSet::new();
        while let Some((to, message)) = self.flight.pop_first() {
            if passes(message.from, to) {
                self.deliver(to, message);
            } else if hold {
                held.insert((to, message));
            }
        }
        self.flight = held;
    }

    fn take(&mut self, seat: Seat, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, message } => drop(self.flight.insert((to, message))),
                Output::Stop => {
                    let node = self.node_mut(seat);
                    (node.copy, node.yields) = (false, false);
                }
                Output::Yield => self.node_mut(seat).yields = true,
                Output::Holds => {
                    let clock = self.clock(seat);
                    let node = self.node_mut(seat);
                    // The copy starts as soon as it may: the worst moment.
                    if !node.yields && node.elector.begin_use(clock) {
                        node.copy = true;
                    }
                }
            }
        }
    }

    pub fn copies(&self) -> usize {
        self.nodes.iter().filter(|node| node.copy).count()
    }
}
