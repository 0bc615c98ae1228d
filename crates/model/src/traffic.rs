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
}
