//! Two revisions of an Erlang family at once are two meshes; whoever rolls joins the one that is there.

use crate::apply::{facts, game, live, request};
use crate::world::{Conduct, World};
use lace_model::application::ServiceSpec;
use lace_model::beam::{Beam, BeamNames};
use lace_model::document::{EntryBody, NodeEntry};
use lace_model::rollout::{Phase, RolloutPolicy, Strategy};
use lace_model::{Code, Generation, Span};
use lace_planner::apply;
use std::collections::{BTreeMap, BTreeSet};

fn healthy(count: u32, strategy: Strategy, beam: &Beam) -> World {
    let mut world = World::new(count, 3, 11);
    world.revisions.get_mut(&1).unwrap().spec.beam = Some(beam.clone());
    world.family.rollout.strategy = strategy;
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, count as usize));
    world
}

fn roll(world: &mut World, conduct: Conduct, beam: &Beam) -> u64 {
    let number = world.roll_out(conduct);
    world.revisions.get_mut(&number).unwrap().spec.beam = Some(beam.clone());
    number
}

fn meshes(world: &World) -> Vec<u64> {
    world.running().iter().map(|node| node.mesh).collect()
}

/// At no moment two revisions are in one mesh.
fn settle_apart(world: &mut World) {
    for _ in 0..400 {
        world.tick();
        let mut of = BTreeMap::<u64, BTreeSet<u64>>::new();
        for node in &world.target.as_ref().unwrap().nodes {
            of.entry(node.mesh).or_default().insert(node.revision);
        }
        assert!(of.values().all(|revisions| revisions.len() == 1), "{of:?}");
    }
    world.settle();
}

#[test]
fn blue_green_gives_each_revision_a_mesh_and_leaves_one() {
    let beam = Beam::default();
    let mut world = healthy(3, Strategy::BlueGreen, &beam);
    assert_eq!(meshes(&world), [0, 0, 0]);
    for (round, last) in [(1, Conduct::Good), (2, Conduct::CrashesAtBoot), (2, Conduct::Good)] {
        roll(&mut world, last, &beam);
        settle_apart(&mut world);
        if last == Conduct::Good {
            assert_eq!(meshes(&world), [round; 3]);
        } else {
            assert!(matches!(world.phase(), Phase::Reverted { .. }));
            assert_eq!(meshes(&world), [round - 1; 3], "back in the mesh that never ended");
        }
    }
    // A family that grows, and one that rolls afterwards, are in the mesh that is left.
    world.family.count = 4;
    world.settle();
    world.family.rollout.strategy = Strategy::Rolling;
    roll(&mut world, Conduct::Good, &beam);
    world.settle();
    assert_eq!((meshes(&world), world.revisions_running()), (vec![2; 4], vec![5; 4]));
}

#[test]
fn a_canary_is_a_mesh_of_its_own_until_all_are_in_it() {
    let beam = Beam::default();
    let mut world = healthy(3, Strategy::Canary, &beam);
    roll(&mut world, Conduct::Good, &beam);
    world.run_for(20_000);
    let mut there = meshes(&world);
    there.sort_unstable();
    assert_eq!(there, [0, 0, 1]);
    world.family.promoted = Some(2);
    settle_apart(&mut world);
    assert_eq!((meshes(&world), world.phase()), (vec![1; 3], Phase::Done));
    // The next one is aborted, and tried again.
    roll(&mut world, Conduct::Good, &beam);
    world.run_for(20_000);
    world.family.aborted = Some(3);
    settle_apart(&mut world);
    assert_eq!(meshes(&world), [1; 3]);
    world.family.aborted = None;
    world.family.promoted = Some(3);
    settle_apart(&mut world);
    assert_eq!((meshes(&world), world.revisions_running()), (vec![2; 3], vec![3; 3]));
}

