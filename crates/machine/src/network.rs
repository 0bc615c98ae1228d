//! How a node is wired: a routed veth pair, no bridge, no ARP.
//!
//! The host's end has no address; a /32 route leads to the node. The node's default route goes
//! to 169.254.1.1 on the link. Both neighbours are permanent entries with fixed hardware
//! addresses, so no neighbour table is ever searched by broadcast.

use std::net::Ipv4Addr;

use crate::cidr::Cidr;
use crate::error::Error;
use crate::netlink::{self, Batch, Mac, Peer, Route, RouteKind, Socket};
use crate::sys::addresses::{InterfaceAddress, ipv4_addresses};
use crate::sys::step::{Step, StepError};

/// The next hop that every node sees (link-local, RFC 3927; nobody has it).
pub const NEXT_HOP: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The hardware address of every host end (locally administered).
const HOST_MAC: Mac = [0x02, 0x6c, 0x61, 0x63, 0x65, 0x01];
/// The interface inside of a node.
const INSIDE: &str = "eth0";
/// Routes to nodes win over the unreachable route that covers the space.
const UNREACHABLE_METRIC: u32 = 4_000_000;

fn node_mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x6e, a, b, c, d]
}

/// FNV-1a, 64 bits: names only, nothing depends on it being hard to invert.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What all host ends of every installation's nodes start with.
pub const LINKS: &str = "ln";

/// What all host ends of an installation start with: 7 bytes.
pub fn prefix(installation: &str) -> String {
    format!("{LINKS}{:05x}", fnv(&[installation]) & 0xf_ffff)
}

/// The host end of a node: 15 bytes, the most that Linux takes.
pub fn veth(installation: &str, id: &str) -> String {
    let node = fnv(&[installation, id]) & 0xffff_ffff;
    format!("{}{node:08x}", prefix(installation))
}

/// The interface that carries the gateway address.
pub fn gateway_interface(installation: &str) -> String {
    format!("lg{:05x}", fnv(&[installation]) & 0xf_ffff)
}

fn refused(words: &[&str], failure: (usize, std::io::Error)) -> StepError {
    let (position, error) = failure;
    let word = words.get(position).copied().unwrap_or("netlink");
    Err::<(), _>(error).step(word).expect_err("built from an error")
}

/// From the host: creates the pair with the peer inside `pid`'s namespace, and the way to it.
pub fn wire_host(veth: &str, pid: i32, node: Ipv4Addr, gateway: Ipv4Addr) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink")?;
    let mut create = Batch::new();
    let peer = Peer { name: INSIDE, mac: node_mac(node), pid };
    create.add_veth(veth, HOST_MAC, &peer);
    socket.send(&create).map_err(|e| refused(&["create veth"], e))?;
    let index = netlink::index(veth).step("find veth")?;
    let mut way = Batch::new();
    way.add_neighbour(index, node, node_mac(node));
    way.add_route(&Route {
        to: (node, 32),
        via: None,
        interface: Some(index),
        source: Some(gateway),
        metric: None,
        kind: RouteKind::Unicast,
    });
    let words = ["neighbour of node", "route to node (is its address in use?)"];
    socket.send(&way).map_err(|e| refused(&words, e))?;
    // No IPv6 yet: an address of the link's own would be a way around the firewall.
    let file = format!("/proc/sys/net/ipv6/conf/{veth}/disable_ipv6");
    if std::path::Path::new(&file).exists() {
        std::fs::write(file, "1").step("disable IPv6 on veth")?;
    }
    // Strict reverse path: a node cannot speak with somebody else's address (RFC 3704).
    let file = format!("/proc/sys/net/ipv4/conf/{veth}/rp_filter");
    std::fs::write(file, "1").step("set rp_filter")
}

/// From inside the node: loopback, address, default route.
pub fn wire_node(node: Ipv4Addr) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink in node")?;
    let loopback = netlink::index("lo").step("find lo")?;
    let index = netlink::index(INSIDE).step("find eth0")?;
    let mut batch = Batch::new();
    batch.set_up(loopback);
    batch.set_up(index);
    batch.add_address(index, node);
    batch.add_neighbour(index, NEXT_HOP, HOST_MAC);
    batch.add_route(&Route {
        to: (Ipv4Addr::UNSPECIFIED, 0),
        via: Some(NEXT_HOP),
        interface: Some(index),
        source: Some(node),
        metric: None,
        kind: RouteKind::Unicast,
    });
    let words = ["loopback up", "eth0 up", "address of eth0", "neighbour of eth0", "default route"];
    socket.send(&batch).map_err(|e| refused(&words, e))
}

