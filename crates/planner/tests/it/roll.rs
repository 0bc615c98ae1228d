//! How revisions come, fail and go back, rule by rule.

use crate::world::{Conduct, World};
use lace_model::rollout::{Phase, Strategy};
use lace_model::{NodeId, Span};
use lace_planner::JobGate;

/// Three healthy nodes at revision 1.
fn healthy() -> World {
    let mut world = World::new(3, 2, 5);
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 3));
    world
}

fn ids(world: &World) -> Vec<NodeId> {
    world.running().iter().map(|n| n.id).collect()
}

#[test]
fn the_first_deployment_starts_all_at_once() {
    let mut world = World::new(3, 2, 1);
    world.tick();
    assert_eq!(world.running().len(), 3);
}

#[test]
fn a_good_revision_rolls_one_by_one_and_becomes_good() {
    let mut world = healthy();
    world.roll_out(Conduct::Good);
    world.run_for(300);
    assert_eq!(world.revisions_running(), [2, 1, 1]);
    world.settle();
    assert_eq!(world.revisions_running(), [2, 2, 2]);
    assert_eq!(world.target.as_ref().unwrap().good, Some(2));
}

#[test]
fn a_crashing_revision_is_known_as_bad_in_two_seconds_and_reverts() {
    let mut world = healthy();
    world.roll_out(Conduct::CrashesAtBoot);
    world.run_for(2_000);
    assert!(world.revisions[&2].bad.is_some(), "{:?}", world.events);
    world.settle();
    assert_eq!(world.phase(), Phase::Reverted { cause: "shop/game/1 ended: exit status 1".into() });
    assert_eq!(world.revisions_running(), [1, 1, 1]);
    assert_eq!(world.target.as_ref().unwrap().rollout.as_ref().unwrap().last_lines, ["it broke"]);
}

#[test]
fn a_revision_that_is_ready_and_crashes_a_moment_later_takes_no_second_node() {
    let mut world = healthy();
    let before = ids(&world);
    world.family.rollout.healthy_for = Span(0);
    world.roll_out(Conduct::CrashesWhenReady);
    world.run_for(2_000);
    assert!(world.revisions[&2].bad.is_some(), "{:?}", world.events);
    world.settle();
    assert_eq!(ids(&world)[1..], before[1..]);
    assert_eq!(world.revisions_running(), [1, 1, 1]);
}

#[test]
fn the_next_node_follows_when_the_one_before_has_been_ready_long_enough() {
    let mut world = healthy();
    world.family.rollout.healthy_for = Span::secs(5);
    world.roll_out(Conduct::Good);
    world.run_for(5_000);
    assert_eq!(world.revisions_running(), [2, 1, 1]);
    assert!(
        world.reasons().contains(&"waits until shop/game/1 has been ready for 5s".to_owned()),
        "{:?}",
        world.reasons()
    );
    world.run_for(2_000);
    assert_eq!(world.revisions_running(), [2, 2, 1]);
    world.settle();
    assert_eq!(world.phase(), Phase::Done);
}

#[test]
fn a_share_of_the_nodes_may_be_away() {
    let mut world = World::new(8, 2, 5);
    world.settle();
    world.family.rollout.max_unavailable = "25%".parse().unwrap();
    world.roll_out(Conduct::Good);
    world.run_for(300);
    assert_eq!(world.revisions_running().iter().filter(|r| **r == 2).count(), 2);
    world.settle();
    assert_eq!(world.phase(), Phase::Done);
}

#[test]
fn nodes_that_a_bad_revision_never_reached_are_not_touched() {
    let mut world = healthy();
    let before = ids(&world);
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    assert_eq!(ids(&world)[1..], before[1..]);
}

#[test]
fn a_revision_that_is_not_ready_in_time_reverts() {
    let mut world = healthy();
    world.family.rollout.deadline = Span::secs(10);
    world.roll_out(Conduct::NeverReady);
    world.run_for(8_000);
    assert_eq!(world.phase(), Phase::Rolling);
    world.settle();
    assert_eq!(world.phase(), Phase::Reverted { cause: "shop/game/1 is not ready after 10s".into() });
}

#[test]
fn without_revert_it_stays_failed() {
    let mut world = healthy();
    world.family.rollout.revert = false;
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    assert!(matches!(world.phase(), Phase::Failed { .. }));
    assert_eq!(world.revisions_running(), [2, 1, 1]);
}

#[test]
fn a_first_deployment_that_fails_stays_to_be_looked_at() {
    let mut world = World::new(2, 1, 1);
    world.conduct.insert(1, Conduct::CrashesAtBoot);
    world.settle();
    assert!(matches!(world.phase(), Phase::Failed { .. }));
    assert_eq!(world.running().len(), 2);
    world.roll_out(Conduct::Good);
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 2));
}

#[test]
fn a_crash_in_the_watched_time_reverts() {
    let mut world = healthy();
    world.family.rollout.healthy_for = Span::secs(5);
    world.roll_out(Conduct::Good);
    while !matches!(world.phase(), Phase::Watching { .. }) {
        world.tick();
    }
    world.run_for(1_000);
    world.kill(1);
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }), "{:?}", world.events);
    assert_eq!((world.revisions_running(), world.ready()), (vec![1, 1, 1], 3));
}

