//! Hosts that are ordered where none has room, rule by rule.

use crate::make::{SEED, family, host, name, revision};
use lace_model::family::{Family, Select};
use lace_model::host::Underlay;
use lace_model::pool::{Pool, Price};
use lace_model::target::Target;
use lace_model::{ByteSize, Millis, Reason};
use lace_planner::{FamilyInput, FamilyOutcome, Gates, HostView, JobGate, Offer, Order, plan};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: Millis = 100_000;

fn offer(text: &str, price: Option<&str>) -> Offer {
    let pool = Pool {
        name: name(text),
        provider: name("moon"),
        region: None,
        zone: None,
        image: Some("base".into()),
        profile: Some("small".into()),
        attributes: BTreeMap::new(),
        price: price.map(|price| Price::said(price, 0).unwrap()),
        hosts_max: None,
        made_at: 0,
    };
    Offer {
        pool: Arc::new(pool),
        there: 0,
        coming: Vec::new(),
        network: None,
        made: Default::default(),
        closed: None,
    }
}

/// The same, with a changed pool.
fn with(mut offer: Offer, change: impl FnOnce(&mut Pool)) -> Offer {
    change(Arc::make_mut(&mut offer.pool));
    offer
}

fn decided(family: &Family, hosts: &[HostView], offers: &[Offer]) -> FamilyOutcome {
    next(family, None, &Gates::default(), hosts, offers)
}

fn next(
    family: &Family,
    current: Option<&Target>,
    gates: &Gates,
    hosts: &[HostView],
    offers: &[Offer],
) -> FamilyOutcome {
    let revisions = BTreeMap::from([(1, revision(1))]);
    let observed = BTreeMap::new();
    plan(&FamilyInput {
        family,
        current,
        observed: &observed,
        revisions: &revisions,
        hosts,
        offers,
        gates,
        restarts: &BTreeMap::new(),
        upgrades: &BTreeMap::new(),
        answered: &Default::default(),
        epoch: 1,
        now: NOW,
        seed: SEED,
    })
}

fn ordered(family: &Family, offers: &[Offer]) -> Vec<(String, u32)> {
    let orders = decided(family, &[], offers).orders.into_iter();
    orders.map(|Order { pool, hosts }| (pool.to_string(), hosts)).collect()
}

