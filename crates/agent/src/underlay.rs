//! Where this host is in the network that carries packets between hosts.

use crate::config::AgentConfig;
use lace_machine::interfaces;
use lace_model::host::Underlay;
use std::net::{IpAddr, Ipv4Addr};
use tokio::net::UdpSocket;

/// Nobody's (RFC 5737): what the default route would carry.
const OUTWARD: &str = "192.0.2.1:9";

/// The address that the controller or, where it is on this very machine, the world is reached from, and its network.
pub async fn find(config: &AgentConfig) -> Option<Underlay> {
    let address = match config.address {
        Some(address) => address,
        None => own_address(config).await?,
    };
    let here = interfaces().ok()?.into_iter().find(|a| a.address == address);
    if here.is_none() {
        tracing::warn!(%address, "no interface has this address: nodes of other hosts are out of reach");
    }
    here.map(|here| Underlay { address, prefix: here.prefix, behind: None, within: None })
}

async fn own_address(config: &AgentConfig) -> Option<Ipv4Addr> {
    for to in config.controllers.iter().map(String::as_str).chain([OUTWARD]) {
        if let Some(address) = towards(to).await.filter(|a| !a.is_loopback()) {
            return Some(address);
        }
    }
    None
}

/// What the kernel would put in as the source. Connecting a datagram socket sends nothing.
async fn towards(to: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect(to).await.ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    }
}
