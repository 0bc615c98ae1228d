//! Hot upgrades: one node after the other by tasks, and what becomes of those that fail.

use crate::world::{Conduct, World};
use lace_model::NodeId;
use lace_model::beam::Beam;
use lace_model::document::{TaskOutcome, Verb};
use lace_model::release::ReleaseKind;
use lace_model::rollout::{Phase, Strategy};
use lace_model::task::NodeTask;
use lace_model::{Digest, Span};

fn ids(world: &World) -> Vec<NodeId> {
    world.running().iter().map(|n| n.id).collect()
}

/// A family of an Erlang release whose next revision differs in nothing else.
fn healthy(count: u32) -> World {
    let mut world = World::new(count, 2, 1);
    world.family.rollout.strategy = Strategy::Hot;
    erlang(&mut world, 1);
    world.settle();
    let next = world.roll_out(Conduct::Good);
    erlang(&mut world, next);
    world
}

fn erlang(world: &mut World, number: u64) {
    let spec = &mut world.revisions.get_mut(&number).unwrap().spec;
    spec.env.clear();
    spec.kind = ReleaseKind::Relx;
    spec.beam = Some(Beam::default());
    spec.release = format!("game@{number}");
    spec.tree = Some(Digest::of_value(&number));
}

fn open(world: &World) -> Vec<NodeTask> {
    world.upgrades.values().flatten().filter(|task| task.state.is_open()).cloned().collect()
}

fn end(world: &mut World, task: &NodeTask, outcome: TaskOutcome) {
    let now = world.now;
    let tasks = world.upgrades.get_mut(&task.node).unwrap();
    tasks.iter_mut().find(|known| known.id == task.id).unwrap().end(outcome, now);
}

fn done() -> TaskOutcome {
    TaskOutcome::Done { lines: Vec::new() }
}

#[test]
fn nodes_change_over_in_place_one_after_the_other() {
    let mut world = healthy(3);
    let before = ids(&world);
    for n in 0..3 {
        world.run_for(3_000);
        let tasks = open(&world);
        assert_eq!(tasks.len(), 1, "one at a time");
        let Verb::Upgrade(upgrade) = &tasks[0].verb else { panic!("{tasks:?}") };
        assert_eq!((upgrade.revision, upgrade.healthy_for), (2, Span::secs(1)));
        let changed = world.running().iter().filter(|node| node.revision == 2).count();
        assert_eq!(changed, n, "the revision changes when the host says so");
        end(&mut world, &tasks[0], done());
    }
    world.settle();
    assert_eq!((world.phase(), ids(&world)), (Phase::Done, before));
    assert!(world.running().iter().all(|node| node.revision == 2));
}

#[test]
fn who_had_changed_over_goes_back_in_place_when_the_next_one_fails() {
    let mut world = healthy(2);
    let before = ids(&world);
    world.run_for(1_000);
    let first = open(&world).remove(0);
    end(&mut world, &first, done());
    world.run_for(1_000);
    let second = open(&world).remove(0);
    assert_ne!(first.node, second.node);
    end(&mut world, &second, TaskOutcome::Failed { cause: "settings in doubt".into() });
    world.run_for(1_000);
    let back = open(&world).remove(0);
    assert!(matches!(&back.verb, Verb::Upgrade(upgrade) if upgrade.revision == 1), "{back:?}");
    assert_eq!(back.node, first.node);
    end(&mut world, &back, done());
    world.settle();
    let phase = world.phase();
    assert!(
        matches!(&phase, Phase::Reverted { cause } if cause.contains("was not upgraded: settings in doubt"))
    );
    assert_eq!(ids(&world), before);
    assert!(world.running().iter().all(|node| node.revision == 1));
}

#[test]
fn what_cannot_go_back_in_place_is_made_anew() {
    let mut world = healthy(2);
    let before = ids(&world);
    world.run_for(1_000);
    let first = open(&world).remove(0);
    end(&mut world, &first, done());
    world.run_for(1_000);
    for cause in ["sick", "no way back"] {
        let task = open(&world).remove(0);
        end(&mut world, &task, TaskOutcome::Failed { cause: cause.into() });
        world.run_for(1_000);
    }
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }));
    let after = ids(&world);
    assert_eq!(before.iter().filter(|id| after.contains(id)).count(), 1, "{before:?} {after:?}");
}

#[test]
fn what_is_said_to_be_done_when_nobody_waits_any_more_is_turned_round() {
    let mut world = healthy(1);
    let before = ids(&world);
    world.run_for(1_000);
    let first = open(&world).remove(0);
    end(&mut world, &first, TaskOutcome::Unknown);
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }));
    assert_eq!((ids(&world), open(&world)), (before.clone(), Vec::new()), "it is taken for what it was");
    // Its host was away, and had done it.
    end(&mut world, &first, done());
    world.run_for(3_000);
    for back in open(&world) {
        assert!(matches!(&back.verb, Verb::Upgrade(upgrade) if upgrade.revision == 1), "{back:?}");
        end(&mut world, &back, done());
    }
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }));
    assert!(world.running().iter().all(|node| node.revision == 1), "{:?}", world.running());
    let by_task = world.upgrades.values().flatten().count() == 2 && ids(&world) == before;
    assert!(by_task || ids(&world) != before, "a runtime of the new release counts as one of the old");
}

#[test]
fn what_changes_more_than_its_release_is_replaced_and_a_person_may_ask_for_one_revision() {
    let mut world = healthy(2);
    let before = ids(&world);
    world.revisions.get_mut(&2).unwrap().spec.env.insert("A".into(), "1".into());
    world.settle();
    assert!(world.upgrades.is_empty());
    assert!(ids(&world).iter().all(|id| !before.contains(id)));

    let mut world = healthy(1);
    world.family.rollout.strategy = Strategy::BlueGreen;
    world.family.hot = Some(2);
    world.run_for(1_000);
    assert_eq!(open(&world).len(), 1);
}
