//! Where nodes will be: those that fit stay where they are, the others go where placement puts them, if need be on hosts that
//! it orders.

use super::{Estate, limits};
use crate::family::{FamilyInput, Gates, HostView, JobGate, Offer, Order, Used, plan, ports_taken, size};
use lace_model::family::Family;
use lace_model::host::{Block, Capacity, Host, Liveness, Underlay};
use lace_model::pool::Pool;
use lace_model::revision::{Limits, Protocol, Revision};
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::{AppName, ByteSize, CpuMillis, FamilyPath, HostId, Name, ServicePath};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Times that placement is asked for one family: each time it may order as many hosts as there are, and at least 20.
const ROUNDS_MAX: usize = 24;
/// Hosts that are thought of at most; what more would cost is not told.
const HOSTS_MAX: usize = 10_000;
/// Blocks of hosts that are only thought of: of addresses that nobody has (RFC 1112, class E).
const BLOCKS: u32 = 0xf000_0000;

/// Hosts that there are, those on their way, and those that would be ordered.
pub(super) struct Ground {
    pub pools: BTreeMap<Name, Arc<Pool>>,
    pub offers: Vec<Offer>,
    /// By id.
    pub hosts: BTreeMap<HostId, Host>,
    pub ordered: BTreeSet<HostId>,
    /// On their way, of the hosts.
    pub coming: BTreeSet<HostId>,
    pub notes: BTreeSet<String>,
}

impl Ground {
    pub fn of(estate: &Estate) -> Self {
        let pools = estate.priced();
        let offers = estate.offers(&pools);
        let hosts = estate.hosts.iter().map(|host| (host.id, host.clone())).collect();
        let (ordered, coming, notes) = Default::default();
        let mut ground = Self { pools, offers, hosts, ordered, coming, notes };
        for machine in estate.coming() {
            let node = Limits::default();
            let host = ground.such(&machine.pool, machine.id, &machine.name, &node);
            ground.coming.insert(machine.id);
            ground.hosts.insert(machine.id, host);
        }
        ground
    }

    /// A host as a pool would give it: like one that it gave, or else of the size that it says.
    fn such(&mut self, pool: &Name, id: HostId, name: &Name, node: &Limits) -> Host {
        let number = u32::try_from(self.coming.len() + self.ordered.len()).unwrap_or(u32::MAX);
        let known = self.hosts.values().find(|host| host.pool.as_ref() == Some(pool)).cloned();
        let said = self.pools.get(pool).and_then(|pool| size(pool));
        let unknown = Capacity { cpu: node.cpu, memory: node.memory, slots: 1 };
        if known.is_none() && said.is_none() {
            self.notes.insert(format!(
                "nobody knows the size of a host of pool {pool}: one for each node is counted (lace pool set {pool} \
                 --attr cpu=2 --attr memory=4GiB)"
            ));
        }
        let network =
            self.offers.iter().find(|offer| offer.pool.name == *pool).and_then(|o| o.network.clone());
        let nowhere = Ipv4Addr::UNSPECIFIED;
        let made =
            Underlay { address: nowhere, prefix: 32, behind: Some(IpAddr::V4(nowhere)), within: network };
        Host {
            id,
            name: name.clone(),
            capacity: known.as_ref().map(|host| host.capacity.clone()).or(said).unwrap_or(unknown),
            attributes: known.as_ref().map(|host| host.attributes.clone()).unwrap_or_default(),
            blocks: vec![Block { base: Ipv4Addr::from(BLOCKS.saturating_add(number << 8)) }],
            draining: false,
            agent_version: String::new(),
            joined_at: u64::MAX,
            removing: false,
            pool: Some(pool.clone()),
            underlay: known.map_or(Some(made), |host| host.underlay),
        }
    }

    fn order(&mut self, order: &Order, seed: &[u8; 32], node: &Limits) {
        for _ in 0..order.hosts {
            if self.ordered.len() >= HOSTS_MAX {
                self.notes.insert(format!("more than {HOSTS_MAX} hosts would be ordered: these are counted"));
                return;
            }
            let id = HostId::derive(seed, &format!("forecast/{}/{}", order.pool, self.ordered.len()));
            let host = self.such(&order.pool, id, &order.pool, node);
            self.ordered.insert(id);
            self.hosts.insert(id, host);
            let offer = self.offers.iter_mut().find(|offer| offer.pool.name == order.pool);
            offer.into_iter().for_each(|offer| offer.there = offer.there.saturating_add(1));
        }
    }
}

