//! When operations end, and how.

use crate::make::path;
use crate::world::{Conduct, World};
use lace_model::beam::Beam;
use lace_model::operation::{Goal, Operation, OperationState};
use lace_model::rollout::Phase;
use lace_model::{ByteSize, Code};
use lace_planner::{GoalFacts, GoalProgress, Health, JobGate, goal_state, status_line};
use std::collections::BTreeMap;

fn operation(world: &World, verb: &str, goal: Goal) -> Operation {
    Operation {
        id: "00000000-0000-8000-8000-0000000000aa".parse().unwrap(),
        verb: verb.into(),
        subject: "shop".into(),
        actor: "test".into(),
        waits: vec![goal],
        state: OperationState::Running,
        code: None,
        message: String::new(),
        details: Vec::new(),
        started_at: world.now,
        ended_at: None,
        held_until: None,
    }
}

fn wanted(world: &World) -> Goal {
    lace_planner::edit::goal_of(&world.family)
}

fn state(world: &World, op: &Operation) -> GoalProgress {
    let families =
        if world.family_done { BTreeMap::new() } else { BTreeMap::from([(path(), world.family.clone())]) };
    let targets = world.target.iter().map(|t| (path(), t.clone())).collect();
    let tasks: Vec<_> = world.restarts.values().filter(|t| t.created_at >= op.started_at).collect();
    let revisions = BTreeMap::from([(path().service_path(), world.revisions.clone())]);
    let facts = GoalFacts {
        families: &families,
        targets: &targets,
        revisions: &revisions,
        observed: &world.observed,
        tasks: &tasks,
        now: world.now,
    };
    goal_state(op, &facts)
}

fn code(state: &GoalProgress) -> Option<Code> {
    if let GoalProgress::Failed(code, ..) = state { Some(*code) } else { None }
}

fn health(world: &World) -> Health {
    status_line(&world.family, world.target.as_ref(), &world.observed).health
}

#[test]
fn apply_scale_and_delete_are_done() {
    let mut world = World::new(2, 1, 1);
    let op = operation(&world, "apply", wanted(&world));
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
    world.settle();
    assert_eq!(state(&world, &op), GoalProgress::Done("shop/game/game: 2 of 2 ready at revision 1".into()));
    assert_eq!(health(&world), Health::Healthy);
    for count in [4, 1] {
        world.family.count = count;
        let op = operation(&world, "scale", wanted(&world));
        world.tick();
        assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
        world.settle();
        assert!(matches!(state(&world, &op), GoalProgress::Done(_)));
    }
    world.family.deleting = true;
    let op = operation(&world, "delete", lace_planner::edit::goal_gone(&path()));
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
    world.settle();
    assert_eq!(state(&world, &op), GoalProgress::Done("shop/game/game is gone".into()));
}

#[test]
fn a_job_that_no_host_can_take_ends_what_waits_for_it() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    let number = world.roll_out(Conduct::Good);
    let op = operation(&world, "apply", wanted(&world));
    let gate = |since| JobGate::NoRoom { command: "migrate".into(), since };
    world.gates.before_done.insert(number, gate(world.now));
    world.run_for(1_000);
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
    world.run_for(5_000);
    let end = state(&world, &op);
    assert_eq!(code(&end), Some(Code::CannotPlace));
    let GoalProgress::Failed(_, _, lines) = end else { unreachable!() };
    assert_eq!(lines, ["waits for the job `migrate`, for which no connected host has room"]);
    // It has begun since.
    world.gates.before_done.insert(number, JobGate::Waiting("migrate".into()));
    world.run_for(1_000);
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
}

#[test]
fn a_family_of_nobody_is_healthy_from_its_first_moment() {
    let mut world = World::new(0, 1, 1);
    world.settle();
    assert_eq!(health(&world), Health::Healthy);
    world.family.count = 1;
    world.settle();
    assert_eq!(health(&world), Health::Healthy);
}

#[test]
fn a_bad_revision_fails_with_or_without_revert() {
    for (revert, expected) in [(true, Code::FailedReverted), (false, Code::FailedNotReverted)] {
        let mut world = World::new(2, 1, 1);
        world.family.rollout.revert = revert;
        world.settle();
        world.roll_out(Conduct::CrashesAtBoot);
        let op = operation(&world, "apply", wanted(&world));
        world.settle();
        let end = state(&world, &op);
        assert_eq!(code(&end), Some(expected));
        let GoalProgress::Failed(_, message, lines) = end else { unreachable!() };
        assert!(message.contains("exit status 1"), "{message}");
        assert_eq!(lines, ["it broke"]);
    }
}

