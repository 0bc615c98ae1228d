//! What the door of a host carried. Counters count from the start of its process and only grow.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Upper bounds of response times in milliseconds; what is above the last one has no bucket of its own.
pub const BUCKETS_MS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// Series of one sort that a host tells of: those with the most requests.
pub const SERIES_MAX: usize = 512;

/// What was carried for one route, family or node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Answers by class: 1xx to 5xx. Connections of a TCP route count as 2xx.
    pub classes: [u64; 5],
    /// Bytes of bodies that came from clients.
    pub received: u64,
    /// Bytes of bodies that went to clients.
    pub sent: u64,
    /// Requests, tunnels and TCP connections under way.
    pub open: u64,
    /// Those of them that wait for a node to be there.
    #[serde(default)]
    pub waiting: u64,
    /// From the head of a request to the head of its answer, altogether, in microseconds.
    pub time_us: u64,
    /// How many took at most [`BUCKETS_MS`], and more than the bound before.
    pub buckets: [u64; BUCKETS_MS.len()],
    /// What went wrong, by the code on the page.
    pub faults: BTreeMap<String, u64>,
}

impl Carried {
    /// All answers.
    pub fn answers(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Answers that say that something went wrong on our side (5xx).
    pub fn errors(&self) -> u64 {
        self.classes[4]
    }

    /// What came since `before`. A counter that is less than before began anew with its process.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        if self.answers() < before.answers() {
            return self.clone();
        }
        let less = |now: u64, then: u64| now.saturating_sub(then);
        let mut since = self.clone();
        since.classes.iter_mut().zip(before.classes).for_each(|(now, then)| *now = less(*now, then));
        since.buckets.iter_mut().zip(before.buckets).for_each(|(now, then)| *now = less(*now, then));
        since.received = less(self.received, before.received);
        since.sent = less(self.sent, before.sent);
        since.time_us = less(self.time_us, before.time_us);
        for (code, count) in &mut since.faults {
            *count = less(*count, before.faults.get(code).copied().unwrap_or(0));
        }
        since.faults.retain(|_, count| *count > 0);
        since
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.classes.iter_mut().zip(other.classes).for_each(|(sum, more)| *sum += more);
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, more)| *sum += more);
        self.received += other.received;
        self.sent += other.sent;
        self.open += other.open;
        self.waiting += other.waiting;
        self.time_us += other.time_us;
        for (code, count) in &other.faults {
            *self.faults.entry(code.clone()).or_default() += count;
        }
    }

    /// So many of a thousand answers were there within this time, in milliseconds: the bound of the bucket. None where
    /// nothing was answered; [`u64::MAX`] where it took longer than the last bound.
    pub fn within_ms(&self, permille: u64) -> Option<u64> {
        let all = self.answers();
        if all == 0 {
            return None;
        }
        let wanted = (all * permille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bound, count) in BUCKETS_MS.iter().zip(self.buckets) {
            seen += count;
            if seen >= wanted {
                return Some(*bound);
            }
        }
        Some(u64::MAX)
    }
}

/// The numbers of one route, family or node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// `shop.example.com/api`, `shop/web/web`, `shop/web/1`.
    pub name: String,
    /// Whom it belongs to: a route to its service, a node to its family.
    pub of: String,
    /// The numbers.
    pub carried: Carried,
}

impl Series {
    /// One that carried nothing yet.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// What all doors carried lately: differences, not counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// How much time that was, in milliseconds; 0 where nobody said anything yet.
    pub span_ms: u64,
    /// By route.
    pub routes: Vec<Series>,
    /// By family.
    pub families: Vec<Series>,
    /// By node.
    pub nodes: Vec<Series>,
}

impl Flows {
    /// What a family carries; requests that wait at the doors of its service included.
    pub fn load(&self, family: &crate::FamilyPath) -> crate::scale::Load {
        let (name, service) = (family.to_string(), family.service_path().to_string());
        let own = self.families.iter().find(|series| series.name == name).map(|series| &series.carried);
        let waiting =
            self.routes.iter().filter(|series| series.of == service).map(|s| s.carried.waiting).sum();
        crate::scale::Load {
            span_ms: self.span_ms,
            answers: own.map_or(0, Carried::answers),
            time_us: own.map_or(0, |own| own.time_us),
            open: own.map_or(0, |own| own.open),
            waiting,
        }
    }
}

/// A node that failed too often lately: the door leaves it alone, and tries it again after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Avoided {
    /// Its name.
    pub node: String,
    /// Requests in a row that it did not answer.
    pub failures: u32,
    /// Milliseconds until it is tried again; 0 while one request tries it.
    pub left_ms: u64,
}

/// What one door carried. Its size has a bound: names come from routes and nodes, never from what a client says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections of clients that are open.
    pub connections: u64,
    /// What could not be told to belong to any route.
    pub stray: Carried,
    /// By route.
    pub routes: Vec<Series>,
    /// By family.
    pub families: Vec<Series>,
    /// By node.
    pub nodes: Vec<Series>,
    /// Series beyond [`SERIES_MAX`].
    pub left_out: u64,
    /// Lines of the access log that were dropped because the disk was behind.
    pub log_lines_dropped: u64,
    /// Nodes that the door leaves alone for a while.
    #[serde(default)]
    pub avoided: Vec<Avoided>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_is_a_difference_and_a_new_process_begins_anew() {
        let then = Carried { classes: [0, 10, 0, 0, 1], time_us: 500, open: 3, ..Carried::default() };
        let mut now = Carried { classes: [0, 15, 0, 0, 1], time_us: 900, open: 1, ..Carried::default() };
        now.buckets[0] = 4;
        now.buckets[3] = 1;
        let since = now.since(&then);
        assert_eq!((since.answers(), since.errors(), since.time_us, since.open), (5, 0, 400, 1));
        assert_eq!((since.within_ms(500), since.within_ms(990)), (Some(1), Some(25)));
        let anew = Carried { classes: [0, 2, 0, 0, 0], ..Carried::default() };
        assert_eq!(anew.since(&then).answers(), 2);
        assert_eq!(Carried::default().within_ms(500), None);
        assert_eq!(anew.within_ms(500), Some(u64::MAX));
    }
}
