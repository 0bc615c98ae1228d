//! Where nodes go, rule by rule.

use crate::make::{SEED, family, host, name, revision, spec};
use crate::world::World;
use lace_model::family::{Family, Select, StateKind};
use lace_model::host::Underlay;
use lace_model::pool::{Pool, Price};
use lace_model::reason::HostRejection;
use lace_model::revision::{Isolation, Protocol, Revision, RevisionSpec};
use lace_model::target::Target;
use lace_model::{ByteSize, CpuMillis, Reason};
use lace_planner::{FamilyInput, Gates, HostView, plan};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

fn planned(family: &Family, hosts: &[HostView]) -> Target {
    planned_with(family, hosts, &BTreeMap::from([(1, revision(1))]))
}

fn planned_with(family: &Family, hosts: &[HostView], revisions: &BTreeMap<u64, Revision>) -> Target {
    let (gates, observed) = (Gates::default(), BTreeMap::new());
    let input = FamilyInput {
        family,
        current: None,
        observed: &observed,
        revisions,
        hosts,
        offers: &[],
        gates: &gates,
        restarts: &BTreeMap::new(),
        upgrades: &BTreeMap::new(),
        answered: &Default::default(),
        epoch: 1,
        now: 1_000,
        seed: SEED,
    };
    plan(&input).target.unwrap()
}

/// The numbers of the hosts that the nodes are on, by index.
fn places(target: &Target) -> Vec<u8> {
    target.nodes.iter().map(|n| n.host.0.as_bytes()[0]).collect()
}

fn check_select(select: Select, count: u32, expected: &[u8]) {
    let family = Family { select, ..family(count) };
    let mut hosts: Vec<HostView> = (1..=3).map(host).collect();
    hosts[1].used.memory = ByteSize::mib(256);
    assert_eq!(places(&planned(&family, &hosts)), expected, "{select:?}");
}

#[test]
fn selections() {
    check_select(Select::Spread, 4, &[1, 3, 2, 1]);
    check_select(Select::Pack, 4, &[2, 2, 2, 2]);
    check_select(Select::First, 4, &[1, 1, 1, 1]);
    check_select(Select::Cheapest, 2, &[1, 1]);
    check_select(Select::RoundRobin, 4, &[1, 2, 3, 1]);
}

