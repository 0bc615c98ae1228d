//! Requests in the wire format of rtnetlink(7).

use std::net::Ipv4Addr;

/// A hardware address.
pub type Mac = [u8; 6];

/// The other end of a veth pair.
pub struct Peer<'a> {
    /// Its name in its namespace.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: Mac,
    /// A process whose network namespace it is born in.
    pub pid: i32,
}

/// What a route does with packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// Sends them on.
    Unicast,
    /// Answers "no route".
    Unreachable,
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Destination and prefix length.
    pub to: (Ipv4Addr, u8),
    /// The next hop, taken to be on the link.
    pub via: Option<Ipv4Addr>,
    /// Interface index.
    pub interface: Option<u32>,
    /// The address that this machine's own packets carry.
    pub source: Option<Ipv4Addr>,
    /// Lower wins.
    pub metric: Option<u32>,
    /// What it does.
    pub kind: RouteKind,
}

/// Requests that are sent together.
#[derive(Default)]
pub struct Batch {
    buffer: Vec<u8>,
    count: usize,
}

const REQUEST_ACK: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const EXCL: u16 = libc::NLM_F_EXCL as u16;
const REPLACE: u16 = libc::NLM_F_REPLACE as u16;
const INET: u8 = libc::AF_INET as u8;
const VETH_INFO_PEER: u16 = 1;
const RTNH_F_ONLINK: u32 = 4;
const UP: u32 = libc::IFF_UP as u32;

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Batch::default()
    }

    /// How many requests.
    pub fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Creates a veth pair, this end up.
    pub fn add_veth(&mut self, name: &str, mac: Mac, peer: &Peer) {
        self.message(libc::RTM_NEWLINK, CREATE | EXCL, |b| {
            b.interface(0, UP);
            b.text(libc::IFLA_IFNAME, name);
            b.attribute(libc::IFLA_ADDRESS, &mac);
            b.nest(libc::IFLA_LINKINFO, |b| {
                b.text(libc::IFLA_INFO_KIND, "veth");
                b.nest(libc::IFLA_INFO_DATA, |b| {
                    b.nest(VETH_INFO_PEER, |b| {
                        b.interface(0, 0);
                        b.text(libc::IFLA_IFNAME, peer.name);
                        b.attribute(libc::IFLA_ADDRESS, &peer.mac);
                        b.attribute(libc::IFLA_NET_NS_PID, &peer.pid.to_ne_bytes());
                    });
                });
            });
        });
    }

    /// Creates an interface of a kind without options (`dummy`, `bridge`), up.
    pub fn add_link(&mut self, name: &str, kind: &str) {
        self.message(libc::RTM_NEWLINK, CREATE | EXCL, |b| {
            b.interface(0, UP);
            b.text(libc::IFLA_IFNAME, name);
            b.nest(libc::IFLA_LINKINFO, |b| b.text(libc::IFLA_INFO_KIND, kind));
        });
    }

    /// Sets an interface up.
    pub fn set_up(&mut self, index: u32) {
        self.message(libc::RTM_NEWLINK, 0, |b| b.interface(index, UP));
    }

    /// Deletes an interface by name.
    pub fn delete_link(&mut self, name: &str) {
        self.message(libc::RTM_DELLINK, 0, |b| {
            b.interface(0, 0);
            b.text(libc::IFLA_IFNAME, name);
        });
    }

    /// Gives an interface an address with a /32 prefix.
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr) {
        self.message(libc::RTM_NEWADDR, CREATE | REPLACE, |b| {
            b.raw(&[INET, 32, 0, 0]);
            b.raw(&index.to_ne_bytes());
            b.attribute(libc::IFA_LOCAL, &address.octets());
            b.attribute(libc::IFA_ADDRESS, &address.octets());
        });
    }

    /// Takes an address with a /32 prefix off an interface.
    pub fn delete_address(&mut self, index: u32, address: Ipv4Addr) {
        self.message(libc::RTM_DELADDR, 0, |b| {
            b.raw(&[INET, 32, 0, 0]);
            b.raw(&index.to_ne_bytes());
            b.attribute(libc::IFA_LOCAL, &address.octets());
        });
    }

    /// Adds a route to the main table; an unreachable one may be there already.
    pub fn add_route(&mut self, route: &Route) {
        let flags = match route.kind {
            RouteKind::Unicast => CREATE | EXCL,
            RouteKind::Unreachable => CREATE | REPLACE,
        };
        self.message(libc::RTM_NEWROUTE, flags, |b| b.route(route));
    }

    /// Deletes a route from the main table.
    pub fn delete_route(&mut self, route: &Route) {
        self.message(libc::RTM_DELROUTE, 0, |b| b.route(route));
    }

    /// A permanent neighbour: no ARP is ever asked.
    pub fn add_neighbour(&mut self, index: u32, address: Ipv4Addr, mac: Mac) {
        self.message(libc::RTM_NEWNEIGH, CREATE | REPLACE, |b| {
            b.raw(&[INET, 0, 0, 0]);
            b.raw(&index.to_ne_bytes());
            b.raw(&libc::NUD_PERMANENT.to_ne_bytes());
            b.raw(&[0, 0]);
            b.attribute(libc::NDA_DST, &address.octets());
            b.attribute(libc::NDA_LLADDR, &mac);
        });
    }

    fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.raw(&0u32.to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
        self.raw(&(REQUEST_ACK | flags).to_ne_bytes());
        self.raw(&(self.count as u32).to_ne_bytes());
        self.raw(&0u32.to_ne_bytes());
        body(self);
        let bytes = (self.buffer.len() - start) as u32;
        self.buffer[start..start + 4].copy_from_slice(&bytes.to_ne_bytes());
        self.count += 1;
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.raw(&(4 + value.len() as u16).to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
        self.raw(value);
        self.pad();
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.raw(&[0, 0]);
        self.raw(&kind.to_ne_bytes());
        body(self);
        let bytes = (self.buffer.len() - start) as u16;
        self.buffer[start..start + 2].copy_from_slice(&bytes.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        let whole = self.buffer.len().next_multiple_of(4);
        self.buffer.resize(whole, 0);
    }

    fn interface(&mut self, index: u32, flags: u32) {
        self.raw(&[0; 4]);
        self.raw(&index.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
        self.raw(&flags.to_ne_bytes());
    }

    fn route(&mut self, route: &Route) {
        let (kind, scope) = match (route.kind, route.via) {
            (RouteKind::Unreachable, _) => (libc::RTN_UNREACHABLE, libc::RT_SCOPE_UNIVERSE),
            (RouteKind::Unicast, Some(_)) => (libc::RTN_UNICAST, libc::RT_SCOPE_UNIVERSE),
            (RouteKind::Unicast, None) => (libc::RTN_UNICAST, libc::RT_SCOPE_LINK),
        };
        let table = libc::RT_TABLE_MAIN;
        self.raw(&[INET, route.to.1, 0, 0, table, libc::RTPROT_STATIC, scope, kind]);
        let onlink = if route.via.is_some() { RTNH_F_ONLINK } else { 0 };
        self.raw(&onlink.to_ne_bytes());
        if route.to.1 > 0 {
            self.attribute(libc::RTA_DST, &route.to.0.octets());
        }
        if let Some(via) = route.via {
            self.attribute(libc::RTA_GATEWAY, &via.octets());
        }
        if let Some(index) = route.interface {
            self.attribute(libc::RTA_OIF, &index.to_ne_bytes());
        }
        if let Some(source) = route.source {
            self.attribute(libc::RTA_PREFSRC, &source.octets());
        }
        if let Some(metric) = route.metric {
            self.attribute(libc::RTA_PRIORITY, &metric.to_ne_bytes());
        }
    }
}