/// An application as it will be.
pub(super) struct Placed {
    pub ground: Ground,
    /// Its nodes: where each is, and what it takes.
    pub nodes: Vec<(FamilyPath, HostId, Limits)>,
}

#[derive(Clone, Default)]
struct Taken {
    used: Used,
    addresses: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<(Protocol, u16)>,
}

impl Taken {
    fn enter(&mut self, limits: &Limits, address: Option<Ipv4Addr>, ports: &BTreeSet<(Protocol, u16)>) {
        self.used.cpu = CpuMillis(self.used.cpu.0.saturating_add(limits.cpu.0));
        self.used.memory = ByteSize(self.used.memory.0.saturating_add(limits.memory.0));
        self.used.nodes += 1;
        self.addresses.extend(address);
        self.ports.extend(ports);
    }

    /// Is there room for one more, the ports of the host aside?
    fn takes(&self, capacity: &Capacity, limits: &Limits) -> bool {
        self.used.cpu.0.saturating_add(limits.cpu.0) <= capacity.cpu.0
            && self.used.memory.0.saturating_add(limits.memory.0) <= capacity.memory.0
            && self.used.nodes < capacity.slots
    }
}

type Revisions = BTreeMap<ServicePath, BTreeMap<u64, Revision>>;

/// The families of an application as they will be.
pub(super) fn settled(
    app: &AppName,
    estate: &Estate,
    ground: Ground,
    families: &BTreeMap<FamilyPath, Family>,
    revisions: &Revisions,
) -> Placed {
    let mut taken = of_others(app, estate);
    let wanted: Vec<&Family> =
        families.values().filter(|family| family.running && !family.deleting).collect();
    let kept: Vec<Target> =
        wanted.iter().map(|family| keep(family, estate, &ground, revisions, &mut taken)).collect();
    let mut placed = Placed { ground, nodes: Vec::new() };
    for (family, kept) in wanted.into_iter().zip(kept) {
        let limits = limits(revisions, &family.path, family.revision);
        let target = fill(family, kept, estate, &mut placed.ground, revisions, &mut taken);
        let running = target.nodes.into_iter().filter(|node| node.want == Want::Run);
        placed.nodes.extend(running.map(|node| (family.path.clone(), node.host, limits.clone())));
    }
    placed
}

fn of_others(app: &AppName, estate: &Estate) -> BTreeMap<HostId, Taken> {
    let mut taken: BTreeMap<HostId, Taken> = BTreeMap::new();
    for target in estate.targets.iter().filter(|target| target.family.app != *app) {
        for node in &target.nodes {
            let limits = estate.limits(&target.family, node.revision);
            taken.entry(node.host).or_default().enter(&limits, Some(node.address), &BTreeSet::new());
        }
    }
    for job in &estate.jobs {
        let host = job.host.into_iter();
        host.for_each(|host| {
            taken.entry(host).or_default().enter(&job.spec.limits, job.address, &BTreeSet::new());
        });
    }
    taken
}

fn ports(family: &Family, revisions: &Revisions) -> BTreeSet<(Protocol, u16)> {
    let known = revisions.get(&family.path.service_path()).and_then(|of| of.get(&family.revision));
    known.map(|revision| ports_taken(family, revision.spec.host_ports())).unwrap_or_default()
}

/// The nodes that stay where they are, as they will be: those that still have room there.
fn keep(
    family: &Family,
    estate: &Estate,
    ground: &Ground,
    revisions: &Revisions,
    taken: &mut BTreeMap<HostId, Taken>,
) -> Target {
    let current = estate.targets.iter().find(|target| target.family == family.path);
    let mut kept = current.cloned().unwrap_or_else(|| blank(family));
    let wanted = kept.indexes(family.count);
    let (limits, ports) = (limits(revisions, &family.path, family.revision), ports(family, revisions));
    let mut stays = |node: &mut PlannedNode| {
        let Some(host) = ground.hosts.get(&node.host) else { return false };
        let of_host = taken.entry(node.host).or_default();
        let moves = host.draining || host.removing || !of_host.takes(&host.capacity, &limits);
        if moves || node.want == Want::Gone || !wanted.contains(&node.index) {
            return false;
        }
        of_host.enter(&limits, Some(node.address), &ports);
        (node.revision, node.restart) = (family.revision, family.restart);
        true
    };
    kept.nodes.retain_mut(&mut stays);
    let rollout = Rollout {
        from: None,
        to: family.revision,
        phase: Phase::Done,
        started_at: 0,
        moved_at: 0,
        last_lines: Vec::new(),
        split: None,
        mesh: None,
    };
    Target { good: Some(family.revision), rollout: Some(rollout), votes: None, ..kept }
}

