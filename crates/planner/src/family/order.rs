//! Hosts are ordered where none has room: from the best pool that gives some, never twice for the same lack.

use super::draft::Draft;
use super::input::{HostView, Offer, Order, Used};
use super::market::Home;
use super::place::suits_never;
use super::room::demand;
use crate::condition::Condition;
use lace_model::family::Select;
use lace_model::host::{Capacity, Host, Network};
use lace_model::pool::Pool;
use lace_model::{ByteSize, CpuMillis, HostId, Millis, Name, Reason};
use std::collections::BTreeMap;

/// Hosts of one order, or as many as there are already: what comes may show that more are not needed, and thousands come in few
/// orders all the same.
const HOSTS_AT_ONCE_MIN: u32 = 20;
/// A host that is waited for is asked about again after this long.
const LOOK_AGAIN_MS: Millis = 60_000;
/// Nodes of a host whose size its pool does not tell, for the condition's sake.
const SLOTS: u32 = 100;

/// Orders hosts for the indexes that no host can take, or says why not. Where one is on its way, it is waited for, and looked
/// at again after a while: it may never come.
pub(super) fn order(draft: &mut Draft) {
    let (family, offers) = (draft.family(), draft.input.offers);
    let lacking = draft.unplaceable.union(&draft.homeless).count();
    let lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
    // A family of named hosts wants those.
    if lacking == 0 || offers.is_empty() || !family.hosts.is_empty() {
        return;
    }
    let wanted = demand(family.revision, draft.input);
    let named: Vec<&Offer> = offers.iter().filter(|offer| is_named(offer, &family.pools)).collect();
    let mut open: Vec<&Offer> = Vec::new();
    for offer in named {
        match unfit(draft, offer, &wanted) {
            Some(why) => reject(draft, offer, why),
            None => open.push(offer),
        }
    }
    let mut lacking = lacking;
    if let Some((offer, host)) = open.iter().find_map(|offer| Some((*offer, offer.coming.first()?))) {
        draft.wake(draft.now() + LOOK_AGAIN_MS);
        draft.reason(waits(offer, Some(host.clone())));
        // What nobody knows the size of may take them all.
        let takes = expected(&open, &wanted, draft.family().per_host).unwrap_or(u32::MAX);
        lacking = lacking.saturating_sub(takes);
        if lacking == 0 {
            return;
        }
    }
    open.sort_by_key(|offer| rank(draft, offer));
    for offer in open {
        match full(offer) {
            Some(why) => reject(draft, offer, why),
            None => return place(draft, offer, lacking, &wanted),
        }
    }
}

/// Nodes that the hosts take which are on their way; none where nobody knows the size of one.
fn expected(open: &[&Offer], wanted: &Used, per_host: Option<u32>) -> Option<u32> {
    let coming = open.iter().filter(|offer| !offer.coming.is_empty());
    coming
        .map(|offer| Some(nodes_of(&size(&offer.pool)?, wanted, per_host).saturating_mul(count(offer))))
        .sum()
}

/// Hosts of a pool that are on their way.
fn count(offer: &Offer) -> u32 {
    u32::try_from(offer.coming.len()).unwrap_or(u32::MAX)
}

fn is_named(offer: &Offer, pools: &[Name]) -> bool {
    pools.is_empty() || pools.contains(&offer.pool.name)
}

fn reject(draft: &mut Draft, offer: &Offer, why: String) {
    if let Some((_, until)) = &offer.closed {
        draft.wake(*until);
    }
    draft.reason(Reason::PoolRejected { pool: offer.pool.name.clone(), why });
}

fn waits(offer: &Offer, host: Option<Name>) -> Reason {
    let price = offer.pool.price.as_ref().map(ToString::to_string);
    Reason::WaitsForHost { pool: offer.pool.name.clone(), host, price }
}

fn place(draft: &mut Draft, offer: &Offer, lacking: u32, wanted: &Used) {
    let hosts = match size(&offer.pool) {
        // Nobody knows what one takes: it will be seen.
        None => 1,
        Some(capacity) => lacking.div_ceil(nodes_of(&capacity, wanted, draft.family().per_host).max(1)),
    };
    let room = offer.pool.hosts_max.map_or(u32::MAX, |most| most.saturating_sub(offer.there));
    let at_once = offer.there.saturating_sub(count(offer)).max(HOSTS_AT_ONCE_MIN);
    let hosts = hosts.min(room).min(at_once.saturating_sub(count(offer)));
    if hosts == 0 {
        return;
    }
    draft.orders.push(Order { pool: offer.pool.name.clone(), hosts });
    draft.reason(waits(offer, None));
}

/// The first is the best. A price that nobody knows is never the cheapest.
fn rank(draft: &Draft, offer: &Offer) -> (u64, u64, Name) {
    let family = draft.family();
    let place = family.pools.iter().position(|name| *name == offer.pool.name).unwrap_or_default() as u64;
    let price = offer.pool.price.as_ref().map_or(u64::MAX, |price| price.micro_per_hour);
    match family.select {
        Select::First => (place, price, offer.pool.name.clone()),
        _ => (price, place, offer.pool.name.clone()),
    }
}