#[test]
fn a_crash_of_a_healthy_family_changes_nothing() {
    let mut world = healthy();
    let before = ids(&world);
    world.kill(1);
    world.settle();
    assert_eq!((ids(&world), world.ready(), world.phase()), (before, 3, Phase::Done));
}

#[test]
fn a_bad_revision_is_tried_again_when_its_mark_is_cleared() {
    let mut world = healthy();
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    world.run_for(60_000);
    assert_eq!(world.events.iter().filter(|e| e.contains("rollout.started")).count(), 2);
    world.conduct.insert(2, Conduct::Good);
    world.revisions.get_mut(&2).unwrap().bad = None;
    world.settle();
    assert_eq!((world.phase(), world.revisions_running()), (Phase::Done, vec![2, 2, 2]));
}

#[test]
fn a_newer_revision_supersedes_one_under_way() {
    let mut world = healthy();
    world.roll_out(Conduct::NeverReady);
    world.run_for(1_000);
    world.roll_out(Conduct::Good);
    world.settle();
    assert_eq!((world.phase(), world.revisions_running()), (Phase::Done, vec![3, 3, 3]));
}

#[test]
fn a_pause_holds_and_an_abort_goes_back() {
    let mut world = healthy();
    world.roll_out(Conduct::Good);
    world.run_for(300);
    world.family.paused = true;
    world.run_for(30_000);
    assert_eq!(world.revisions_running(), [2, 1, 1]);
    assert!(world.reasons().contains(&"the rollout is paused".to_owned()));
    world.family.paused = false;
    world.family.aborted = Some(2);
    world.settle();
    assert_eq!(world.phase(), Phase::Reverted { cause: "aborted".into() });
    assert_eq!((world.revisions_running(), world.ready()), (vec![1, 1, 1], 3));
}

#[test]
fn a_canary_waits_to_be_promoted() {
    let mut world = healthy();
    world.family.rollout.strategy = Strategy::Canary;
    world.roll_out(Conduct::Good);
    world.settle();
    assert_eq!(world.revisions_running(), [2, 1, 1]);
    assert!(world.reasons().iter().any(|r| r.contains("lace rollout promote")), "{:?}", world.reasons());
    world.family.promoted = Some(2);
    world.settle();
    assert_eq!((world.phase(), world.revisions_running()), (Phase::Done, vec![2, 2, 2]));
}

#[test]
fn all_at_once_replaces_all() {
    let mut world = healthy();
    world.family.rollout.strategy = Strategy::AllAtOnce;
    world.roll_out(Conduct::Good);
    world.run_for(200);
    while world.target.as_ref().unwrap().rollout.as_ref().unwrap().to != 2 {
        world.tick();
    }
    assert_eq!(world.revisions_running(), [2, 2, 2]);
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 3));
}

#[test]
fn before_jobs_come_first_and_their_failure_fails_the_revision() {
    let mut world = healthy();
    world.roll_out(Conduct::Good);
    world.revisions.get_mut(&2).unwrap().spec.before = vec![vec!["migrate".into()]];
    world.settle();
    assert_eq!(world.revisions_running(), [1, 1, 1]);
    assert!(world.reasons().contains(&"waits for the job `migrate`".to_owned()), "{:?}", world.reasons());
    let failed =
        JobGate::Failed { cause: "`migrate`: exit status 2".into(), last_lines: vec!["no table".into()] };
    world.gates.before_done.insert(2, failed);
    world.settle();
    assert_eq!(world.phase(), Phase::Reverted { cause: "`migrate`: exit status 2".into() });
    assert_eq!(world.revisions_running(), [1, 1, 1]);
}

#[test]
fn needs_hold_the_first_start_only() {
    let mut world = World::new(1, 1, 1);
    world.gates.needs_met = Err("shop/db/db".parse().unwrap());
    world.settle();
    assert!(world.running().is_empty());
    assert_eq!(world.reasons()[0], "waits until shop/db/db is healthy");
    world.gates.needs_met = Ok(());
    world.settle();
    world.gates.needs_met = Err("shop/db/db".parse().unwrap());
    world.family.count = 2;
    world.settle();
    assert_eq!(world.ready(), 2);
}

#[test]
fn stop_keeps_the_target_and_delete_ends_it() {
    let mut world = healthy();
    world.family.running = false;
    world.settle();
    assert!(world.target.as_ref().unwrap().nodes.is_empty());
    assert_eq!(world.reasons(), ["stopped by wish"]);
    world.family.running = true;
    world.settle();
    assert_eq!(world.ready(), 3);
    world.family.deleting = true;
    world.settle();
    assert!(world.family_done);
}

#[test]
fn one_node_is_replaced_on_request() {
    let mut world = healthy();
    let before = ids(&world);
    world.family.replace.insert(2, before[1]);
    world.settle();
    assert!(world.family.replace.is_empty());
    let after = ids(&world);
    assert!(after[0] == before[0] && after[1] != before[1] && after[2] == before[2]);
}

#[test]
fn too_large_a_revision_touches_nothing() {
    let mut world = healthy();
    let before = ids(&world);
    world.roll_out(Conduct::Good);
    world.revisions.get_mut(&2).unwrap().spec.limits.memory = lace_model::ByteSize::mib(4096);
    world.settle();
    assert_eq!(ids(&world), before);
    assert!(world.reasons().iter().any(|r| r.contains("4 GiB wanted")), "{:?}", world.reasons());
}
