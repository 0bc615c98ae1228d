//! Room: what this family takes of each host, and which addresses it has.

use super::input::{FamilyInput, HostView, Used};
use super::slot::Slot;
use lace_model::host::Block;
use lace_model::node::NodePhase;
use lace_model::revision::Limits;
use lace_model::{ByteSize, CpuMillis, HostId};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// What this family takes of the hosts.
#[derive(Default)]
pub(super) struct Room {
    hosts: BTreeMap<HostId, Used>,
    addresses: HashMap<Ipv4Addr, u32>,
}

impl Room {
    pub fn of(slots: &BTreeMap<u32, Slot>, input: &FamilyInput) -> Self {
        let mut room = Self::default();
        for slot in slots.values() {
            room.enter(slot, input);
        }
        for stray in input.observed.values().filter(|s| s.phase != NodePhase::Gone) {
            *room.addresses.entry(stray.address).or_default() += 1;
        }
        room
    }

    pub fn enter(&mut self, slot: &Slot, input: &FamilyInput) {
        for (host, takes) in claims(slot, input) {
            let used = self.hosts.entry(host).or_default();
            used.cpu.0 = used.cpu.0.saturating_add(takes.cpu.0);
            used.memory.0 = used.memory.0.saturating_add(takes.memory.0);
            used.nodes += takes.nodes;
        }
        for node in slot.going.iter().chain(&slot.run) {
            *self.addresses.entry(node.address).or_default() += 1;
        }
    }

    pub fn leave(&mut self, slot: &Slot, input: &FamilyInput) {
        for (host, takes) in claims(slot, input) {
            let used = self.hosts.entry(host).or_default();
            used.cpu.0 = used.cpu.0.saturating_sub(takes.cpu.0);
            used.memory.0 = used.memory.0.saturating_sub(takes.memory.0);
            used.nodes -= takes.nodes;
        }
        for node in slot.going.iter().chain(&slot.run) {
            *self.addresses.entry(node.address).or_default() -= 1;
        }
    }

    /// What this family takes of a host.
    pub fn own(&self, host: HostId) -> Used {
        self.hosts.get(&host).copied().unwrap_or_default()
    }

    /// The lowest free address of a host's blocks.
    pub fn address(&self, view: &HostView) -> Option<Ipv4Addr> {
        let free =
            |a: &Ipv4Addr| !view.taken.contains(a) && self.addresses.get(a).is_none_or(|count| *count == 0);
        view.host.blocks.iter().copied().flat_map(Block::addresses).find(free)
    }
}

/// What a slot takes, by host. A node that goes and its successor at the same place run one after the other, so only
/// the successor counts there.
pub(super) fn claims(slot: &Slot, input: &FamilyInput) -> Vec<(HostId, Used)> {
    let mut claims: Vec<(HostId, Used)> = Vec::with_capacity(1);
    for node in slot.run.iter().chain(slot.going.iter().rev()) {
        if claims.iter().all(|(host, _)| *host != node.host) {
            claims.push((node.host, demand(node.revision, input)));
        }
    }
    claims
}

/// What one node of the family takes at a revision.
pub(super) fn demand(revision: u64, input: &FamilyInput) -> Used {
    let limits = input.revisions.get(&revision).map(|r| r.spec.limits_of(&input.family.path.family));
    let (cpu, memory) = limits.map_or_else(
        || {
            let usual = Limits::default();
            (usual.cpu, usual.memory)
        },
        |l| (l.cpu, l.memory),
    );
    Used { cpu: CpuMillis(cpu.0), memory: ByteSize(memory.0), nodes: 1 }
}