/// Why a host of this pool would not do, whatever is to be had.
fn unfit(draft: &Draft, offer: &Offer, wanted: &Used) -> Option<String> {
    let capacity = size(&offer.pool);
    if let Some(capacity) = &capacity
        && nodes_of(capacity, wanted, None) == 0
    {
        let (cpu, memory) = (capacity.cpu, capacity.memory.human());
        return Some(format!("its hosts have {cpu} cpu and {memory} memory: too little for one node"));
    }
    let condition = draft.family().condition.as_deref();
    let held = condition.map(|text| {
        Condition::parse(text)
            .and_then(|condition| condition.holds(&such(offer, capacity.clone()), Some(&offer.pool)))
    });
    match (held, condition) {
        (Some(Ok(false)), Some(text)) if capacity.is_none() && speaks_of_size(text) => {
            let pool = &offer.pool.name;
            return Some(format!(
                "are its hosts where {text}? nobody knows their size: lace pool set {pool} --attr cpu=2 --attr memory=4GiB"
            ));
        }
        (Some(Ok(false)), Some(text)) => return Some(format!("its hosts are not where {text}")),
        (Some(Err(cause)), Some(text)) => return Some(format!("are its hosts where {text}? {cause}")),
        _ => {}
    }
    turned_down(draft, offer).or_else(|| out_of_reach(draft, offer))
}

/// Does a condition name what only a pool's attributes tell of its hosts?
fn speaks_of_size(condition: &str) -> bool {
    condition
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| matches!(word, "cpu" | "memory"))
}

/// A host that was made from the pool is idle, and takes nothing of the family all the same: another one would not either.
fn turned_down(draft: &Draft, offer: &Offer) -> Option<String> {
    let of_it = |view: &HostView| view.host.pool.as_ref() == Some(&offer.pool.name);
    let made = draft.input.hosts.iter().filter(|view| offer.made.contains(&view.host.id) && of_it(view));
    let mut idle = made.filter(|view| view.used.nodes == 0 && draft.room.own(view.host.id).nodes == 0);
    idle.find_map(|view| {
        let why = suits_never(draft, view, draft.family().revision)?;
        Some(format!("its host {} is idle, and {why}", view.host.name))
    })
}

/// The family's nodes must reach each other: a pool whose network is not that of the nodes there are is of no use.
fn out_of_reach(draft: &Draft, offer: &Offer) -> Option<String> {
    let there = draft.running().filter_map(|node| draft.host(node.host));
    let home = Home::of_nodes(there)?;
    let known: Vec<&HostView> =
        draft.input.hosts.iter().filter(|view| view.host.pool.as_ref() == Some(&offer.pool.name)).collect();
    // Where one of them is elsewhere the next one may be, too: it would be paid for and take nothing.
    let elsewhere = known.iter().find_map(|view| home.lacks(view));
    match (elsewhere, &home.0) {
        (Some(why), _) => Some(format!("a host of it {why}")),
        (None, Some(Network::Made(network))) if offer.network.as_ref() == Some(network) => None,
        (None, _) if !known.is_empty() => None,
        (None, Some(network)) => {
            Some(format!("nobody knows whether its hosts reach the family's nodes in {network}"))
        }
        (None, None) => None,
    }
}

/// Why it gives none now.
fn full(offer: &Offer) -> Option<String> {
    if let Some((why, _)) = &offer.closed {
        return Some(why.clone());
    }
    let most = offer.pool.hosts_max.filter(|most| offer.there >= *most)?;
    Some(format!("has {} hosts, the most that it may", most))
}

/// What hosts of a pool have, as far as its attributes `cpu` and `memory` tell.
pub(crate) fn size(pool: &Pool) -> Option<Capacity> {
    let told = |name: &str| pool.attributes.get(name);
    let cpu: CpuMillis = told("cpu")?.parse().ok()?;
    let memory: ByteSize = told("memory")?.parse().ok()?;
    Some(Capacity { cpu, memory, slots: SLOTS })
}

fn nodes_of(capacity: &Capacity, wanted: &Used, per_host: Option<u32>) -> u32 {
    let cpu = capacity.cpu.0 / wanted.cpu.0.max(1);
    let memory = u32::try_from(capacity.memory.0 / wanted.memory.0.max(1)).unwrap_or(u32::MAX);
    cpu.min(memory).min(capacity.slots).min(per_host.unwrap_or(u32::MAX))
}

/// A host as the pool would give it.
fn such(offer: &Offer, capacity: Option<Capacity>) -> Host {
    Host {
        id: HostId::derive(&[0; 32], "of a pool"),
        name: offer.pool.name.clone(),
        capacity: capacity.unwrap_or_default(),
        attributes: BTreeMap::new(),
        blocks: Vec::new(),
        draining: false,
        agent_version: String::new(),
        joined_at: 0,
        removing: false,
        pool: Some(offer.pool.name.clone()),
        underlay: None,
    }
}