#[test]
fn full_hosts_are_left_for_the_next() {
    let family = Family { select: Select::First, ..family(12) };
    let hosts: Vec<HostView> = (1..=2).map(host).collect();
    assert_eq!(places(&planned(&family, &hosts)), [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
}

/// One host with a fault: nothing is placed, and this is why.
fn check_rejection(fault: impl Fn(&mut HostView, &mut Family), expected: &HostRejection) {
    let mut family = family(1);
    let mut view = host(1);
    fault(&mut view, &mut family);
    let target = planned(&family, &[view]);
    assert!(target.nodes.is_empty());
    let found = target.reasons.iter().find_map(|r| match r {
        Reason::HostRejected { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(found.as_ref(), Some(expected), "{:?}", target.reasons);
}

#[test]
fn every_rejection_has_its_reason() {
    check_rejection(|h, _| h.liveness.connected = false, &HostRejection::Away);
    check_rejection(|h, _| h.host.draining = true, &HostRejection::Draining);
    check_rejection(|h, _| h.host.removing = true, &HostRejection::Draining);
    check_rejection(|h, _| h.liveness.disk_used_permille = 900, &HostRejection::DiskFull);
    check_rejection(
        |h, _| h.missing.push("libcrypto.so.3".into()),
        &HostRejection::Preflight { missing: vec!["libcrypto.so.3".into()] },
    );
    check_rejection(|h, _| h.used.cpu = CpuMillis(3900), &HostRejection::Cpu { free: 100, wanted: 250 });
    check_rejection(
        |h, _| h.used.memory = ByteSize::mib(1000),
        &HostRejection::Memory { free: 24 << 20, wanted: 128 << 20 },
    );
    check_rejection(|h, _| h.host.capacity.slots = 0, &HostRejection::Slots { limit: 0 });
    check_rejection(|h, _| h.host.blocks.clear(), &HostRejection::Addresses);
    check_rejection(|_, f| f.per_host = Some(0), &HostRejection::PerHost { limit: 0 });
}

#[test]
fn no_host_and_no_listed_host() {
    assert_eq!(planned(&family(1), &[]).reasons, [Reason::NoHosts]);
    let mut listed = family(1);
    listed.hosts.insert(name("elsewhere"));
    assert!(planned(&listed, &[host(1)]).reasons[0].to_string().contains("elsewhere"));
}

#[test]
fn many_rejections_are_summed_up() {
    let hosts: Vec<HostView> =
        (1..=200).map(host).map(|h| HostView { missing: vec!["x".into()], ..h }).collect();
    let reasons = planned(&family(3), &hosts).reasons;
    assert!(reasons.len() < 20);
    assert!(reasons.iter().any(|r| r.to_string() == "and 188 more hosts cannot take it"), "{reasons:?}");
}

#[test]
fn addresses_are_the_lowest_free() {
    let mut view = host(1);
    view.taken.insert("10.192.1.2".parse().unwrap());
    view.taken.insert("10.192.1.4".parse().unwrap());
    let target = planned(&family(3), &[view]);
    let addresses: Vec<String> = target.nodes.iter().map(|n| n.address.to_string()).collect();
    assert_eq!(addresses, ["10.192.1.3", "10.192.1.5", "10.192.1.6"]);
}

#[test]
fn scaling_adds_the_lowest_and_removes_the_highest() {
    let mut world = World::new(5, 2, 1);
    world.settle();
    world.family.count = 2;
    world.settle();
    assert_eq!(world.running().iter().map(|n| n.index).collect::<Vec<_>>(), [1, 2]);
    world.family.count = 4;
    world.settle();
    assert_eq!(world.ready(), 4);
}

#[test]
fn a_replacement_keeps_place_and_address() {
    let mut world = World::new(3, 3, 1);
    world.settle();
    let before: Vec<_> = world.running().iter().map(|n| (n.host, n.address)).collect();
    world.family.restart += 1;
    world.settle();
    let after: Vec<_> = world.running().iter().map(|n| (n.host, n.address)).collect();
    assert_eq!(before, after);
    assert!(world.running().iter().all(|n| n.restart == 1));
}

#[test]
fn nodes_of_a_lost_host_move_after_five_seconds() {
    let mut world = World::new(4, 2, 1);
    world.settle();
    world.set_host(0, false);
    world.run_for(4_500);
    assert!(world.running().iter().any(|n| n.host == world.hosts[0].host.id));
    world.run_for(3_000);
    assert!(world.running().iter().all(|n| n.host == world.hosts[1].host.id));
    assert_eq!(world.ready(), 4);
    world.set_host(0, true);
    world.settle();
    assert_eq!(world.target.as_ref().unwrap().nodes.len(), 4, "the old ones go when their host is back");
}

#[test]
fn single_writers_stay() {
    for state in [StateKind::SingleWriter, StateKind::Pinned] {
        let mut world = World::new(4, 2, 1);
        world.family.state = state;
        world.settle();
        world.set_host(0, false);
        world.run_for(30_000);
        assert!(world.running().iter().any(|n| n.host == world.hosts[0].host.id));
        assert!(
            world.reasons().iter().any(|r| r.contains("stays on the silent host h1")),
            "{:?}",
            world.reasons()
        );
    }
}

#[test]
fn fewer_and_more_again_are_no_way_around_a_silent_host() {
    for (state, waits) in
        [(StateKind::Pinned, true), (StateKind::SingleWriter, true), (StateKind::Replaceable, false)]
    {
        let mut world = World::new(2, 2, 1);
        world.family.state = state;
        world.settle();
        let second = world.running().into_iter().find(|node| node.index == 2).expect("there");
        let away = world.hosts.iter().position(|view| view.host.id == second.host).expect("its host");
        world.set_host(away, false);
        world.run_for(10_000);
        // It goes, and nobody can tell its host; then it is wanted again.
        world.family.count = 1;
        world.run_for(2_000);
        world.family.count = 2;
        world.run_for(10_000);
        let is_there = world.running().iter().any(|node| node.index == 2);
        assert_eq!(is_there, !waits, "{state:?}: {:?}", world.reasons());
        world.set_host(away, true);
        world.settle();
        assert_eq!(world.ready(), 2, "{state:?}: {:?}", world.reasons());
    }
}

#[test]
fn many_silent_hosts_move_nothing() {
    let mut world = World::new(10, 10, 1);
    world.settle();
    let before = world.running();
    (0..5).for_each(|at| world.set_host(at, false));
    world.run_for(60_000);
    assert_eq!(world.running(), before);
    assert!(world.reasons().iter().any(|r| r.starts_with("5 of 10 hosts")), "{:?}", world.reasons());
}

#[test]
fn a_host_that_was_never_seen_is_not_given_up() {
    let mut world = World::new(2, 2, 1);
    world.settle();
    let before = world.running();
    world.set_host(0, false);
    world.hosts[0].liveness.last_seen = 0;
    world.run_for(60_000);
    assert_eq!(world.running(), before);
}

#[test]
fn a_drained_host_is_emptied_one_by_one() {
    let mut world = World::new(4, 2, 1);
    world.settle();
    world.hosts[0].host.draining = true;
    world.settle();
    assert!(world.running().iter().all(|n| n.host == world.hosts[1].host.id));
    assert_eq!(world.ready(), 4);
}

#[test]
fn a_drained_host_keeps_its_nodes_when_no_other_has_room() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    let before = world.running();
    world.hosts[0].host.draining = true;
    world.settle();
    assert_eq!(world.running(), before);
    assert!(world.reasons().iter().any(|r| r == "host h1: is being drained"), "{:?}", world.reasons());
}

#[test]
fn a_forgotten_node_comes_again() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    let before = world.running();
    world.lose(0);
    world.settle();
    assert_eq!(world.ready(), 2);
    assert_ne!(world.running(), before);
}

#[test]
fn a_stray_is_shown_and_left_alone() {
    let mut world = World::new(1, 1, 1);
    world.settle();
    let mut stray = world.observed.values().next().unwrap().clone();
    stray.id = "00000000-0000-8000-8000-0000000000aa".parse().unwrap();
    world.observed.insert(stray.id, stray);
    world.decide();
    assert!(world.reasons().iter().any(|r| r.contains("belongs to no target")));
    assert_eq!(world.target.as_ref().unwrap().nodes.len(), 1);
}

fn pool(name_of: &str, price: Option<&str>) -> Pool {
    Pool {
        name: name(name_of),
        provider: name("p"),
        region: Some("eu".into()),
        zone: None,
        image: None,
        profile: None,
        attributes: BTreeMap::from([("disk".into(), "ssd".into()), ("tags".into(), "fast,near".into())]),
        price: price.map(|text| Price::said(text, 0).unwrap()),
        hosts_max: None,
        made_at: 0,
    }
}

fn in_pool(number: u8, pool: &Pool) -> HostView {
    let mut view = host(number);
    view.host.pool = Some(pool.name.clone());
    view.pool = Some(Arc::new(pool.clone()));
    view
}

#[test]
fn the_cheapest_has_a_price() {
    let (dear, cheap, unknown) =
        (pool("dear", Some("0.5")), pool("cheap", Some("0.02")), pool("unknown", None));
    let hosts = [in_pool(1, &unknown), in_pool(2, &dear), in_pool(3, &cheap), host(4)];
    let family = Family { select: Select::Cheapest, ..family(20) };
    let on = places(&planned(&family, &hosts));
    assert_eq!(on, [[3; 8], [2; 8]].concat().into_iter().chain([1; 4]).collect::<Vec<u8>>());
}

#[test]
fn pools_are_used_in_their_order_and_no_others_are() {
    let (public, private) = (pool("public", Some("0.02")), pool("private", None));
    let hosts = [host(1), in_pool(2, &public), in_pool(3, &private)];
    let pools = vec![name("private"), name("public")];
    let family = Family { select: Select::First, pools: pools.clone(), ..family(20) };
    let target = planned(&family, &hosts);
    assert_eq!(places(&target), [[3; 8], [2; 8]].concat());
    let rejected =
        target.reasons.iter().any(|reason| reason.to_string().contains("host h1: is in no pool of"));
    assert!(rejected, "{:?}", target.reasons);
}

#[test]
fn where_is_asked_of_host_and_pool() {
    let check = |condition: &str, expected: &[u8], reason: &str| {
        let ssd = pool("ssd", Some("0.5"));
        let mut large = host(2);
        large.host.capacity.memory = ByteSize::mib(8 * 1024);
        large.host.attributes.insert("erts".into(), "14.2,15.0".into());
        let hosts = [in_pool(1, &ssd), large];
        let family = Family { condition: Some(condition.into()), ..family(1) };
        let target = planned(&family, &hosts);
        assert_eq!(places(&target), expected, "{condition}: {:?}", target.reasons);
        let told: Vec<String> = target.reasons.iter().map(ToString::to_string).collect();
        assert!(reason.is_empty() || told.iter().any(|line| line.contains(reason)), "{condition}: {told:?}");
    };
    check("memory >= 4*GiB", &[2], "");
    check("\"14.2\" in erts", &[2], "");
    check("\"fast\" in tags && price < 1.0", &[1], "");
    check("disk == \"ssd\"", &[1], "");
    check("memory > 1*TiB", &[], "is not where memory > 1*TiB");
    check("disk == \"tape\"", &[], "nothing is known of its disk");
    check("memory", &[], "neither true nor false");
}

#[test]
fn a_family_stays_in_one_network() {
    let at = |number: u8, net: u8| {
        let mut view = host(number);
        let address = Ipv4Addr::new(192, 168, net, number);
        view.host.underlay = Some(Underlay { address, prefix: 24, behind: None, within: None });
        view
    };
    // The network with the most room takes all, although another host joined first.
    let hosts = [at(1, 1), at(2, 2), at(3, 2)];
    let target = planned(&family(17), &hosts);
    assert_eq!(target.nodes.len(), 16, "two hosts' room");
    assert!(places(&target).iter().all(|number| *number != 1));
    let told: Vec<String> = target.reasons.iter().map(ToString::to_string).collect();
    let why = "host h1: is in 192.168.1.0/24, which does not reach the family's nodes in 192.168.2.0/24";
    assert!(told.contains(&why.to_owned()), "{told:?}");
}

#[test]
fn nodes_on_hosts_that_take_a_port_are_alone_on_each() {
    let mut world = World::new(3, 2, 1);
    let wanted = &mut world.revisions.get_mut(&1).unwrap().spec;
    wanted.isolation = Isolation::Host;
    wanted.firewall = vec!["tcp:8080 from any".parse().unwrap()];
    world.run_for(30_000);
    let reasons = world.reasons();
    assert_eq!(world.running().len(), 2, "{reasons:?}");
    assert!(reasons.iter().any(|r| r.contains("another node there has port 8080")), "{reasons:?}");
    // Who says that several may be on one host has them listen at addresses of their own.
    world.family.per_host = Some(2);
    world.settle();
    assert_eq!(world.running().len(), 3);
    // Ports of other families count, too; nodes with borders have them all for themselves.
    let port = (Protocol::Tcp, 8080);
    let listens =
        |isolation| RevisionSpec { isolation, firewall: vec!["tcp:8080".parse().unwrap()], ..spec() };
    let mut view = host(1);
    view.ports.insert(port);
    assert!(listens(Isolation::Border).host_ports().is_empty());
    let revisions = BTreeMap::from([(1, Revision { spec: listens(Isolation::Host), ..revision(1) })]);
    let target = planned_with(&family(1), &[view], &revisions);
    assert!(target.nodes.is_empty());
    assert!(target.reasons[0].to_string().contains("port 8080"), "{:?}", target.reasons);
}
