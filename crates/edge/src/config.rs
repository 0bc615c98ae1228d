//! What role `net` is told when it starts, and why it may refuse to start.

use crate::proxy::ProxyConfig;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The private space that nodes get their addresses from, unless the installation says otherwise.
const SPACE: Network = Network { base: IpAddr::V4(Ipv4Addr::new(10, 192, 0, 0)), prefix: 10 };

/// Everything that role `net` needs to know.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Where the last topics are kept, so that names outlive a restart. Made with mode 0700.
    pub state_dir: PathBuf,
    /// Addresses to answer on, each over UDP and TCP: the nodes' gateway at port 53, perhaps a loopback address.
    pub dns_listen: Vec<SocketAddr>,
    /// The control socket (mode 0600). Only root and our own user are heard.
    pub control: PathBuf,
    /// Resolvers for what lies outside the zone, in order of preference; none means that we refuse.
    pub upstreams: Vec<SocketAddr>,
    /// Who may ask. Everybody else is refused.
    pub clients: Vec<Network>,
    /// Networks whose reverse names are ours alone and are never forwarded (RFC 6303).
    pub space: Vec<Network>,
    /// Bounds.
    pub limits: NetLimits,
    /// The door of this host.
    pub proxy: ProxyConfig,
}

impl NetConfig {
    /// A configuration with the usual clients (loopback and the private space) and limits.
    pub fn new(state_dir: impl Into<PathBuf>, dns_listen: Vec<SocketAddr>) -> Self {
        let state_dir = state_dir.into();
        let loopback = [
            Network { base: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
            Network { base: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
        ];
        Self {
            control: state_dir.join("control.sock"),
            state_dir,
            dns_listen,
            upstreams: Vec::new(),
            clients: [loopback.as_slice(), &[SPACE]].concat(),
            space: vec![SPACE],
            limits: NetLimits::default(),
            proxy: ProxyConfig::default(),
        }
    }
}

/// The bounds of what clients can make us do. Each protects memory or the other clients.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// Queries per second that one client address may send for long.
    pub queries_per_second: u32,
    /// Queries that it may send at once after a pause.
    pub queries_burst: u32,
    /// Client addresses that are remembered; beyond that, unknown ones wait until others fall silent.
    pub clients_max: usize,
    /// Forwarded queries under way, altogether.
    pub forwards_max: usize,
    /// Forwarded queries under way for one client address.
    pub forwards_per_client: usize,
    /// TCP connections, altogether.
    pub streams_max: usize,
    /// TCP connections of one client address.
    pub streams_per_client: usize,
    /// How long a TCP client may take over one query (RFC 7766 section 6.2.3 asks for seconds).
    pub stream_idle: Duration,
    /// How long one upstream gets for one try.
    pub upstream_try: Duration,
    /// How long a forwarded query may take altogether; below the 5 s after which glibc asks again.
    pub upstream_total: Duration,
    /// Answers of upstreams that are kept.
    pub cache_entries: usize,
    /// Bytes of those answers.
    pub cache_bytes: usize,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            queries_per_second: 5_000,
            queries_burst: 10_000,
            clients_max: 8_192,
            forwards_max: 512,
            forwards_per_client: 128,
            streams_max: 256,
            streams_per_client: 32,
            stream_idle: Duration::from_secs(10),
            upstream_try: Duration::from_millis(1_500),
            upstream_total: Duration::from_millis(4_000),
            cache_entries: 4_096,
            cache_bytes: 8 << 20,
        }
    }
}

/// A network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Is the address in it? An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                (base.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                (base.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Does it hold the whole IPv4 network that starts at `base`?
    pub(crate) fn covers(&self, base: Ipv4Addr, prefix: u8) -> bool {
        self.prefix <= prefix && self.contains(IpAddr::V4(base))
    }
}

impl FromStr for Network {
    type Err = NetError;
    fn from_str(text: &str) -> Result<Self, NetError> {
        let bad = || NetError::Network(text.chars().take(80).collect());
        let (base, prefix) = text.split_once('/').ok_or_else(bad)?;
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if prefix > if base.is_ipv4() { 32 } else { 128 } {
            return Err(bad());
        }
        Ok(Self { base, prefix })
    }
}

/// Why role `net` did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Not ADDRESS/PREFIX.
    #[error("{0:?} is not a network: write ADDRESS/PREFIX, for example 10.192.0.0/10")]
    Network(String),
    /// The state directory cannot be used.
    #[error("cannot use {path} for the names of this host: {source}")]
    State {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process serves this state directory.
    #[error("{0} is served by another `lace net`: stop that one first")]
    Running(PathBuf),
    /// The control socket cannot be made.
    #[error("cannot listen on control socket {path}: {source}")]
    Control {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An address cannot be served, and waiting will not help.
    #[error("cannot answer DNS on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The random source of the kernel does not answer.
    #[error("the kernel's random source failed: {0}")]
    Random(getrandom::Error),
    /// A part of the process ended that never should.
    #[error("{part} stopped: {cause}")]
    Stopped {
        /// Which part.
        part: &'static str,
        /// Why.
        cause: String,
    },
}
