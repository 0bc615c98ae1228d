//! The DNS server: questions in, answers out, over UDP and TCP.
//!
//! [`Responder::step`] is the whole of the logic, without a socket: it answers at once what lies in the zone, and
//! says what has to be forwarded. The listeners around it own sockets, limits and time.

mod ask;
mod bind;
mod clients;
mod dice;
mod packet;
mod stream;
mod udp;
mod zone;

pub(crate) use ask::Ask;
pub use ask::Transport;
pub(crate) use clients::Clients;
pub use dice::Dice;
pub(crate) use packet::{Packet, code};

use crate::config::Network;
use crate::names::Names;
use crate::upstream::Upstream;
use crate::{NetConfig, NetError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::task::JoinSet;

/// What to do about one packet.
pub enum Step {
    /// Nothing: it is no question.
    Drop,
    /// Send this back.
    Answer(Vec<u8>),
    /// It lies outside the zone.
    Forward(Box<Question>),
}

/// A question for the upstreams.
pub struct Question(pub(crate) Ask);

/// Answers questions out of the table of names.
pub struct Responder {
    names: Arc<Names>,
    /// Our own addresses: what the zone's name server resolves to.
    servers: Vec<Ipv4Addr>,
    space: Vec<Network>,
    recursion: bool,
}

impl Responder {
    /// A responder over these names.
    pub fn new(names: Arc<Names>, config: &NetConfig) -> Self {
        let servers = config.dns_listen.iter().filter_map(|address| match address.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        });
        Self {
            names,
            servers: servers.collect(),
            space: config.space.clone(),
            recursion: !config.upstreams.is_empty(),
        }
    }

    /// Decides about one packet. Whatever the bytes are, it neither panics nor answers an answer.
    pub fn step(&self, bytes: &[u8], transport: Transport, dice: &mut Dice) -> Step {
        let ask = match Ask::parse(bytes, transport) {
            Ok(ask) => ask,
            Err(ask::Unfit::Silent) => return Step::Drop,
            Err(ask::Unfit::Tell(answer)) => return Step::Answer(answer),
        };
        let table = self.names.table();
        let zone = zone::Zone { table: &table, servers: &self.servers, space: &self.space };
        match zone.answer(&ask, dice) {
            Some(packet) => Step::Answer(packet.finish(self.recursion)),
            None if self.recursion && ask.recursion_desired => Step::Forward(Box::new(Question(ask))),
            None => Step::Answer(Packet::reply(&ask, code::REFUSED, false).finish(self.recursion)),
        }
    }
}

/// What every listener needs.
pub(crate) struct Desk {
    pub responder: Responder,
    pub upstream: Upstream,
    pub clients: Arc<Clients>,
    pub allowed: Vec<Network>,
}

impl Desk {
    fn may_ask(&self, ip: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(ip))
    }
}

/// Serves every address until one of them fails for good.
pub(crate) async fn run(desk: Arc<Desk>, listen: Vec<SocketAddr>) -> Result<(), NetError> {
    let mut listeners = JoinSet::new();
    for address in listen {
        listeners.spawn(udp::serve(Arc::clone(&desk), address));
        listeners.spawn(stream::serve(Arc::clone(&desk), address));
    }
    match listeners.join_next().await {
        Some(Ok(end)) => end,
        Some(Err(error)) => Err(NetError::Stopped { part: "DNS", cause: error.to_string() }),
        None => std::future::pending().await,
    }
}
