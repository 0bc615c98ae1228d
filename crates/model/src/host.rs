//! Hosts: Linux machines with our agent.

use crate::{ByteSize, CpuMillis, HostId, Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// What a host can carry in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Processors in thousandths, times the host's overcommit.
    pub cpu: CpuMillis,
    /// Memory for nodes.
    pub memory: ByteSize,
    /// Most nodes.
    pub slots: u32,
}

/// A network block that a host gives addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Block {
    /// First address of the /24.
    pub base: Ipv4Addr,
}

impl Block {
    /// The host's own address in the block: gateway and DNS server of its nodes.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + 1)
    }
    /// Addresses for nodes: .2 to .254.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        let base = u32::from(self.base);
        (2..=254).map(move |n| Ipv4Addr::from(base + n))
    }
}

/// Where a host is in the network that carries packets between hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Underlay {
    /// Its address there.
    pub address: Ipv4Addr,
    /// Length of the network's prefix, as its interface has it.
    pub prefix: u8,
    /// The address that the controller sees it at, where that is another one: a translator stands between them, and the
    /// same private network may be there many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<IpAddr>,
    /// The network that its machine was made in ([`crate::pool::Pool::network`]); the controller says it, never the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

impl Underlay {
    /// The controller sees the host at this address. Its own machine is seen at a loopback address.
    pub fn seen_at(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        self.behind = Some(address).filter(|a| !a.is_loopback() && *a != IpAddr::V4(self.address));
    }

    /// The network: hosts of the same one reach each other without anybody's help. Each machine of a provider's network may
    /// be seen at a public address of its own: where we had them made there, they are together all the same.
    pub fn network(&self) -> Network {
        if let (Some(within), Some(_)) = (&self.within, self.behind) {
            return Network::Made(within.clone());
        }
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        let base = Ipv4Addr::from(u32::from(self.address) & mask);
        Network::Seen { behind: self.behind, base, prefix: self.prefix }
    }
}

/// A network between hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Known by its addresses.
    Seen {
        /// The translator that it is behind.
        behind: Option<IpAddr>,
        /// Its first address.
        base: Ipv4Addr,
        /// Length of its prefix.
        prefix: u8,
    },
    /// Made at a provider, or lived in there: `provider/region/network`.
    Made(String),
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seen { behind, base, prefix } => {
                write!(f, "{base}/{prefix}")?;
                behind.map_or(Ok(()), |translator| write!(f, " behind {translator}"))
            }
            Self::Made(network) => write!(f, "network {network}"),
        }
    }
}

/// Another host, as the hosts of its network are told: where packets for its nodes go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Which.
    pub host: HostId,
    /// Its address in the network.
    pub address: Ipv4Addr,
    /// Its blocks of addresses; the first one's gateway is the address that its door speaks with.
    pub blocks: Vec<Block>,
}

/// What a machine needs to join: shown once, used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTicket {
    /// Where controllers listen for agents, `host:port`.
    pub controllers: Vec<String>,
    /// The authority that controllers are known by (PEM).
    pub ca: String,
    /// The one-time token.
    pub token: String,
    /// What the host shall be called, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// A ticket is no longer than this.
const TICKET_BYTES_MAX: usize = 64 << 10;

impl std::str::FromStr for JoinTicket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > TICKET_BYTES_MAX {
            return Err(format!("a ticket has at most {TICKET_BYTES_MAX} bytes"));
        }
        let ticket: Self = serde_json::from_str(text.trim())
            .map_err(|e| format!("this is no ticket as `lace host add` prints it: {e}"))?;
        match ticket.controllers.is_empty() {
            true => Err("the ticket names no controller".to_owned()),
            false => Ok(ticket),
        }
    }
}

/// The attribute of hosts where requests from outside come in: at which address.
pub const DOOR: &str = "door";

/// A host as stored: key = its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: Name,
    /// What it can carry.
    pub capacity: Capacity,
    /// Attributes that placement may ask for: `arch`, `kernel`, `glibc`, `region`.
    pub attributes: BTreeMap<String, String>,
    /// Its blocks of addresses.
    pub blocks: Vec<Block>,
    /// No new nodes; those that are here move away.
    #[serde(default)]
    pub draining: bool,
    /// Its agent's version.
    pub agent_version: String,
    /// When it joined.
    pub joined_at: Millis,
    /// It is being removed.
    #[serde(default)]
    pub removing: bool,
    /// The pool that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Name>,
    /// Where it is among other hosts, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlay: Option<Underlay>,
}

impl Host {
    /// The network that it shares with others. Hosts that say nothing share one: simulated ones, and one alone.
    pub fn network(&self) -> Option<Network> {
        self.underlay.as_ref().map(Underlay::network)
    }
}

/// What fleet knows of a host at this moment; never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// Has a session now.
    pub connected: bool,
    /// Last sign of life.
    pub last_seen: Millis,
    /// Used share of the state disk, thousandths of used/(used + available).
    pub disk_used_permille: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_network_are_known_by_address_and_translator() {
        let at = |address: &str, seen: &str| {
            let address = address.parse().expect("an address");
            let mut underlay = Underlay { address, prefix: 24, behind: None, within: None };
            underlay.seen_at(seen.parse().expect("an address"));
            underlay.network()
        };
        let here = at("192.168.1.7", "127.0.0.1");
        assert_eq!(at("192.168.1.9", "192.168.1.9"), here, "the controller's own machine is in it");
        assert_eq!(at("192.168.1.9", "::ffff:192.168.1.9"), here);
        assert_ne!(at("192.168.2.9", "192.168.2.9"), here, "another network");
        let away = at("192.168.1.9", "203.0.113.5");
        assert_ne!(away, here, "the same addresses at somebody else's");
        assert_eq!(away.to_string(), "192.168.1.0/24 behind 203.0.113.5");
        assert_eq!(at("192.168.1.8", "203.0.113.5"), away);
    }

    #[test]
    fn machines_of_one_network_at_a_provider_are_together_whatever_address_each_is_seen_at() {
        let at = |address: &str, seen: &str, within: &str| {
            let address = address.parse().expect("an address");
            let mut underlay =
                Underlay { address, prefix: 24, behind: None, within: Some(within.to_owned()) };
            underlay.seen_at(seen.parse().expect("an address"));
            underlay.network()
        };
        let first = at("10.80.1.4", "203.0.113.5", "amazon/eu/net");
        assert_eq!(
            at("10.80.2.9", "198.51.100.7", "amazon/eu/net"),
            first,
            "another zone, another public address"
        );
        assert_ne!(at("10.80.1.5", "203.0.113.5", "amazon/us/net"), first, "another region");
        let inside = at("10.80.1.4", "10.80.1.4", "amazon/eu/net");
        assert_eq!(inside.to_string(), "10.80.1.0/24", "a controller inside sees its own host there, too");
    }
}
