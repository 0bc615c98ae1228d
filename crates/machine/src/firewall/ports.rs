//! Opened ports without overlaps.
//!
//! A set of nftables with intervals refuses elements that overlap, and with one element the whole
//! batch. What people write may overlap: ranges are merged, and a block inside of another one
//! keeps only the ports that the outer one does not open.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{OpenPort, PortSource, Protocol};
use crate::cidr::Cidr;

/// Who may come, in an order in which outer blocks are before inner ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    Any,
    Block(Cidr),
    Application(String),
}

/// Ports of one kind of one node, for one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Door {
    pub address: Ipv4Addr,
    pub protocol: Protocol,
    pub from: From,
}

/// First and last port.
type Range = (u16, u16);

/// The doors, each with ranges that neither touch nor overlap.
pub fn merge(open: &[OpenPort]) -> BTreeMap<Door, Vec<Range>> {
    let mut doors: BTreeMap<Door, Vec<Range>> = BTreeMap::new();
    for port in open.iter().filter(|p| p.first <= p.last) {
        let door = Door {
            address: port.address,
            protocol: port.protocol,
            from: match &port.from {
                PortSource::Any => From::Any,
                PortSource::Block(block) => From::Block(*block),
                PortSource::Application(name) => From::Application(name.clone()),
            },
        };
        doors.entry(door).or_default().push((port.first, port.last));
    }
    for ranges in doors.values_mut() {
        *ranges = join(std::mem::take(ranges));
    }
    let whole = doors.clone();
    for (door, ranges) in &mut doors {
        for (outer, taken) in whole.iter().filter(|(outer, _)| covers(outer, door)) {
            debug_assert!(outer != door);
            *ranges = taken.iter().fold(std::mem::take(ranges), |left, cut| subtract(&left, *cut));
        }
    }
    doors
}

fn covers(outer: &Door, inner: &Door) -> bool {
    match (&outer.from, &inner.from) {
        (From::Block(a), From::Block(b)) => {
            (outer.address, outer.protocol) == (inner.address, inner.protocol)
                && a.length() < b.length()
                && a.contains(b.address())
        }
        _ => false,
    }
}

fn join(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if u32::from(first) <= u32::from(before.1) + 1 => {
                before.1 = before.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn subtract(ranges: &[Range], cut: Range) -> Vec<Range> {
    let mut left = Vec::new();
    for &(first, last) in ranges {
        if last < cut.0 || first > cut.1 {
            left.push((first, last));
            continue;
        }
        if first < cut.0 {
            left.push((first, cut.0 - 1));
        }
        if last > cut.1 {
            left.push((cut.1 + 1, last));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(open: &[(&str, Range)], expected: &[(&str, Range)]) {
        let address = Ipv4Addr::new(10, 1, 0, 5);
        let source = |from: &str| match from.parse() {
            Ok(block) => PortSource::Block(block),
            Err(_) if from == "any" => PortSource::Any,
            Err(_) => PortSource::Application(from.to_owned()),
        };
        let open: Vec<OpenPort> = open
            .iter()
            .map(|(from, (first, last))| OpenPort {
                address,
                protocol: Protocol::Tcp,
                first: *first,
                last: *last,
                from: source(from),
            })
            .collect();
        let name = |from: &From| match from {
            From::Any => "any".to_owned(),
            From::Block(block) => block.to_string(),
            From::Application(name) => name.clone(),
        };
        let merged = merge(&open);
        let found = merged.iter().flat_map(|(d, r)| r.iter().map(|r| (name(&d.from), *r)));
        let found: Vec<_> = found.collect();
        let expected: Vec<_> = expected.iter().map(|(f, r)| ((*f).to_owned(), *r)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn overlaps_are_merged() {
        check(&[("any", (80, 90)), ("any", (85, 95))], &[("any", (80, 95))]);
        check(&[("any", (2, 2)), ("any", (1, 1))], &[("any", (1, 2))]);
        check(&[("any", (9, 1))], &[]);
        check(&[("shop", (1, 2)), ("any", (1, 2))], &[("any", (1, 2)), ("shop", (1, 2))]);
        check(&[("any", (65_535, 65_535)), ("any", (0, 65_535))], &[("any", (0, 65_535))]);
    }

    #[test]
    fn inner_blocks_keep_what_outer_ones_leave() {
        check(
            &[("10.0.0.0/8", (80, 90)), ("10.1.0.0/16", (70, 100)), ("11.0.0.0/8", (80, 80))],
            &[
                ("10.0.0.0/8", (80, 90)),
                ("10.1.0.0/16", (70, 79)),
                ("10.1.0.0/16", (91, 100)),
                ("11.0.0.0/8", (80, 80)),
            ],
        );
        check(
            &[("10.0.0.0/8", (1, 9)), ("10.0.0.0/9", (1, 9)), ("10.0.0.0/10", (5, 6))],
            &[("10.0.0.0/8", (1, 9))],
        );
    }
}
