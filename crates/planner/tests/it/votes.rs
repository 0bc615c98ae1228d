//! Who votes: one member at a time, and nobody leaves who still counts.

use crate::world::World;
use lace_model::beam::Beam;
use lace_model::target::Votes;
use std::collections::BTreeSet;

fn voting() -> World {
    let mut world = World::new(3, 2, 5);
    let beam = Beam { failover: Some("game".into()), votes: true, ..Beam::default() };
    world.revisions.get_mut(&1).unwrap().spec.beam = Some(beam);
    world.settle();
    world
}

fn votes(world: &World) -> Votes {
    world.target.as_ref().unwrap().votes.clone().unwrap()
}

fn members(world: &World) -> BTreeSet<u32> {
    let order = votes(world).order;
    order.seats.iter().map(|seat| seat.index).chain(order.witness).collect()
}

/// Scales, and returns the sets on the way with how long each was there.
fn scale(world: &mut World, count: u32) -> Vec<(BTreeSet<u32>, u64)> {
    world.family.count = count;
    let mut sets = vec![(members(world), 0)];
    for _ in 0..300 {
        let (before, began) = (votes(world), world.now);
        world.tick();
        let after = votes(world);
        let mut present: BTreeSet<u32> = world.running().iter().map(|n| n.index).collect();
        present.extend(votes(world).order.witness);
        assert!(members(world).is_subset(&present), "a voter has left: {:?} of {present:?}", members(world));
        sets.last_mut().unwrap().1 += world.now - began;
        if after.since != before.since {
            assert!(after.order.generation > before.order.generation);
            sets.push((members(world), 0));
        }
    }
    sets
}

#[test]
fn a_family_that_scales_changes_its_voters_one_at_a_time() {
    let mut world = voting();
    assert_eq!((votes(&world).order.generation, members(&world)), (1, [1, 2, 3].into()));
    // Beside an even number the controller votes, too: it joins last.
    for (count, steps) in [(5, 2), (3, 2), (1, 2), (4, 4), (2, 2), (3, 2)] {
        let sets = scale(&mut world, count);
        assert_eq!(sets.len(), steps + 1, "{sets:?}");
        for pair in sets.windows(2) {
            assert_eq!(pair[0].0.symmetric_difference(&pair[1].0).count(), 1, "{sets:?}");
        }
        // A promise long at least, but for the first, which had settled before.
        assert!(sets[1..].iter().all(|(_, lasted)| *lasted >= 5_000), "{sets:?}");
        world.settle();
        let voters = count as usize + usize::from(count % 2 == 0);
        assert_eq!((members(&world).len(), world.ready()), (voters, count as usize));
    }
}

#[test]
fn a_voter_on_a_silent_host_is_not_made_twice_and_a_new_life_begins_a_new_set() {
    let mut world = voting();
    let host = world.running()[0].host;
    let at = world.hosts.iter().position(|view| view.host.id == host).unwrap();
    let before: Vec<_> = world.running().iter().map(|n| n.id).collect();
    world.set_host(at, false);
    world.run_for(20_000);
    let after: Vec<_> = world.running().iter().map(|n| n.id).collect();
    assert_eq!(before, after);
    assert!(world.reasons().iter().any(|reason| reason.contains("state is voting")), "{:?}", world.reasons());
    world.set_host(at, true);
    world.family.running = false;
    world.settle();
    (world.family.running, world.family.count) = (true, 5);
    world.settle();
    // Nobody is left who could count by the old one: all at once.
    assert_eq!((votes(&world).order.generation, members(&world).len()), (2, 5));
}

#[test]
fn a_restored_controller_is_another_witness_and_leaves_a_newer_set_alone() {
    let mut world = voting();
    scale(&mut world, 2);
    let (before, old) = (members(&world), votes(&world).order.witness.unwrap());
    assert_eq!((before.len(), world.ready()), (3, 2));
    world.epoch = 2;
    let mut sets = vec![before];
    for _ in 0..300 {
        world.tick();
        if members(&world) != *sets.last().unwrap() {
            sets.push(members(&world));
        }
    }
    let new = votes(&world).order.witness.unwrap();
    assert_ne!(old, new);
    assert_eq!(
        sets,
        [[1, 2, old].into(), [1, 2].into(), BTreeSet::from([1, 2, new])],
        "first the old one leaves"
    );

    // Restored from a copy of before the last changes: what the nodes have is not what it knows.
    let generation = votes(&world).order.generation;
    world.votes_seen = Some(generation + 2);
    world.family.count = 3;
    world.run_for(30_000);
    assert_eq!(members(&world), [1, 2, new].into(), "the set stays as the nodes have it");
    assert!(
        world.reasons().iter().any(|reason| reason.contains("restored controller")),
        "{:?}",
        world.reasons()
    );
    world.votes_seen = None;
    world.run_for(30_000);
    assert_eq!(members(&world), [1, 2, 3].into());
}
