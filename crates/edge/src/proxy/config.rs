//! Where the door listens, and its bounds.

use std::net::SocketAddr;
use std::time::Duration;

/// The door of this host.
#[derive(Clone, Debug, Default)]
pub struct ProxyConfig {
    /// Addresses of plain HTTP; none means that there is no door.
    pub listen: Vec<SocketAddr>,
    /// Addresses of TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// Bounds.
    pub limits: ProxyLimits,
}

/// What clients and nodes can make us do at most. Each protects memory, or the other clients.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Open connections, altogether.
    pub connections_max: usize,
    /// Open connections of one client address that is not this machine's.
    pub connections_per_client: usize,
    /// Bytes of a request's head; 8 KiB at least.
    pub head_bytes_max: usize,
    /// Bytes of path and query.
    pub target_bytes_max: usize,
    /// Header fields of a request.
    pub headers_max: usize,
    /// A request's head must be there within this time after its first byte; an idle connection is kept as long, and one
    /// of h2 on which no stream is open up to twice as long.
    pub head_within: Duration,
    /// Streams of one h2 connection at a time.
    pub streams_max: u32,
    /// Bytes of a request's body.
    pub body_bytes_max: u64,
    /// An upload may pause so long.
    pub body_idle: Duration,
    /// A node must begin its answer within this time after the request is whole, and take a part of its body within it.
    pub answer_within: Duration,
    /// A node must accept a connection within this time.
    pub connect_within: Duration,
    /// A request waits so long for a node to become ready.
    pub node_within: Duration,
    /// The same where the first request starts the node.
    pub wake_within: Duration,
    /// Requests that wait for a node of one service at a time.
    pub waiting_max: usize,
    /// Nodes that a request is offered to.
    pub tries_max: usize,
    /// What a client does not take for so long ends its connection (tcp(7), `TCP_USER_TIMEOUT`).
    pub stalled_after: Duration,
    /// After the end was asked for, and where a successor takes what comes, open connections have this long.
    pub closing_within: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_client: 2_000,
            head_bytes_max: 64 << 10,
            target_bytes_max: 16 << 10,
            headers_max: 100,
            head_within: Duration::from_secs(60),
            streams_max: 256,
            body_bytes_max: 4 << 30,
            body_idle: Duration::from_secs(60),
            answer_within: Duration::from_secs(60),
            connect_within: Duration::from_secs(2),
            node_within: Duration::from_secs(10),
            wake_within: Duration::from_secs(60),
            waiting_max: 1_000,
            tries_max: 3,
            stalled_after: Duration::from_secs(300),
            closing_within: Duration::from_secs(3_600),
        }
    }
}
