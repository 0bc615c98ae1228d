//! What `lace.internal`, and the reverse names of the private space, say to a question.

use super::ask::{Ask, Transport};
use super::dice::Dice;
use super::packet::{A_BYTES, Owner, Packet, Section, code, kind};
use crate::config::Network;
use crate::names::{AppNames, Entry, Host, Table, ZONE_WIRE};
use std::net::Ipv4Addr;

/// Seconds that an answer may be kept: an address that went away is forgotten at once.
const TTL: u32 = 1;
/// Seconds that the lack of a name may be kept (RFC 2308): not at all, so that a first start is seen at once.
const TTL_NEGATIVE: u32 = 0;
/// `_<port>._tcp.<family>.<service>`: no name of ours is deeper, before the application.
const REST_LABELS_MAX: usize = 4;
/// The mailbox that a SOA wants (RFC 2142 section 7), before the zone's name.
const MAILBOX: &[u8] = b"\x0ahostmaster";
/// Bytes of `.in-addr.arpa.` on the wire.
const ARPA_BYTES: usize = 14;

/// One state of the zone.
pub(super) struct Zone<'a> {
    pub table: &'a Table,
    pub servers: &'a [Ipv4Addr],
    pub space: &'a [Network],
}

/// Where a question points.
enum Spot {
    Outside,
    Apex,
    /// Below an application: its name, and what comes before.
    App(String, String),
    /// In the zone, but no name can be there.
    Nothing,
    /// A whole address turned round.
    Address(Ipv4Addr),
    /// The beginning of an address turned round, with its length in bits.
    Addresses(Ipv4Addr, u8),
}

impl Zone<'_> {
    /// The answer, or nothing where the question lies outside.
    pub fn answer<'q>(&self, ask: &'q Ask, dice: &mut Dice) -> Option<Packet<'q>> {
        let spot = locate(ask);
        if matches!(spot, Spot::Outside) {
            return None;
        }
        if !matches!(ask.class, 1 | 255) {
            return Some(Packet::reply(ask, code::REFUSED, false));
        }
        match spot {
            Spot::Outside => None,
            Spot::Apex => Some(self.apex(ask)),
            Spot::Nothing => Some(self.negative(ask, code::NO_NAME, ZONE_WIRE.len())),
            Spot::App(app, rest) => Some(self.inside(ask, &app, &rest, dice)),
            Spot::Address(address) => self.reverse(ask, address),
            Spot::Addresses(base, bits) => {
                let ours = self.space.iter().any(|s| s.covers(base, bits));
                ours.then(|| self.negative(ask, code::NONE, reverse_zone(base)))
            }
        }
    }

    fn apex<'q>(&self, ask: &'q Ask) -> Packet<'q> {
        let mut packet = Packet::reply(ask, code::NONE, true);
        let owner = Owner::QUESTION;
        match ask.record {
            kind::A => {
                for server in self.servers {
                    packet.address(Section::Answer, &owner, TTL, *server);
                }
            }
            kind::NS => {
                packet.record(Section::Answer, &owner, kind::NS, TTL, ZONE_WIRE);
                for server in self.servers {
                    packet.address(Section::Additional, &owner, TTL, *server);
                }
            }
            kind::SOA | kind::ANY => {
                packet.record(Section::Answer, &owner, kind::SOA, TTL, &self.soa());
            }
            _ => return self.negative(ask, code::NONE, ZONE_WIRE.len()),
        }
        packet
    }

    fn inside<'q>(&self, ask: &'q Ask, app: &str, rest: &str, dice: &mut Dice) -> Packet<'q> {
        let found = self.table.app(app).and_then(|app| Some((app, app.entry(rest)?)));
        let Some((app, entry)) = found else {
            return self.negative(ask, code::NO_NAME, ZONE_WIRE.len());
        };
        match ask.record {
            kind::A | kind::ANY if !entry.addresses.is_empty() => addresses(ask, entry, dice),
            kind::SRV | kind::ANY if !entry.ports.is_empty() => ports(ask, app, entry, dice),
            _ => self.negative(ask, code::NONE, ZONE_WIRE.len()),
        }
    }

    fn reverse<'q>(&self, ask: &'q Ask, address: Ipv4Addr) -> Option<Packet<'q>> {
        let mut hosts = self.table.hosts_at(address).peekable();
        if hosts.peek().is_none() {
            let ours = self.space.iter().any(|s| s.contains(address.into()));
            return ours.then(|| self.negative(ask, code::NO_NAME, reverse_zone(address)));
        }
        if !matches!(ask.record, kind::PTR | kind::ANY) {
            return Some(self.negative(ask, code::NONE, reverse_zone(address)));
        }
        let mut packet = Packet::reply(ask, code::NONE, true);
        for host in hosts {
            packet.record(Section::Answer, &Owner::QUESTION, kind::PTR, TTL, &host.name);
        }
        Some(packet)
    }

    /// No such name, or no such data, with the SOA that says how long to believe it (RFC 2308 section 3).
    /// The SOA's owner is the end of the question's name, `zone_bytes` long.
    fn negative<'q>(&self, ask: &'q Ask, code: u16, zone_bytes: usize) -> Packet<'q> {
        let mut packet = Packet::reply(ask, code, true);
        let owner = Owner::At(packet.suffix(zone_bytes));
        packet.record(Section::Authority, &owner, kind::SOA, TTL_NEGATIVE, &self.soa());
        packet
    }

    /// RFC 1035 section 3.3.13. The zone is its own name server, so that no application's name is taken for it.
    fn soa(&self) -> Vec<u8> {
        let mut data = [ZONE_WIRE, MAILBOX, ZONE_WIRE].concat();
        for number in [self.table.serial(), 3_600, 600, 86_400, TTL_NEGATIVE] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data
    }
}