#[test]
fn scaling_a_reverted_family_works_with_what_is_there() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }));
    assert_eq!(health(&world), Health::Healthy);
    world.run_for(1_000);
    world.family.count = 3;
    let op = operation(&world, "scale", wanted(&world));
    world.settle();
    assert!(matches!(state(&world, &op), GoalProgress::Done(_)), "{:?}", state(&world, &op));
}

#[test]
fn what_cannot_be_placed_ends_with_its_reasons() {
    let mut world = World::new(1, 1, 1);
    world.revisions.get_mut(&1).unwrap().spec.limits.memory = ByteSize::mib(4096);
    let op = operation(&world, "apply", wanted(&world));
    world.run_for(2_000);
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)));
    world.run_for(6_000);
    let end = state(&world, &op);
    assert_eq!(code(&end), Some(Code::CannotPlace), "{end:?}");
}

#[test]
fn an_abort_is_done_when_the_former_revision_is_back() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    world.roll_out(Conduct::NeverReady);
    world.run_for(500);
    world.family.aborted = Some(2);
    let op = operation(&world, "abort", Goal { revision: Some(1), ..wanted(&world) });
    world.tick();
    assert!(matches!(state(&world, &op), GoalProgress::Running(_)), "{:?}", state(&world, &op));
    world.settle();
    assert!(matches!(state(&world, &op), GoalProgress::Done(_)), "{:?}", state(&world, &op));
}

#[test]
fn a_newer_request_ends_an_older_one() {
    let mut world = World::new(2, 1, 1);
    let op = operation(&world, "apply", wanted(&world));
    world.settle();
    world.roll_out(Conduct::Good);
    world.tick();
    assert_eq!(code(&state(&world, &op)), Some(Code::Conflict));
}

fn restart(world: &mut World) -> Operation {
    world.run_for(1_000);
    world.family.restart += 1;
    operation(world, "restart", Goal { restart: world.family.restart, ..wanted(world) })
}

#[test]
fn a_restart_after_a_revert_ends_when_every_process_was_restarted() {
    for abort in [false, true] {
        let mut world = World::new(3, 1, 1);
        world.settle();
        world.roll_out(if abort { Conduct::NeverReady } else { Conduct::CrashesAtBoot });
        world.run_for(500);
        world.family.aborted = abort.then_some(2);
        world.settle();
        assert!(matches!(world.phase(), Phase::Reverted { .. }));
        let op = restart(&mut world);
        while world.restarts.len() < 3 {
            assert!(matches!(state(&world, &op), GoalProgress::Running(_)), "{:?}", state(&world, &op));
            world.tick();
        }
        world.settle();
        let end = state(&world, &op);
        assert_eq!(end, GoalProgress::Done("shop/game/game: 3 of 3 restarted and ready".into()));
        assert_eq!(world.revisions_running(), [1, 1, 1]);
    }
}

#[test]
fn a_restart_after_a_revert_that_fails_says_so() {
    for (refuses, words) in [(true, "the node does not run"), (false, "exit status 1")] {
        let mut world = World::new(2, 1, 1);
        world.settle();
        world.roll_out(Conduct::CrashesAtBoot);
        world.settle();
        world.refuses = refuses;
        world.conduct.insert(1, Conduct::CrashesAtBoot);
        let op = restart(&mut world);
        world.run_for(5_000);
        let GoalProgress::Failed(_, message, _) = state(&world, &op) else { panic!("it goes on") };
        assert!(message.contains(words), "{message}");
        // What crashes takes no second node; where a host refused, nothing is down.
        assert!(world.restarts.len() == 1 || refuses && world.ready() == 2);
    }
}

#[test]
fn a_restart_of_what_failed_and_stayed_ends_too() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    world.family.rollout.revert = false;
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    assert!(matches!(world.phase(), Phase::Failed { .. }));
    let op = restart(&mut world);
    world.run_for(30_000);
    assert!(matches!(state(&world, &op), GoalProgress::Failed(..)), "{:?}", state(&world, &op));
}

#[test]
fn a_family_with_failover_is_deployed_when_its_application_runs_somewhere() {
    let mut world = World::new(3, 1, 1);
    let beam = Beam { failover: Some("ball".into()), ..Beam::default() };
    world.revisions.get_mut(&1).unwrap().spec.beam = Some(beam);
    let op = operation(&world, "apply", wanted(&world));
    world.settle();
    let waits = "shop/game/game: all are ready; ball runs on none of them yet";
    assert_eq!(state(&world, &op), GoalProgress::Running(waits.into()));
    let first = world.running()[0].id;
    world.observed.get_mut(&first).unwrap().holds = true;
    assert!(matches!(state(&world, &op), GoalProgress::Done(_)));
    world.observed.get_mut(&first).unwrap().holds = false;
    world.now += world.family.rollout.deadline.ms();
    let end = state(&world, &op);
    assert_eq!(code(&end), Some(Code::FailedNotReverted), "{end:?}");
}
