//! The ways to nodes of other hosts: plain routes over a network that the hosts share.
//!
//! A block of another host is reached through that host's address, on the interface that is in the shared network.
//! The unreachable route that covers the space stays below them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::cidr::Cidr;
use crate::netlink::{self, Batch, Route, RouteKind, Socket};
use crate::sys::addresses::{InterfaceAddress, ipv4_addresses};
use crate::sys::step::{Step, StepError};

/// Another host of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address in the network.
    pub via: Ipv4Addr,
    /// The blocks of its nodes.
    pub blocks: Vec<Cidr>,
}

/// The routing table of this network namespace as text (proc(5)): numbers in hexadecimal, in the order of the wire.
const TABLE: &str = "/proc/net/route";
/// RTF_GATEWAY (linux/route.h): it leads to another host.
const LEADS_ON: u32 = 2;

/// A way as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    via: Ipv4Addr,
    interface: String,
}

/// The interface addresses of this host.
///
/// # Errors
/// What the kernel says.
pub fn interfaces() -> std::io::Result<Vec<InterfaceAddress>> {
    ipv4_addresses()
}

/// Makes the ways what they shall be: those to `neighbours`, and no others within the space. Answers the interface that
/// they go over; none where no interface has the address `from`, and then there are no ways.
pub fn keep(
    space: Cidr,
    gateway: Ipv4Addr,
    from: Option<Ipv4Addr>,
    neighbours: &[Neighbour],
) -> Result<Option<String>, StepError> {
    let all = ipv4_addresses().step("list addresses")?;
    let here = from.and_then(|from| all.into_iter().find(|a| a.address == from));
    let interface = here.map(|here| here.interface);
    let mut wanted = BTreeMap::new();
    if let Some(interface) = &interface {
        for neighbour in neighbours {
            let way = Way { via: neighbour.via, interface: interface.clone() };
            wanted.extend(neighbour.blocks.iter().map(|block| (*block, way.clone())));
        }
    }
    let table = std::fs::read_to_string(TABLE).step("read the routes")?;
    let there: BTreeMap<Cidr, Way> = ways(&table, space).collect();
    let socket = Socket::open().step("open netlink")?;
    let differs = |block: &&Cidr| there.get(*block) != wanted.get(*block);
    for block in there.keys().filter(differs) {
        delete(&socket, *block, &there[block])?;
    }
    for block in wanted.keys().filter(differs) {
        add(&socket, *block, &wanted[block], gateway)?;
    }
    Ok(interface)
}

fn route(block: Cidr, way: &Way, source: Option<Ipv4Addr>) -> Result<Route, StepError> {
    Ok(Route {
        to: (block.address(), block.length()),
        via: Some(way.via),
        interface: Some(netlink::index(&way.interface).step(format!("find {}", way.interface))?),
        source,
        metric: None,
        kind: RouteKind::Unicast,
    })
}

fn add(socket: &Socket, block: Cidr, way: &Way, gateway: Ipv4Addr) -> Result<(), StepError> {
    let mut batch = Batch::new();
    // What this host itself says to nodes elsewhere carries an address that their host knows.
    batch.add_route(&route(block, way, Some(gateway))?);
    socket.send(&batch).map_err(|(_, e)| e).step(format!("route {block} via {}", way.via))
}

fn delete(socket: &Socket, block: Cidr, way: &Way) -> Result<(), StepError> {
    let mut batch = Batch::new();
    batch.delete_route(&route(block, way, None)?);
    match socket.send(&batch) {
        Err((_, e)) if e.raw_os_error() != Some(libc::ESRCH) => Err(e).step(format!("delete route {block}")),
        _ => Ok(()),
    }
}

/// The routes within a space that lead to other hosts.
fn ways(table: &str, space: Cidr) -> impl Iterator<Item = (Cidr, Way)> {
    let line = move |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        let address = |at| number(at).map(|n| Ipv4Addr::from_bits(n.to_be()));
        let (to, via, flags, mask) = (address(1)?, address(2)?, number(3)?, address(7)?);
        let block = Cidr::new(to, mask.to_bits().leading_ones() as u8).ok()?;
        let ours = space.contains(to) && block.length() >= space.length() && flags & LEADS_ON != 0;
        ours.then(|| (block, Way { via, interface: words[0].to_owned() }))
    };
    table.lines().skip(1).filter_map(line).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_the_space_are_read_off_the_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t01637F0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0008C00A\t0C637F0A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                     ln1\t0200C00A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let space: Cidr = "10.192.0.0/10".parse().unwrap();
        let found: Vec<_> = ways(table, space).collect();
        let way = Way { via: "10.127.99.12".parse().unwrap(), interface: "eth0".into() };
        assert_eq!(found, [("10.192.8.0/24".parse().unwrap(), way)]);
    }
}
