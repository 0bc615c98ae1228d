//! Restarts in place: some at a time, by tasks, and what becomes of those that fail.

use crate::world::{Conduct, World};
use lace_model::NodeId;
use lace_model::rollout::{Phase, Share};
use lace_planner::plan;

fn ids(world: &World) -> Vec<NodeId> {
    world.running().iter().map(|n| n.id).collect()
}

#[test]
fn every_process_is_restarted_and_no_node_replaced() {
    let mut world = World::new(3, 2, 1);
    world.settle();
    let before = ids(&world);
    world.family.restart += 1;
    world.settle();
    assert_eq!(ids(&world), before);
    assert!(world.running().iter().all(|n| n.restart == 1));
    assert_eq!(world.restarts.len(), 3, "a task each");
    assert_eq!(world.phase(), Phase::Done);
}

#[test]
fn one_after_the_other() {
    let mut world = World::new(4, 1, 1);
    world.settle();
    world.family.restart += 1;
    let outcome = plan(&world.input());
    assert_eq!(outcome.tasks.len(), 1);
    let task = &outcome.tasks[0];
    assert!(task.state.is_open() && task.deadline > world.now);
    assert_eq!(plan(&world.input()).tasks[0].id, task.id, "the same decision, the same id");
    world.family.rollout.max_unavailable = Share::Count(3);
    assert_eq!(plan(&world.input()).tasks.len(), 3);
}

#[test]
fn a_refused_restart_ends_it_with_its_cause_and_the_others_stay() {
    let mut world = World::new(3, 1, 1);
    world.settle();
    world.refuses = true;
    world.family.restart += 1;
    world.settle();
    assert!(
        matches!(world.phase(), Phase::Failed { cause } if cause.contains("was not restarted: the node does not run"))
    );
    assert_eq!(world.restarts.len(), 1, "nobody else was touched");
    assert_eq!(world.ready(), 3);
    world.refuses = false;
    world.family.restart += 1;
    world.settle();
    assert_eq!(world.phase(), Phase::Done);
    assert!(world.running().iter().all(|n| n.restart == 2));
}

#[test]
fn a_process_that_crashes_after_its_restart_takes_no_second_node() {
    let mut world = World::new(3, 1, 1);
    world.settle();
    world.conduct.insert(1, Conduct::CrashesAtBoot);
    world.family.restart += 1;
    world.settle();
    assert!(matches!(world.phase(), Phase::Failed { .. }));
    assert_eq!(world.restarts.len(), 1);
    assert_eq!(world.ready(), 2);
}

#[test]
fn what_a_process_did_before_its_restart_does_not_count() {
    let mut world = World::new(1, 1, 1);
    world.settle();
    for _ in 0..3 {
        world.kill(0);
        world.settle();
    }
    assert_eq!(world.observed.values().next().unwrap().restarts, 3);
    world.family.restart += 1;
    world.settle();
    assert_eq!(world.phase(), Phase::Done);
    assert_eq!(world.ready(), 1);
}
