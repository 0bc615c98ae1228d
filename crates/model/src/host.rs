//! Hosts: Linux machines with our agent.

use crate::{ByteSize, CpuMillis, HostId, Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

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