/// Addresses in a new order for every answer. A set that does not fit a datagram is cut and said to be so; what does
/// not fit the 64 KiB of a stream (above 4,000 addresses) is a random part of the set.
fn addresses<'q>(ask: &'q Ask, entry: &Entry, dice: &mut Dice) -> Packet<'q> {
    let mut packet = Packet::reply(ask, code::NONE, true);
    for address in dice.pick(&entry.addresses, packet.room() / A_BYTES) {
        packet.address(Section::Answer, &Owner::QUESTION, TTL, address);
    }
    mark_cut(&mut packet, ask, entry.addresses.len());
    packet
}

/// Ports with stable host names (RFC 2782): hosts that are ready at priority 0, those that are only up at 10.
/// Their addresses follow as far as they fit.
fn ports<'q>(ask: &'q Ask, app: &AppNames, entry: &Entry, dice: &mut Dice) -> Packet<'q> {
    let mut packet = Packet::reply(ask, code::NONE, true);
    let mut targets: Vec<(usize, &Host)> = Vec::new();
    for (index, port) in dice.pick(&entry.ports, packet.room() / A_BYTES) {
        let Some(host) = app.hosts().get(index as usize) else { continue };
        let priority: u16 = if host.ready { 0 } else { 10 };
        let mut data = Vec::with_capacity(6 + host.name.len());
        for number in [priority, 0, port] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data.extend_from_slice(&host.name);
        match packet.record(Section::Answer, &Owner::QUESTION, kind::SRV, TTL, &data) {
            Some(start) => targets.push((start + 6, host)),
            None => break,
        }
    }
    mark_cut(&mut packet, ask, entry.ports.len());
    for (position, host) in targets {
        let owner = Owner::at_or(position, &host.name);
        if !packet.address(Section::Additional, &owner, TTL, host.address) {
            break;
        }
    }
    packet
}

/// Over a stream there is nothing to ask again with, so only a datagram is said to be cut.
fn mark_cut(packet: &mut Packet<'_>, ask: &Ask, wanted: usize) {
    if ask.transport == Transport::Udp && packet.answers() < wanted {
        packet.truncate();
    }
}

/// `10.in-addr.arpa.` and its like: the zone that RFC 6303 gives to a private network.
fn reverse_zone(address: Ipv4Addr) -> usize {
    ARPA_BYTES + 1 + address.octets()[0].to_string().len()
}

fn locate(ask: &Ask) -> Spot {
    let mut labels = ask.name.iter().rev();
    let mut next = || labels.next().map(<[u8]>::to_ascii_lowercase);
    match (next().as_deref(), next().as_deref()) {
        (Some(b"internal"), Some(b"lace")) => inside_zone(labels),
        (Some(b"arpa"), Some(b"in-addr")) => turned_round(labels),
        _ => Spot::Outside,
    }
}

fn inside_zone<'n>(mut labels: impl DoubleEndedIterator<Item = &'n [u8]>) -> Spot {
    let Some(app) = labels.next() else {
        return Spot::Apex;
    };
    let rest: Vec<&[u8]> = labels.rev().take(REST_LABELS_MAX + 1).collect();
    let plain = |label: &[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
    if rest.len() > REST_LABELS_MAX || !plain(app) || !rest.iter().all(|label| plain(label)) {
        return Spot::Nothing;
    }
    let small = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    Spot::App(small(app), small(&rest.join(&b'.')))
}

fn turned_round<'n>(labels: impl Iterator<Item = &'n [u8]>) -> Spot {
    let mut octets = [0; 4];
    let mut count = 0;
    for label in labels {
        match (octets.get_mut(count), octet(label)) {
            (Some(place), Some(octet)) => *place = octet,
            _ => return Spot::Outside,
        }
        count += 1;
    }
    match count {
        0 => Spot::Outside,
        4 => Spot::Address(octets.into()),
        _ => Spot::Addresses(octets.into(), 8 * count as u8),
    }
}

/// Digits as RFC 1035 section 3.5 writes them: no sign, no leading zero.
fn octet(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok()?;
    text.parse().ok().filter(|octet: &u8| octet.to_string() == text)
}
