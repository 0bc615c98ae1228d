//! The firewall state as nftables objects, and the difference of two of them.
//!
//! The base has constant rules over sets and one verdict map from a source address to the chain
//! of its application, so the cost of a packet does not grow with the number of applications.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::ports::{self, Door, From};
use super::{FirewallState, Protocol};
use crate::cidr::Cidr;
use crate::network::LINKS;

/// What becomes of packets that are neither from nor to the space: nothing of ours, unless this host forwards at all
/// only because of us and nobody else judges them. Those of other installations' nodes are judged by their own tables.
pub fn foreign(table: &str, closed: bool) -> String {
    let add = format!("add rule inet {table} foreign");
    let rules = if closed {
        format!("{add} iifname \"{LINKS}*\" accept\n{add} oifname \"{LINKS}*\" accept\n{add} drop\n")
    } else {
        String::new()
    };
    format!("add chain inet {table} foreign\nflush chain inet {table} foreign\n{rules}")
}

/// The table with its constant rules. What neither comes from nor goes to a node here is judged by the hosts of its nodes:
/// a host may be the router or the bridge (with br_netfilter) between them. Whoever speaks with an address of the space
/// comes from a node's interface, or is a liar: strict source checks are the host's choice for its other interfaces, so it
/// is said here. What comes from blocks of other hosts by the interface that leads there is from their nodes. `links`: what
/// the interfaces of nodes start with.
pub fn base(table: &str, space: Cidr, gateway: Ipv4Addr, links: &str) -> String {
    // First made, so that deleting never fails: the former table goes in the same transaction.
    format!(
        "table inet {table} {{}}
delete table inet {table}
table inet {table} {{
  set egress {{ type ipv4_addr; }}
  set open_any {{ type ipv4_addr . inet_proto . inet_service; flags interval; }}
  set open_block {{ type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }}
  set ways {{ type ifname . ipv4_addr; flags interval; }}
  set elsewhere {{ type ipv4_addr; flags interval; }}
  set hosts {{ type ipv4_addr; }}
  set on_host {{ type ipv4_addr; }}
  set host_ports {{ type inet_proto . inet_service; }}
  map sources {{ type ipv4_addr : verdict; }}
  chain foreign {{ }}
  chain to_host_node {{
    ip saddr @hosts accept
    ip saddr vmap @sources
    ip daddr . meta l4proto . th dport @open_any accept
    ip daddr . meta l4proto . th dport . ip saddr @open_block accept
  }}
  chain from_elsewhere {{
    iifname . ip saddr != @ways drop
    ct state established,related accept
    ip daddr @on_host jump to_host_node
    drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname \"{links}*\" meta nfproto ipv6 drop
    iifname \"{links}*\" ip saddr != {space} drop
    ip saddr != {space} ip daddr != {space} goto foreign
    iifname != \"{links}*\" oifname != \"{links}*\" accept
    iifname != \"{links}*\" ip saddr {space} iifname . ip saddr != @ways drop
    ct state established,related accept
    iifname != \"{links}*\" ip saddr @hosts accept
    ip saddr vmap @sources
    ip daddr . meta l4proto . th dport @open_any accept
    ip daddr . meta l4proto . th dport . ip saddr @open_block accept
    iifname \"{links}*\" ip daddr @elsewhere accept
    ip daddr {space} drop
    ip saddr @egress accept
    ip saddr {space} drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname \"{links}*\" meta nfproto ipv6 drop
    iifname != \"{links}*\" iifname != \"lo\" ip saddr {space} goto from_elsewhere
    iifname != \"{links}*\" accept
    ip saddr != {space} drop
    ct state established,related accept
    ip daddr {gateway} meta l4proto {{ tcp, udp }} th dport 53 accept
    ip daddr {gateway} meta l4proto . th dport @host_ports accept
    ip daddr {gateway} icmp type echo-request accept
    ip daddr @on_host jump to_host_node
    drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @egress ip daddr != {space} masquerade
  }}
}}
"
    )
}

/// What varies, as text of elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Constant sets by name.
    sets: BTreeMap<&'static str, BTreeSet<String>>,
    /// Applications by chain name.
    applications: BTreeMap<String, Members>,
}

/// An application's own sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Members {
    members: BTreeSet<String>,
    /// Ports of others that are open to it.
    reach: BTreeSet<String>,
}

const SETS: [&str; 8] =
    ["egress", "open_any", "open_block", "host_ports", "ways", "elsewhere", "hosts", "on_host"];

