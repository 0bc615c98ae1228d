//! Placement: filter, score, choose. A host that is turned down keeps its reason.
//!
//! Hosts are ranked once per decision and revision, and then drawn from a heap whose entries are checked when they
//! come up: a family of n nodes over h hosts costs O(h + n log h), not O(n h).

use super::draft::Draft;
use super::input::{HostView, Used};
use super::market::{self, Home};
use super::room::{claims, demand};
use lace_model::family::{Family, Select};
use lace_model::host::Capacity;
use lace_model::reason::HostRejection;
use lace_model::revision::Protocol;
use lace_model::{HostId, Millis, Reason};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::Ipv4Addr;

/// A host whose state disk is this full (thousandths) gets no new work.
const DISK_PERMILLE_MAX: u32 = 900;
/// Turned-down hosts that are told one by one.
const REJECTIONS_MAX: usize = 12;

/// The rank of a host: less is better; the last is its place among the inputs.
type Rank = (u64, u32, Millis, usize);

/// Hosts that may take nodes of this family, by revision.
#[derive(Default)]
pub(super) struct Market {
    stalls: BTreeMap<u64, Stall>,
    /// Where the family's nodes are, as decided with the first one.
    home: Option<Home>,
}

enum Stall {
    Ranked(BinaryHeap<Reverse<Rank>>),
    Listed(Vec<usize>),
}

/// A host for a new node of a revision, and the node's address; never the host `but`.
pub(super) fn choose(
    draft: &mut Draft,
    index: u32,
    revision: u64,
    but: Option<HostId>,
) -> Option<(HostId, Ipv4Addr)> {
    settle_home(draft, revision);
    let mut stall = draft.market.stalls.remove(&revision).unwrap_or_else(|| open(draft, revision));
    let at = match &mut stall {
        Stall::Ranked(heap) => draw(draft, heap, revision, but),
        Stall::Listed(list) => pick(draft, list, index, revision, but),
    };
    draft.market.stalls.insert(revision, stall);
    let view = &draft.input.hosts[at?];
    Some((view.host.id, draft.room.address(view)?))
}

/// Nodes of one family reach each other: the first one's network is that of all.
fn settle_home(draft: &mut Draft, revision: u64) {
    if draft.market.home.is_some() {
        return;
    }
    let there = draft.running().filter_map(|node| draft.host(node.host));
    let home = Home::of_nodes(there).or_else(|| {
        let wanted = demand(revision, draft.input);
        let able = draft
            .input
            .hosts
            .iter()
            .filter(|v| is_open(v) && is_listed(draft, v) && !draft.unwanted.contains_key(&v.host.id));
        Home::roomiest(
            able.map(|view| (view.host.network(), room_for(view, &wanted))).filter(|(_, n)| *n > 0),
        )
    });
    draft.market.home = home;
}

/// How many such nodes a host takes.
fn room_for(view: &HostView, wanted: &Used) -> u64 {
    let capacity = &view.host.capacity;
    let cpu = u64::from(capacity.cpu.0.saturating_sub(view.used.cpu.0)) / u64::from(wanted.cpu.0.max(1));
    let memory = capacity.memory.0.saturating_sub(view.used.memory.0) / wanted.memory.0.max(1);
    let slots = u64::from(capacity.slots.saturating_sub(view.used.nodes));
    cpu.min(memory).min(slots)
}

/// Could any host but one take a node of this revision? Nothing is promised.
pub(super) fn could(draft: &mut Draft, index: u32, revision: u64, but: Option<HostId>) -> bool {
    choose(draft, index, revision, but).is_some()
}

/// May a new node take the place of the one at this index, on its host and with its address?
pub(super) fn in_place(draft: &Draft, index: u32, revision: u64, host: HostId) -> Result<(), Reason> {
    let Some(view) = draft.host(host) else {
        return Err(Reason::NoHosts);
    };
    let slot = draft.slots.get(&index);
    let credit = slot
        .and_then(|s| claims(s, draft.input).into_iter().find(|(h, _)| *h == host))
        .map(|(_, takes)| takes)
        .unwrap_or_default();
    if !is_listed(draft, view) {
        return Err(not_listed(draft));
    }
    match rejection(draft, view, revision, credit) {
        Some(why) => Err(rejected(view, why)),
        None => Ok(()),
    }
}

/// Tells why no host takes a node of this revision.
pub(super) fn tell_rejections(draft: &mut Draft, revision: u64) {
    let hosts = draft.input.hosts;
    if hosts.is_empty() {
        return draft.reason(Reason::NoHosts);
    }
    let listed: Vec<&HostView> = hosts.iter().filter(|v| is_listed(draft, v)).collect();
    if listed.is_empty() {
        let reason = not_listed(draft);
        return draft.reason(reason);
    }
    for view in listed.iter().take(REJECTIONS_MAX) {
        if let Some(why) = rejection(draft, view, revision, Used::default()) {
            draft.reason(rejected(view, why));
        }
    }
    if listed.len() > REJECTIONS_MAX {
        draft.say(format!("and {} more hosts cannot take it", listed.len() - REJECTIONS_MAX));
    }
}

