//! What doors carried lately, as the API tells of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlowOf {
    /// A way in.
    Route,
    /// A family.
    Family,
    /// A node.
    Node,
}

/// What one route, family or node carried in the last seconds, on all hosts together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowView {
    /// What it is.
    pub kind: FlowOf,
    /// Its name: `shop.example.com/api`, `shop/web/web`, `shop/web/web/1`.
    pub name: String,
    /// Whom it belongs to: a route to its service, a node to its family.
    pub of: String,
    /// How much time the numbers are about, in milliseconds.
    pub span_ms: u64,
    /// Answers in a second.
    pub requests_per_second: f64,
    /// Those of them that say that something went wrong (5xx).
    pub errors_per_second: f64,
    /// Half of the answers were there within this time, in milliseconds; none without answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 99 of 100 were; above 10 s the number is not known, and 10,001 is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// Requests, tunnels and TCP connections under way.
    pub open: u64,
    /// Requests that wait for a node.
    pub waiting: u64,
    /// Bytes of bodies from clients in a second.
    pub received_per_second: u64,
    /// Bytes of bodies to clients in a second.
    pub sent_per_second: u64,
}