impl Ruleset {
    /// The objects of a state.
    pub fn of(state: &FirewallState) -> Self {
        let mut ruleset = Ruleset::default();
        for (name, application) in &state.applications {
            let entry = ruleset.applications.entry(chain(name)).or_default();
            entry.members.extend(application.members.iter().map(Ipv4Addr::to_string));
            let egress = application.egress.iter().map(Ipv4Addr::to_string);
            ruleset.sets.entry("egress").or_default().extend(egress);
        }
        for (door, ports) in ports::merge(&state.open) {
            for (first, last) in ports {
                ruleset.open(&door, first, last);
            }
        }
        let ports = state.host_ports.iter().map(|p| format!("{} . {}", word(p.protocol), p.port));
        ruleset.sets.entry("host_ports").or_default().extend(ports);
        let on_host = state.on_host.iter().map(Ipv4Addr::to_string);
        ruleset.sets.entry("on_host").or_default().extend(on_host);
        for way in &state.ways {
            let mut put = |set, element| ruleset.sets.entry(set).or_default().insert(element);
            put("ways", format!("\"{}\" . {}", way.interface, way.block));
            put("elsewhere", way.block.to_string());
            way.host.map(|host| put("hosts", host.to_string()));
        }
        ruleset
    }

    fn open(&mut self, door: &Door, first: u16, last: u16) {
        let ports = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        let element = format!("{} . {} . {ports}", door.address, word(door.protocol));
        match &door.from {
            From::Any => {
                self.sets.entry("open_any").or_default().insert(element);
            }
            From::Block(block) => {
                let set = self.sets.entry("open_block").or_default();
                set.insert(format!("{element} . {block}"));
            }
            From::Application(name) => {
                let entry = self.applications.entry(chain(name)).or_default();
                entry.reach.insert(element);
            }
        }
    }

    /// The batch that turns a table in the `from` state into this one; empty when equal.
    pub fn batch_from(&self, from: &Ruleset, table: &str) -> String {
        if self == from {
            return String::new();
        }
        let mut batch = Batch { text: String::new(), table };
        for name in SETS {
            let none = BTreeSet::new();
            let new = self.sets.get(name).unwrap_or(&none);
            let old = from.sets.get(name).unwrap_or(&none);
            batch.set(name, old, new);
        }
        self.application_changes(from, &mut batch);
        batch.text
    }

    fn application_changes(&self, from: &Ruleset, batch: &mut Batch) {
        for name in self.applications.keys().filter(|n| !from.applications.contains_key(*n)) {
            batch.add_application(name);
        }
        let old = from.sources();
        let new = self.sources();
        let gone: Vec<&String> = old.iter().filter(|(k, v)| new.get(*k) != Some(*v)).map(|x| x.0).collect();
        batch.elements("delete", "sources", gone.into_iter().map(String::as_str));
        let come = new.iter().filter(|(k, v)| old.get(*k) != Some(*v));
        let come: Vec<String> = come.map(|(k, v)| format!("{k} : jump {v}")).collect();
        batch.elements("add", "sources", come.iter().map(String::as_str));
        let none = Members::default();
        for (name, members) in &self.applications {
            let old = from.applications.get(name).unwrap_or(&none);
            batch.set(&format!("{name}_members"), &old.members, &members.members);
            batch.set(&format!("{name}_reach"), &old.reach, &members.reach);
        }
        for name in from.applications.keys().filter(|n| !self.applications.contains_key(*n)) {
            batch.delete_application(name);
        }
    }

    /// Which chain each member goes to.
    fn sources(&self) -> BTreeMap<String, &str> {
        let mut sources = BTreeMap::new();
        for (name, application) in &self.applications {
            for member in &application.members {
                sources.insert(member.clone(), name.as_str());
            }
        }
        sources
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// The chain of an application: nftables names hold no dots and may not be words of its grammar.
fn chain(application: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:x}_", c as u32) };
    let name: String = application.chars().map(plain).collect();
    format!("app_{name}")
}

struct Batch<'a> {
    text: String,
    table: &'a str,
}

impl Batch<'_> {
    fn sets_of(name: &str) -> [String; 2] {
        [
            format!("{name}_members {{ type ipv4_addr; }}"),
            format!("{name}_reach {{ type ipv4_addr . inet_proto . inet_service; flags interval; }}"),
        ]
    }

    fn set(&mut self, name: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        self.elements("delete", name, old.difference(new).map(String::as_str));
        self.elements("add", name, new.difference(old).map(String::as_str));
    }

    fn elements<'e>(&mut self, verb: &str, set: &str, elements: impl Iterator<Item = &'e str>) {
        let elements: Vec<&str> = elements.collect();
        if !elements.is_empty() {
            let list = elements.join(", ");
            let _ = writeln!(self.text, "{verb} element inet {} {set} {{ {list} }}", self.table);
        }
    }

    fn add_application(&mut self, name: &str) {
        let table = self.table;
        for set in Batch::sets_of(name) {
            let _ = writeln!(self.text, "add set inet {table} {set}");
        }
        let _ = writeln!(self.text, "add chain inet {table} {name}");
        let _ = writeln!(self.text, "add rule inet {table} {name} ip daddr @{name}_members accept");
        let ports = "ip daddr . meta l4proto . th dport";
        let _ = writeln!(self.text, "add rule inet {table} {name} {ports} @{name}_reach accept");
    }

    fn delete_application(&mut self, name: &str) {
        let table = self.table;
        let _ = writeln!(self.text, "flush chain inet {table} {name}");
        let _ = writeln!(self.text, "delete chain inet {table} {name}");
        for set in ["members", "reach"] {
            let _ = writeln!(self.text, "delete set inet {table} {name}_{set}");
        }
    }
}