fn not_listed(draft: &Draft) -> Reason {
    let names: Vec<&str> = draft.family().hosts.iter().map(lace_model::Name::as_str).collect();
    Reason::Other { text: format!("the family may only use the hosts {}", names.join(", ")) }
}

fn rejected(view: &HostView, why: HostRejection) -> Reason {
    Reason::HostRejected { host: view.host.id, name: view.host.name.to_string(), why }
}

fn is_listed(draft: &Draft, view: &HostView) -> bool {
    let hosts = &draft.family().hosts;
    hosts.is_empty() || hosts.contains(&view.host.name)
}

/// Why a host cannot take another node, if so. `credit` is what the node's predecessor gives back.
fn rejection(draft: &Draft, view: &HostView, revision: u64, credit: Used) -> Option<HostRejection> {
    let host = &view.host;
    if !view.liveness.connected {
        return Some(HostRejection::Away);
    }
    if host.draining || host.removing {
        return Some(HostRejection::Draining);
    }
    if view.liveness.disk_used_permille >= DISK_PERMILLE_MAX {
        return Some(HostRejection::DiskFull);
    }
    if let Some(why) = draft.unwanted.get(&host.id) {
        return Some(why.clone());
    }
    if let Some(why) = draft.market.home.as_ref().and_then(|home| home.lacks(view)) {
        return Some(why);
    }
    if !view.missing.is_empty() {
        return Some(HostRejection::Preflight { missing: view.missing.clone() });
    }
    if let Some(why) = lacks_room(draft, view, revision, credit) {
        return Some(why);
    }
    // The predecessor's address is the successor's, so only a node without one needs a new address.
    (credit.nodes == 0 && draft.room.address(view).is_none()).then_some(HostRejection::Addresses)
}

/// Why a host takes no node of this revision, of what another one like it would have too.
pub(super) fn suits_never(draft: &Draft, view: &HostView, revision: u64) -> Option<HostRejection> {
    let passes = !view.liveness.connected || view.host.draining || view.host.removing;
    if passes || view.liveness.disk_used_permille >= DISK_PERMILLE_MAX {
        return None;
    }
    if let Some(why) = draft.unwanted.get(&view.host.id) {
        return Some(why.clone());
    }
    if !view.missing.is_empty() {
        return Some(HostRejection::Preflight { missing: view.missing.clone() });
    }
    lacks_room(draft, view, revision, Used::default())
}

fn is_open(view: &HostView) -> bool {
    view.liveness.connected
        && !view.host.draining
        && !view.host.removing
        && view.liveness.disk_used_permille < DISK_PERMILLE_MAX
        && view.missing.is_empty()
}

fn lacks_room(draft: &Draft, view: &HostView, revision: u64, credit: Used) -> Option<HostRejection> {
    let host = &view.host;
    let own = draft.room.own(host.id);
    if let Some(limit) = draft.family().per_host
        && own.nodes - credit.nodes >= limit
    {
        return Some(HostRejection::PerHost { limit });
    }
    if let Some(port) = clash(draft, view, revision, own.nodes > credit.nodes) {
        return Some(HostRejection::Port { port });
    }
    let taken = Used {
        cpu: lace_model::CpuMillis(view.used.cpu.0.saturating_add(own.cpu.0).saturating_sub(credit.cpu.0)),
        memory: lace_model::ByteSize(
            view.used.memory.0.saturating_add(own.memory.0).saturating_sub(credit.memory.0),
        ),
        nodes: view.used.nodes + own.nodes - credit.nodes,
    };
    let wanted = demand(revision, draft.input);
    lacks(&host.capacity, &taken, &wanted)
}

/// A port that a node of this revision would not get of the host's network.
fn clash(draft: &Draft, view: &HostView, revision: u64, kin_is_there: bool) -> Option<u16> {
    let wanted = draft.input.revisions.get(&revision)?.spec.host_ports();
    let wanted = ports_taken(draft.family(), wanted);
    wanted.into_iter().find(|port| kin_is_there || view.ports.contains(port)).map(|(_, port)| port)
}

/// What is taken of a host's network by a node of a family that takes these ports. Who allows several on one host says
/// that they listen at addresses of their own.
pub fn ports_taken(family: &Family, ports: BTreeSet<(Protocol, u16)>) -> BTreeSet<(Protocol, u16)> {
    if family.per_host.is_some_and(|limit| limit > 1) { BTreeSet::new() } else { ports }
}