fn blank(family: &Family) -> Target {
    Target {
        family: family.path.clone(),
        generation: Default::default(),
        parent: None,
        made_at: 0,
        nodes: Vec::new(),
        rollout: None,
        good: None,
        base: 0,
        mesh: 0,
        votes: None,
        reasons: Vec::new(),
    }
}

/// The nodes that are lacking, and the hosts that are lacking for them.
fn fill(
    family: &Family,
    mut target: Target,
    estate: &Estate,
    ground: &mut Ground,
    revisions: &Revisions,
    taken: &mut BTreeMap<HostId, Taken>,
) -> Target {
    let family = Family { paused: false, aborted: None, replace: BTreeMap::new(), ..family.clone() };
    let node = limits(revisions, &family.path, family.revision);
    let own_ports = ports(&family, revisions);
    let none = BTreeMap::new();
    let known = revisions.get(&family.path.service_path()).unwrap_or(&none);
    let before_done = BTreeMap::from([(family.revision, JobGate::Done)]);
    let gates = Gates { needs_met: Ok(()), before_done };
    // What is taken by others: its own nodes are in the target.
    let mut others = taken.clone();
    for node in &target.nodes {
        let of_host = others.entry(node.host).or_default();
        leave(of_host, &limits(revisions, &family.path, family.revision), node.address, &own_ports);
    }
    let kept: BTreeSet<_> = target.nodes.iter().map(|node| node.id).collect();
    for _ in 0..ROUNDS_MAX {
        let views = views(estate, ground, &others);
        let outcome = plan(&FamilyInput {
            family: &family,
            current: Some(&target),
            observed: &BTreeMap::new(),
            revisions: known,
            hosts: &views,
            offers: &ground.offers,
            gates: &gates,
            restarts: &BTreeMap::new(),
            upgrades: &BTreeMap::new(),
            answered: &BTreeMap::new(),
            epoch: 0,
            now: estate.now,
            seed: estate.seed,
        });
        target = outcome.target.unwrap_or(target);
        if outcome.orders.is_empty() {
            break;
        }
        outcome.orders.iter().for_each(|order| ground.order(order, &estate.seed, &node));
    }
    let there = target.nodes.iter().filter(|node| node.want == Want::Run);
    for new in there.clone().filter(|node| !kept.contains(&node.id)) {
        taken.entry(new.host).or_default().enter(&node, Some(new.address), &own_ports);
    }
    let lacking = (family.count as usize).saturating_sub(there.count());
    if lacking > 0 {
        let (path, count) = (&family.path, family.count);
        let text =
            format!("{lacking} of {count} nodes of {path} find no host: what they would cost is not counted");
        ground.notes.insert(text);
    }
    target
}

fn leave(taken: &mut Taken, limits: &Limits, address: Ipv4Addr, ports: &BTreeSet<(Protocol, u16)>) {
    taken.used.cpu = CpuMillis(taken.used.cpu.0.saturating_sub(limits.cpu.0));
    taken.used.memory = ByteSize(taken.used.memory.0.saturating_sub(limits.memory.0));
    taken.used.nodes = taken.used.nodes.saturating_sub(1);
    taken.addresses.remove(&address);
    taken.ports.retain(|port| !ports.contains(port));
}

fn views(estate: &Estate, ground: &Ground, taken: &BTreeMap<HostId, Taken>) -> Vec<HostView> {
    let view = |host: &Host| {
        let taken = taken.get(&host.id).cloned().unwrap_or_default();
        let connected = !estate.away.contains(&host.id);
        HostView {
            host: host.clone(),
            liveness: Liveness { connected, last_seen: estate.now, disk_used_permille: 0 },
            used: taken.used,
            taken: taken.addresses,
            ports: taken.ports,
            missing: Vec::new(),
            pool: host.pool.as_ref().and_then(|pool| ground.pools.get(pool)).cloned(),
        }
    };
    ground.hosts.values().map(view).collect()
}
