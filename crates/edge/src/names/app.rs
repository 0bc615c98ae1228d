//! The names of one application.
//!
//! | name, before `<app>.lace.internal` | A | SRV |
//! | --- | --- | --- |
//! | `<family>-<n>.<service>` | that node | |
//! | `<family>.<service>` | all that are up | every port of the family |
//! | `ready.<family>.<service>` | those that are ready | |
//! | `<service>`, and the application itself | all that are up | |
//! | `_<port>._tcp.<family>.<service>`, `_<port>._tcp.<service>` | | that port |
//!
//! A member is published when its process is up, not when it is ready, or the first start of a cluster whose
//! nodes wait for each other would never end. A place that is known but down has its name and no address.

use lace_model::document::{Member, Topic};
use lace_model::{FamilyPath, Generation};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// `lace.internal` as labels on the wire.
pub(crate) const ZONE_WIRE: &[u8] = b"\x04lace\x08internal\x00";
/// Longest name of a port, so that it fits a label behind the underscore.
const PORT_CHARS_MAX: usize = 62;

/// A node that is up.
pub(crate) struct Host {
    /// Its stable name, as labels on the wire.
    pub name: Box<[u8]>,
    pub address: Ipv4Addr,
    pub ready: bool,
}

/// What one name stands for. An entry with nothing in it is a name without data (RFC 2308 NODATA).
#[derive(Default)]
pub(crate) struct Entry {
    /// Each address once.
    pub addresses: Vec<Ipv4Addr>,
    /// Index of the host, and port.
    pub ports: Vec<(u32, u16)>,
}

/// All names of one application.
pub(crate) struct AppNames {
    generation: Generation,
    hosts: Vec<Host>,
    entries: HashMap<String, Entry>,
}

impl AppNames {
    pub fn of(topic: &Topic) -> Self {
        let mut draft = Draft::default();
        draft.entries.entry(String::new()).or_default();
        // A running job is in the topic for the firewall's sake; its index is 0 and it has no name.
        for member in topic.members.iter().filter(|m| m.path.index > 0) {
            draft.member(member);
        }
        for (family, ports) in topic.ports.iter().filter(|(f, _)| f.app == topic.app) {
            for (port, number) in ports {
                draft.port(family, port, *number);
            }
        }
        draft.finish(topic.generation)
    }

    pub fn generation(&self) -> Generation {
        self.generation
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// `rest` is the name without `.<app>.lace.internal`, in small letters.
    pub fn entry(&self, rest: &str) -> Option<&Entry> {
        self.entries.get(rest)
    }
}

#[derive(Default)]
struct Draft {
    hosts: Vec<Host>,
    families: BTreeMap<FamilyPath, Vec<u32>>,
    entries: HashMap<String, Entry>,
    places: HashMap<String, Vec<Ipv4Addr>>,
}

impl Draft {
    fn member(&mut self, member: &Member) {
        let family = &member.path.family;
        let set = set_name(family);
        let ready = format!("ready.{set}");
        let sets = [set, family.service.to_string(), String::new()];
        for name in &sets {
            let entry = self.entries.entry(name.clone()).or_default();
            entry.addresses.extend(member.up.then_some(member.address));
        }
        let entry = self.entries.entry(ready).or_default();
        entry.addresses.extend((member.up && member.ready).then_some(member.address));
        let place = format!("{}.{}", member.path.hostname(), family.service);
        self.places.entry(place).or_default().extend(member.up.then_some(member.address));
        if member.up {
            self.host(member);
        }
    }

    fn host(&mut self, member: &Member) {
        let family = &member.path.family;
        let hostname = member.path.hostname();
        let labels = [hostname.as_str(), family.service.as_str(), family.app.as_str()];
        let index = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        self.families.entry(family.clone()).or_default().push(index);
        self.hosts.push(Host { name: wire_name(&labels), address: member.address, ready: member.ready });
    }

    fn port(&mut self, family: &FamilyPath, port: &str, number: u16) {
        let set = set_name(family);
        let hosts = self.families.get(family).map_or(&[][..], Vec::as_slice);
        let mut names = vec![set.clone()];
        let port = port.to_ascii_lowercase();
        if is_label(&port) {
            for parent in [set.as_str(), family.service.as_str()] {
                self.entries.entry(format!("_tcp.{parent}")).or_default();
                names.push(format!("_{port}._tcp.{parent}"));
            }
        } else {
            tracing::warn!(%family, port, "the name of this port is no DNS label: no SRV record of its own");
        }
        for name in names {
            let ports = &mut self.entries.entry(name).or_default().ports;
            ports.extend(hosts.iter().map(|host| (*host, number)));
        }
    }

    fn finish(mut self, generation: Generation) -> AppNames {
        // Family `web-1` and node 1 of family `web` would share a name: the node's own name is promised.
        for (place, addresses) in self.places {
            self.entries.entry(place).or_default().addresses = addresses;
        }
        for entry in self.entries.values_mut() {
            entry.addresses.sort_unstable();
            entry.addresses.dedup();
            entry.ports.sort_unstable();
            entry.ports.dedup();
        }
        AppNames { generation, hosts: self.hosts, entries: self.entries }
    }
}

fn set_name(family: &FamilyPath) -> String {
    format!("{}.{}", family.family, family.service)
}

fn is_label(text: &str) -> bool {
    (1..=PORT_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

/// Labels and the zone as on the wire. The labels come from [`lace_model::Name`], so each fits its length byte.
fn wire_name(labels: &[&str]) -> Box<[u8]> {
    let mut wire = Vec::with_capacity(64);
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap_or(0));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.extend_from_slice(ZONE_WIRE);
    wire.into_boxed_slice()
}