/// Gives the host's own interface a node's address: the node is on the host's network.
pub fn add_own(interface: &str, node: Ipv4Addr) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink")?;
    let mut batch = Batch::new();
    batch.add_address(netlink::index(interface).step("find gateway interface")?, node);
    socket.send(&batch).map_err(|e| refused(&["address of node"], e))
}

/// Takes it away again; none there is fine.
pub fn delete_own(interface: &str, node: Ipv4Addr) -> Result<(), StepError> {
    let Ok(index) = netlink::index(interface) else { return Ok(()) };
    let socket = Socket::open().step("open netlink")?;
    let mut batch = Batch::new();
    batch.delete_address(index, node);
    match socket.send(&batch) {
        Err((_, e)) if e.raw_os_error() != Some(libc::EADDRNOTAVAIL) => {
            Err(refused(&["delete address of node"], (0, e)))
        }
        _ => Ok(()),
    }
}

/// The addresses of the gateway interface but its own: those of nodes on the host's network.
pub fn own_addresses(interface: &str, gateway: Ipv4Addr) -> Result<Vec<Ipv4Addr>, StepError> {
    let all = ipv4_addresses().step("list addresses")?;
    let own = all.into_iter().filter(|a| a.interface == interface && a.address != gateway);
    Ok(own.map(|a| a.address).collect())
}

fn covering(space: (Ipv4Addr, u8)) -> Route {
    Route {
        to: space,
        via: None,
        interface: None,
        source: None,
        metric: Some(UNREACHABLE_METRIC),
        kind: RouteKind::Unreachable,
    }
}

/// Once per machine: the gateway address on an interface of its own, and an unreachable route
/// below everything else, so that packets for absent nodes never leave the host.
pub fn prepare(name: &str, gateway: Ipv4Addr, space: (Ipv4Addr, u8)) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink")?;
    if netlink::index(name).is_err() {
        add_gateway_link(&socket, name)?;
    }
    let index = netlink::index(name).step("find gateway interface")?;
    let mut batch = Batch::new();
    batch.add_address(index, gateway);
    batch.add_route(&covering(space));
    let words = ["gateway address", "unreachable route"];
    socket.send(&batch).map_err(|e| refused(&words, e))
}

/// No interface but those of the installation has an address in the blocks.
pub fn ensure_free(installation: &str, blocks: &[Cidr]) -> Result<(), Error> {
    let ours = gateway_interface(installation);
    for InterfaceAddress { interface, address, .. } in ipv4_addresses().step("list addresses")? {
        if let Some(block) = blocks.iter().find(|b| interface != ours && b.contains(address)) {
            return Err(Error::Taken { block: *block, interface, address });
        }
    }
    Ok(())
}

/// A dummy interface; where the kernel has none, a bridge without ports does the same.
fn add_gateway_link(socket: &Socket, name: &str) -> Result<(), StepError> {
    let add = |kind| {
        let mut batch = Batch::new();
        batch.add_link(name, kind);
        socket.send(&batch)
    };
    add("dummy").or_else(|_| add("bridge")).map_err(|e| refused(&["create gateway interface"], e))
}

/// Removes what [`prepare`] made.
pub fn dismantle(name: &str, space: (Ipv4Addr, u8)) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink")?;
    let mut batch = Batch::new();
    batch.delete_route(&covering(space));
    match socket.send(&batch) {
        Err((_, e)) if e.raw_os_error() != Some(libc::ESRCH) => {
            return Err(refused(&["delete unreachable route"], (0, e)));
        }
        _ => {}
    }
    delete_link(name)
}

/// Deletes an interface; none there is fine.
pub fn delete_link(name: &str) -> Result<(), StepError> {
    let socket = Socket::open().step("open netlink")?;
    let mut batch = Batch::new();
    batch.delete_link(name);
    match socket.send(&batch) {
        Err((_, e)) if e.raw_os_error() != Some(libc::ENODEV) => Err(refused(&["delete link"], (0, e))),
        _ => Ok(()),
    }
}

/// The interfaces whose names start so.
pub fn links(prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
    entries.filter_map(name).filter(|n| n.starts_with(prefix)).collect()
}