fn lacks(capacity: &Capacity, taken: &Used, wanted: &Used) -> Option<HostRejection> {
    let cpu = capacity.cpu.0.saturating_sub(taken.cpu.0);
    let memory = capacity.memory.0.saturating_sub(taken.memory.0);
    if cpu < wanted.cpu.0 {
        return Some(HostRejection::Cpu { free: cpu, wanted: wanted.cpu.0 });
    }
    if memory < wanted.memory.0 {
        return Some(HostRejection::Memory { free: memory, wanted: wanted.memory.0 });
    }
    (taken.nodes >= capacity.slots).then_some(HostRejection::Slots { limit: capacity.slots })
}

fn open(draft: &Draft, revision: u64) -> Stall {
    let hosts = draft.input.hosts;
    // Whatever costs more than a comparison (addresses) is looked at when the host comes up.
    let wanted = demand(revision, draft.input);
    let fits = |at: &usize| {
        let view = &hosts[*at];
        is_open(view)
            && !draft.unwanted.contains_key(&view.host.id)
            && draft.market.home.as_ref().is_none_or(|home| home.lacks(view).is_none())
            && lacks(&view.host.capacity, &view.used, &wanted).is_none()
            && is_listed(draft, view)
    };
    let fitting = (0..hosts.len()).filter(fits);
    match draft.family().select {
        Select::Random => Stall::Listed(fitting.collect()),
        Select::RoundRobin => {
            let mut list: Vec<usize> = fitting.collect();
            list.sort_by_key(|at| (hosts[*at].host.joined_at, hosts[*at].host.id));
            Stall::Listed(list)
        }
        _ => Stall::Ranked(fitting.map(|at| Reverse(rank(draft, at))).collect()),
    }
}

/// A host whose price nobody knows is never the cheapest. Among equals the order is that of joining.
fn rank(draft: &Draft, at: usize) -> Rank {
    let view = &draft.input.hosts[at];
    let own = draft.room.own(view.host.id);
    let joined = view.host.joined_at;
    match draft.family().select {
        Select::Spread => (own.nodes.into(), used_permille(view, own), joined, at),
        Select::Pack => (0, 1000 - used_permille(view, own).min(1000), joined, at),
        Select::Cheapest => {
            let price = view.pool.as_ref().and_then(|pool| pool.price.as_ref());
            (price.map_or(u64::MAX, |price| price.micro_per_hour), 0, joined, at)
        }
        Select::First => {
            let place = market::place_in_order(view, &draft.family().pools);
            (place.map_or(u64::MAX, |place| place as u64), 0, joined, at)
        }
        Select::Random | Select::RoundRobin => (0, 0, joined, at),
    }
}

/// The most used of a host's resources, in thousandths.
fn used_permille(view: &HostView, own: Used) -> u32 {
    let share = |used: u64, all: u64| (used.saturating_mul(1000) / all.max(1)).min(1000) as u32;
    let capacity = &view.host.capacity;
    let cpu = share(u64::from(view.used.cpu.0) + u64::from(own.cpu.0), u64::from(capacity.cpu.0));
    let memory = share(view.used.memory.0.saturating_add(own.memory.0), capacity.memory.0);
    let slots = share(u64::from(view.used.nodes + own.nodes), u64::from(capacity.slots));
    cpu.max(memory).max(slots)
}

/// The best host of a heap; entries that have become worse go back with their new rank.
fn draw(
    draft: &Draft,
    heap: &mut BinaryHeap<Reverse<Rank>>,
    revision: u64,
    but: Option<HostId>,
) -> Option<usize> {
    let hosts = draft.input.hosts;
    let mut aside = None;
    let found = loop {
        let Some(Reverse(old)) = heap.pop() else {
            break None;
        };
        let at = old.3;
        if Some(hosts[at].host.id) == but {
            aside = Some(old);
            continue;
        }
        if rejection(draft, &hosts[at], revision, Used::default()).is_some() {
            continue;
        }
        let new = rank(draft, at);
        heap.push(Reverse(new));
        if new <= old {
            break Some(at);
        }
    };
    heap.extend(aside.map(Reverse));
    found
}

/// A host of a list: by the seed, or in turn by the node's index. A host that is full leaves the list.
fn pick(
    draft: &Draft,
    list: &mut Vec<usize>,
    index: u32,
    revision: u64,
    but: Option<HostId>,
) -> Option<usize> {
    let hosts = draft.input.hosts;
    let turn = match draft.family().select {
        Select::Random => draw_number(draft, index),
        _ => u64::from(index - 1),
    };
    loop {
        let len = list.len() as u64;
        let spot = turn.checked_rem(len)? as usize;
        let others = [spot, (spot + 1) % list.len()];
        let spot = others.into_iter().find(|s| Some(hosts[list[*s]].host.id) != but)?;
        if rejection(draft, &hosts[list[spot]], revision, Used::default()).is_none() {
            return Some(list[spot]);
        }
        list.remove(spot);
    }
}

fn draw_number(draft: &Draft, index: u32) -> u64 {
    let purpose = format!("{}/{}/{}", draft.path(index), draft.generation, draft.now());
    HostId::derive(&draft.input.seed, &purpose).0.as_u64_pair().0 >> 16
}