fn told(family: &Family, hosts: &[HostView], offers: &[Offer]) -> Vec<String> {
    let outcome = decided(family, hosts, offers);
    assert_eq!(outcome.orders, [], "nothing is ordered");
    outcome
        .reasons
        .iter()
        .filter(|r| matches!(r, Reason::PoolRejected { .. }))
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_cheapest_is_first_and_an_unknown_price_last() {
    let offers = [offer("free", None), offer("dear", Some("0.2")), offer("cheap", Some("0.1"))];
    assert_eq!(ordered(&family(1), &offers), [("cheap".to_owned(), 1)]);
    let first = Family { select: Select::First, pools: vec![name("dear"), name("cheap")], ..family(1) };
    assert_eq!(ordered(&first, &offers), [("dear".to_owned(), 1)]);
    let named = Family { pools: vec![name("free")], ..family(1) };
    assert_eq!(ordered(&named, &offers), [("free".to_owned(), 1)]);
    let elsewhere = Family { pools: vec![name("other")], ..family(1) };
    assert_eq!(ordered(&elsewhere, &offers), []);
    let of_hosts = Family { hosts: [name("h1")].into(), ..family(1) };
    assert_eq!(ordered(&of_hosts, &offers), [], "a family of named hosts wants those");
}

#[test]
fn nothing_is_ordered_where_a_host_has_room_or_one_is_coming() {
    let offers = [offer("cheap", Some("0.1"))];
    assert_eq!(decided(&family(1), &[host(1)], &offers).orders, []);
    let mut coming = offer("dear", Some("0.2"));
    coming.coming.push(name("dear-1"));
    let outcome = decided(&family(1), &[], &[offers[0].clone(), coming]);
    assert_eq!(outcome.orders, []);
    let waits = "no host has room: waits for host dear-1 from pool dear for 0.20 USD per hour";
    assert!(outcome.reasons.iter().any(|reason| reason.to_string() == waits), "{:?}", outcome.reasons);
    assert_eq!(outcome.wake_at, Some(NOW + 60_000), "it may never come");
}

#[test]
fn as_many_are_ordered_as_are_lacking_where_the_size_is_known() {
    // Each node takes 256 MiB and a tenth of a processor at most.
    let sized = |memory: &str| {
        with(offer("cheap", Some("0.1")), |pool| {
            pool.attributes.extend([("cpu".into(), "64".into()), ("memory".into(), memory.into())]);
        })
    };
    let memory = revision(1).spec.limits.memory;
    let two = ByteSize(memory.0 * 2).to_string();
    assert_eq!(ordered(&family(5), &[sized(&two)]), [("cheap".to_owned(), 3)]);
    let few = with(sized(&two), |pool| pool.hosts_max = Some(2));
    assert_eq!(ordered(&family(5), &[few]), [("cheap".to_owned(), 2)]);
    assert_eq!(ordered(&family(500), &[sized(&two)]), [("cheap".to_owned(), 20)], "never too many at once");
    let mut grown = sized(&two);
    grown.there = 70;
    assert_eq!(
        ordered(&family(500), &[grown]),
        [("cheap".to_owned(), 70)],
        "at most twice as many as there are"
    );
    let small = ByteSize(memory.0 / 2).to_string();
    let why = told(&family(1), &[], &[sized(&small)]);
    assert!(why[0].contains("too little for one node"), "{why:?}");
}

#[test]
fn a_pool_that_gives_none_says_why_and_the_next_is_taken() {
    let mut closed = offer("cheap", Some("0.1"));
    closed.closed = Some(("zone moon-a has no room".into(), NOW + 60_000));
    let outcome = decided(&family(1), &[], &[closed.clone(), offer("dear", Some("0.2"))]);
    assert_eq!(outcome.orders, [Order { pool: name("dear"), hosts: 1 }]);
    assert_eq!(told(&family(1), &[], std::slice::from_ref(&closed)), ["pool cheap: zone moon-a has no room"]);
    assert_eq!(decided(&family(1), &[], &[closed]).wake_at, Some(NOW + 60_000), "it is asked again then");
    let mut full = with(offer("cheap", None), |pool| pool.hosts_max = Some(3));
    full.there = 3;
    assert_eq!(told(&family(1), &[], &[full]), ["pool cheap: has 3 hosts, the most that it may"]);
}

#[test]
fn conditions_hold_of_pools_too() {
    let eu = with(offer("eu", None), |pool| pool.region = Some("eu".into()));
    let us = with(offer("us", Some("0.1")), |pool| pool.region = Some("us".into()));
    let there = Family { condition: Some("region == \"eu\"".into()), ..family(1) };
    assert_eq!(ordered(&there, &[eu.clone(), us.clone()]), [("eu".to_owned(), 1)]);
    assert_eq!(told(&there, &[], &[us]), ["pool us: its hosts are not where region == \"eu\""]);
    let unknown = Family { condition: Some("rack == 4".into()), ..family(1) };
    assert!(told(&unknown, &[], &[eu])[0].contains("nothing is known of its rack"));
}

#[test]
fn a_family_is_not_split_over_networks_that_do_not_reach_each_other() {
    let underlay =
        |address: [u8; 4]| Some(Underlay { address: address.into(), prefix: 24, behind: None, within: None });
    let mut near = host(1);
    near.host.underlay = underlay([192, 168, 1, 1]);
    near.host.capacity.slots = 1;
    let why = told(&family(2), &[near.clone()], &[offer("moon", None)]);
    assert_eq!(why, ["pool moon: nobody knows whether its hosts reach the family's nodes in 192.168.1.0/24"]);
    let mut of_pool = host(2);
    of_pool.host.pool = Some(name("moon"));
    (of_pool.host.capacity.slots, of_pool.used.nodes) = (1, 1);
    of_pool.host.underlay = underlay([192, 168, 1, 2]);
    let outcome = decided(&family(2), &[near.clone(), of_pool.clone()], &[offer("moon", None)]);
    assert_eq!(outcome.orders, [Order { pool: name("moon"), hosts: 1 }], "its hosts are in the same network");
    let mut elsewhere = of_pool.clone();
    elsewhere.host.id = host(3).host.id;
    elsewhere.host.underlay = underlay([10, 80, 0, 2]);
    let why = told(&family(2), &[near.clone(), of_pool.clone(), elsewhere], &[offer("moon", None)]);
    assert!(why[0].starts_with("pool moon: a host of it is in 10.80.0.0/24"), "one is enough: {why:?}");
    of_pool.host.underlay = underlay([10, 80, 0, 2]);
    let why = told(&family(2), &[near, of_pool], &[offer("moon", None)]);
    assert!(why[0].starts_with("pool moon: a host of it is in 10.80.0.0/24"), "{why:?}");
}

#[test]
fn what_is_on_its_way_holds_up_no_more_than_it_takes() {
    let mut coming = with(offer("cheap", Some("0.1")), |pool| {
        pool.attributes =
            [("cpu", "2"), ("memory", "64GiB")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    });
    (coming.there, coming.coming) = (1, vec![name("cheap-1")]);
    let takes = 2_000 / revision(1).spec.limits_of(&name("web")).cpu.0.max(1);
    let orders = |count: u32| ordered(&family(count), std::slice::from_ref(&coming));
    assert_eq!(orders(takes), [], "it takes them all");
    assert_eq!(orders(takes + 1), [("cheap".to_owned(), 1)], "one more than it takes");
    assert_eq!(orders(takes * 100), [("cheap".to_owned(), 19)], "twenty at a time, with the one on its way");
}

#[test]
fn machines_that_are_seen_at_public_addresses_of_their_own_carry_one_family() {
    let of_moon = |n: u8| {
        let mut view = host(n);
        view.host.pool = Some(name("moon"));
        view.host.capacity.slots = 1;
        let behind = Some([203, 0, 113, n].into());
        let within = Some("moon/eu/net".to_owned());
        view.host.underlay = Some(Underlay { address: [10, 80, n, 4].into(), prefix: 24, behind, within });
        view
    };
    let outcome = decided(&family(2), &[of_moon(1), of_moon(2)], &[]);
    let nodes = outcome.target.expect("planned").nodes;
    assert_eq!(nodes.len(), 2, "each on a host of its own, in one network");
    // The next one will be in the same network, though none of that pool was seen yet.
    let mut more = with(offer("more", None), |pool| pool.provider = name("moon"));
    more.network = Some("moon/eu/net".to_owned());
    let outcome = decided(&family(3), &[of_moon(1), of_moon(2)], std::slice::from_ref(&more));
    assert_eq!(outcome.orders, [Order { pool: name("more"), hosts: 1 }]);
}

#[test]
fn a_pool_whose_idle_host_takes_nothing_is_not_asked_for_another_one() {
    let mut idle = host(1);
    idle.host.pool = Some(name("small"));
    idle.host.capacity.memory = ByteSize(1);
    let mut small = offer("small", Some("0.1"));
    let outcome = decided(&family(1), std::slice::from_ref(&idle), std::slice::from_ref(&small));
    assert_eq!(
        outcome.orders.len(),
        1,
        "a host that somebody put into the pool says nothing of what it gives"
    );
    small.made.insert(idle.host.id);
    let why = told(&family(1), std::slice::from_ref(&idle), std::slice::from_ref(&small));
    assert!(why[0].starts_with("pool small: its host h1 is idle, and 1 B memory free"), "{why:?}");
    let outcome =
        decided(&family(1), std::slice::from_ref(&idle), &[small.clone(), offer("dear", Some("0.2"))]);
    assert_eq!(outcome.orders, [Order { pool: name("dear"), hosts: 1 }]);
    let with_disk = Family { condition: Some("disk == \"ssd\"".into()), ..family(1) };
    idle.host.capacity = host(1).host.capacity;
    let ssd = with(small.clone(), |pool| drop(pool.attributes.insert("disk".into(), "ssd".into())));
    let why = told(&with_disk, std::slice::from_ref(&idle), std::slice::from_ref(&ssd));
    assert!(why[0].contains("its host h1 is idle, and is it where"), "{why:?}");
    // What passes says nothing: it is busy, or away.
    idle.host.capacity.memory = ByteSize(1);
    let mut busy = idle.clone();
    busy.used.nodes = 1;
    idle.liveness.connected = false;
    for host in [busy, idle] {
        assert_eq!(decided(&family(1), &[host], std::slice::from_ref(&small)).orders.len(), 1);
    }
}

/// Three nodes on a host of a pool, and another host that has no room.
fn on_one_host() -> (Target, HostView, HostView) {
    let (mut first, mut other) = (host(1), host(2));
    first.host.pool = Some(name("cheap"));
    other.host.capacity.slots = 0;
    let target = decided(&family(3), std::slice::from_ref(&first), &[]).target.expect("a target");
    first.liveness.last_seen = NOW;
    (target, first, other)
}

#[test]
fn nodes_of_a_host_that_is_lost_or_left_get_another_one_where_none_has_room() {
    let (target, first, other) = on_one_host();
    let offers = [offer("cheap", Some("0.1"))];
    let orders = |first: &HostView| {
        let hosts = [first.clone(), other.clone()];
        next(&family(3), Some(&target), &Gates::default(), &hosts, &offers).orders
    };
    assert_eq!(orders(&first), [], "it is well");
    let mut silent = first.clone();
    silent.liveness.connected = false;
    assert_eq!(orders(&silent), [], "it may come back");
    silent.liveness.last_seen = 1;
    assert_eq!(orders(&silent), [Order { pool: name("cheap"), hosts: 1 }], "it is lost");
    let mut draining = first;
    draining.host.draining = true;
    assert_eq!(orders(&draining), [Order { pool: name("cheap"), hosts: 1 }], "it is to be left");
}

#[test]
fn a_job_before_the_first_nodes_gets_a_host() {
    let gates = Gates { before_done: [(1, JobGate::Waiting("migrate".into()))].into(), ..Gates::default() };
    let offers = [offer("cheap", Some("0.1"))];
    let orders = |hosts: &[HostView]| next(&family(3), None, &gates, hosts, &offers).orders;
    assert_eq!(orders(&[]), [Order { pool: name("cheap"), hosts: 1 }], "one is enough for a job");
    assert_eq!(orders(&[host(1)]), [], "a host has room for it");
}

#[test]
fn a_size_that_nobody_knows_is_asked_for() {
    let large = Family { condition: Some("memory >= 2*GiB".into()), ..family(1) };
    let why = told(&large, &[], &[offer("moon", None)]);
    assert!(why[0].contains("nobody knows their size: lace pool set moon --attr cpu=2"), "{why:?}");
}