#[test]
fn hosts_and_topics_are_told_of_meshes() {
    let beam = Beam::default();
    let mut world = healthy(1, Strategy::BlueGreen, &beam);
    world.family.rollout.keep = Span::secs(600);
    roll(&mut world, Conduct::Good, &beam);
    world.run_for(20_000);
    let target = world.target.as_ref().unwrap();
    let told = lace_planner::entries(target, &world.revisions, &BTreeMap::new());
    let mesh = |node: &NodeEntry| (node.revision, node.mesh);
    let told: Vec<_> = told
        .iter()
        .filter_map(|(_, entry)| match &entry.body {
            EntryBody::Node(node) => Some(mesh(node)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, 0), (2, 1)]);
    let revisions = BTreeMap::from([(world.family.path.service_path(), world.revisions.clone())]);
    let app = &world.family.path.app;
    let topic = lace_planner::topic(app, [target], &world.observed, &revisions, Generation::default());
    let members: Vec<_> = topic.members.iter().map(|m| (m.path.index, m.mesh)).collect();
    assert_eq!(members, [(1, 0), (101, 1)]);
}

#[test]
fn one_copy_of_an_application_stays_in_one_mesh() {
    for votes in [false, true] {
        let beam = Beam { failover: Some("game".into()), votes, ..Beam::default() };
        for strategy in [Strategy::BlueGreen, Strategy::Canary] {
            let mut world = healthy(3, strategy, &beam);
            roll(&mut world, Conduct::Good, &beam);
            world.family.promoted = Some(2);
            world.settle();
            assert_eq!((meshes(&world), world.revisions_running()), (vec![0; 3], vec![2; 3]), "{strategy:?}");
            assert_eq!(world.running().iter().map(|n| n.index).collect::<Vec<_>>(), [1, 2, 3]);
        }
    }
}

#[test]
fn tls_comes_side_by_side() {
    let mut world = healthy(2, Strategy::BlueGreen, &Beam::default());
    roll(&mut world, Conduct::Good, &Beam { tls: true, ..Beam::default() });
    settle_apart(&mut world);
    let indexes: Vec<_> = world.running().iter().map(|n| n.index).collect();
    assert_eq!((meshes(&world), indexes), (vec![1, 1], vec![101, 102]));
}

#[test]
fn a_failover_beside_another_revision_is_refused() {
    let with = |strategy, votes| ServiceSpec {
        beam: Some(Beam { failover: Some("game".into()), votes, ..Beam::default() }),
        rollout: Some(RolloutPolicy { strategy, ..RolloutPolicy::default() }),
        ..game("2")
    };
    let groups = [("left".to_owned(), "1-3".parse().unwrap())].into();
    let said = with(Strategy::BlueGreen, true);
    let said = ServiceSpec { beam: Some(Beam { groups, ..Beam::default() }), ..said };
    let problem = apply(&live(), &request(&[("game", said)]), &facts()).unwrap_err();
    assert!(problem.message.contains("beam.global_groups"), "{problem}");
    let groups = [("left".to_owned(), "1-3".parse().unwrap())].into();
    let beam = Some(Beam { groups, names: BeamNames::Indexed, ..Beam::default() });
    let said = ServiceSpec { beam, ..game("2") };
    let problem = apply(&live(), &request(&[("game", said)]), &facts()).unwrap_err();
    assert!(problem.message.contains("isolation \"host\""), "{problem}");
    for votes in [true, false] {
        let said = with(Strategy::BlueGreen, votes);
        let problem = apply(&live(), &request(&[("game", said)]), &facts()).unwrap_err();
        assert_eq!(problem.code, Code::Usage);
        assert!(problem.message.contains("beam.failover"), "{problem}");
        assert!(problem.hint.unwrap().contains("rolling"));
        for fine in [Strategy::Rolling, Strategy::Canary, Strategy::Hot, Strategy::AllAtOnce] {
            apply(&live(), &request(&[("game", with(fine, votes))]), &facts()).unwrap();
        }
    }
}
