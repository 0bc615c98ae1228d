//! Two revisions at work together: blue-green beside each other, a canary step by step. Who gets which requests.

use crate::world::{Conduct, World};
use lace_model::rollout::{Phase, Share, Strategy};
use lace_model::{Generation, NodeId, Span};
use lace_planner::Answered;
use std::collections::BTreeMap;

fn healthy(count: u32, strategy: Strategy) -> World {
    let mut world = World::new(count, 3, 5);
    world.family.rollout.strategy = strategy;
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, count as usize));
    world
}

fn indexes(world: &World) -> Vec<u32> {
    world.running().iter().map(|node| node.index).collect()
}

fn ids(world: &World) -> Vec<NodeId> {
    world.running().iter().map(|node| node.id).collect()
}

/// What doors are told: the thousandths of the new revision.
fn permille(world: &World) -> Option<u16> {
    let revisions = BTreeMap::from([(world.family.path.service_path(), world.revisions.clone())]);
    let app = &world.family.path.app;
    let topic =
        lace_planner::topic(app, world.target.as_ref(), &world.observed, &revisions, Generation::default());
    topic.shares.get(&world.family.path).map(|share| share.permille)
}

fn until(world: &mut World, what: &str, mut is_so: impl FnMut(&World) -> bool) {
    for _ in 0..2_000 {
        if is_so(world) {
            return;
        }
        world.tick();
    }
    panic!("never {what}: {:#?}\n{:?}", world.target, world.events);
}

#[test]
fn blue_green_switches_when_all_of_the_new_are_good_and_keeps_the_old_for_a_while() {
    let mut world = healthy(3, Strategy::BlueGreen);
    let old = ids(&world);
    world.family.rollout.keep = Span::secs(20);
    world.roll_out(Conduct::Good);
    until(&mut world, "beside each other", |w| w.running().len() == 6);
    assert_eq!((indexes(&world), permille(&world)), (vec![1, 2, 3, 101, 102, 103], Some(0)));
    while permille(&world) == Some(0) {
        assert!(ids(&world)[..3] == old[..], "the old are not touched before the switch");
        world.tick();
    }
    assert_eq!((permille(&world), world.running().len()), (Some(1_000), 6));
    assert!(world.running()[3..].iter().all(|node| world.is_ready(node)));
    world.run_for(19_000);
    assert_eq!(ids(&world)[..3], old[..], "the old are kept");
    world.settle();
    assert_eq!((world.phase(), indexes(&world), permille(&world)), (Phase::Done, vec![101, 102, 103], None));
    assert_eq!(world.revisions_running(), [2, 2, 2]);
    // The next one takes the places that are free by now, and a family that grows goes on where it is.
    world.family.count = 4;
    world.settle();
    assert_eq!(indexes(&world), [101, 102, 103, 104]);
    world.roll_out(Conduct::Good);
    world.settle();
    assert_eq!((indexes(&world), world.revisions_running()), (vec![1, 2, 3, 4], vec![3, 3, 3, 3]));
}

#[test]
fn a_bad_set_ends_and_nobody_ever_saw_it() {
    for conduct in [Conduct::CrashesAtBoot, Conduct::CrashesWhenReady, Conduct::NeverReady] {
        let mut world = healthy(3, Strategy::BlueGreen);
        world.family.rollout.deadline = Span::secs(10);
        let old = ids(&world);
        world.roll_out(conduct);
        for _ in 0..400 {
            world.tick();
            assert!(permille(&world).is_none_or(|permille| permille == 0), "{conduct:?}");
        }
        world.settle();
        assert!(matches!(world.phase(), Phase::Reverted { .. }), "{conduct:?} {:?}", world.events);
        assert_eq!(ids(&world), old, "{conduct:?}");
    }
}

#[test]
fn after_the_switch_a_crash_or_a_word_leads_back_at_once() {
    for abort in [true, false] {
        let mut world = healthy(3, Strategy::BlueGreen);
        let old = ids(&world);
        world.family.rollout.keep = Span::secs(60);
        world.roll_out(Conduct::Good);
        until(&mut world, "switched", |w| permille(w) == Some(1_000));
        world.run_for(2_000);
        if abort {
            world.family.aborted = Some(2);
        } else {
            let new: Vec<_> = world.running().iter().skip(3).map(|node| node.id).collect();
            world.kill_node(new[1]);
        }
        until(&mut world, "led back", |w| permille(w) == Some(0));
        assert_eq!(ids(&world)[..3], old[..]);
        assert!(world.running()[..3].iter().all(|node| world.is_ready(node)));
        world.settle();
        assert!(matches!(world.phase(), Phase::Reverted { .. }));
        assert_eq!(ids(&world), old);
    }
}

#[test]
fn promote_ends_the_wait_and_pause_holds_the_switch() {
    let mut world = healthy(2, Strategy::BlueGreen);
    world.family.rollout.keep = Span::secs(600);
    world.roll_out(Conduct::Good);
    until(&mut world, "beside each other", |w| w.running().len() == 4);
    world.family.paused = true;
    world.run_for(20_000);
    assert_eq!(permille(&world), Some(0));
    assert!(world.reasons().contains(&"the rollout is paused".to_owned()), "{:?}", world.reasons());
    world.family.paused = false;
    until(&mut world, "switched", |w| permille(w) == Some(1_000));
    world.run_for(5_000);
    assert_eq!(world.running().len(), 4);
    world.family.promoted = Some(2);
    world.settle();
    assert_eq!((world.phase(), indexes(&world)), (Phase::Done, vec![101, 102]));
}

#[test]
fn a_newer_revision_takes_the_new_set_over() {
    let mut world = healthy(2, Strategy::BlueGreen);
    let old = ids(&world);
    world.roll_out(Conduct::NeverReady);
    until(&mut world, "beside each other", |w| w.running().len() == 4);
    world.roll_out(Conduct::Good);
    until(&mut world, "switched", |w| {
        assert_eq!(ids(w)[..2], old[..]);
        permille(w) == Some(1_000)
    });
    world.settle();
    assert_eq!((indexes(&world), world.revisions_running()), (vec![101, 102], vec![3, 3]));
}

#[test]
fn what_belongs_to_an_index_rolls_in_its_place() {
    let mut world = healthy(3, Strategy::BlueGreen);
    world.family.state = lace_model::family::StateKind::Pinned;
    world.roll_out(Conduct::Good);
    world.run_for(400);
    assert_eq!((indexes(&world), world.revisions_running()), (vec![1, 2, 3], vec![2, 1, 1]));
    assert!(
        world.reasons().iter().any(|r| r.contains("take the places of the old")),
        "{:?}",
        world.reasons()
    );
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 3));
}

#[test]
fn a_set_without_room_waits_and_says_why() {
    let mut world = World::new(3, 1, 5);
    world.hosts[0].host.capacity.slots = 4;
    world.family.rollout.strategy = Strategy::BlueGreen;
    world.settle();
    world.roll_out(Conduct::Good);
    world.settle();
    assert_eq!((world.running().len(), permille(&world)), (4, Some(0)));
    assert!(world.reasons().iter().any(|r| r.contains("h1")), "{:?}", world.reasons());
    world.hosts[0].host.capacity.slots = 6;
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 3));
}

fn canary(steps: &[&str], pause: Option<Span>) -> World {
    let mut world = healthy(8, Strategy::Canary);
    world.family.rollout.steps = steps.iter().map(|step| step.parse::<Share>().unwrap()).collect();
    world.family.rollout.pause = pause;
    world.roll_out(Conduct::Good);
    world
}

fn new_nodes(world: &World) -> usize {
    world.revisions_running().iter().filter(|revision| **revision == 2).count()
}

#[test]
fn a_canary_goes_from_step_to_step_by_time() {
    let mut world = canary(&["5%", "25%", "50%"], Some(Span::secs(10)));
    let mut seen = Vec::new();
    until(&mut world, "done", |w| {
        let now = (permille(w), new_nodes(w));
        if w.target.as_ref().unwrap().rollout.as_ref().unwrap().to == 2 && seen.last() != Some(&now) {
            seen.push(now);
        }
        w.phase() == Phase::Done && new_nodes(w) == 8
    });
    for step in [(Some(50), 1), (Some(250), 2), (Some(500), 4), (None, 8)] {
        assert!(seen.contains(&step), "{step:?}: {seen:?}");
    }
    assert!(seen.windows(2).all(|two| two[0].1 <= two[1].1), "{seen:?}");
}

#[test]
fn a_canary_goes_from_step_to_step_by_a_persons_word() {
    let mut world = canary(&["1%", "25%"], None);
    world.settle();
    assert_eq!((new_nodes(&world), permille(&world)), (1, Some(10)));
    assert!(world.reasons().iter().any(|r| r.contains("lace rollout promote")), "{:?}", world.reasons());
    world.family.promoted_step = Some((2, 1));
    world.settle();
    assert_eq!((new_nodes(&world), permille(&world)), (2, Some(250)));
    world.family.promoted = Some(2);
    world.settle();
    assert_eq!((new_nodes(&world), world.phase(), permille(&world)), (8, Phase::Done, None));
}

#[test]
fn a_canary_that_breaks_gets_nothing_any_more_and_goes_back() {
    let mut world = canary(&["25%"], Some(Span::secs(60)));
    until(&mut world, "two sing", |w| new_nodes(w) == 2 && w.ready() == 8);
    world.conduct.insert(2, Conduct::CrashesAtBoot);
    let of_new = world.running().iter().find(|node| node.revision == 2).unwrap().id;
    world.kill_node(of_new);
    until(&mut world, "led away", |w| permille(w) == Some(0));
    world.settle();
    assert!(matches!(world.phase(), Phase::Reverted { .. }), "{:?}", world.events);
    assert_eq!((new_nodes(&world), world.ready()), (0, 8));
}

#[test]
fn a_canary_that_answers_with_errors_goes_back() {
    for (new, old, reverts) in
        [((100, 30), (900, 1), true), ((100, 30), (900, 400), false), ((10, 9), (900, 0), false)]
    {
        let mut world = canary(&["25%"], None);
        world.family.rollout.max_errors = Some(Share::Percent(5));
        world.settle();
        assert_eq!(new_nodes(&world), 2);
        let answered = |(all, errors)| Answered { all, errors };
        world.answered = BTreeMap::from([(1, answered(old)), (2, answered(new))]);
        world.decide();
        world.settle();
        assert_eq!(
            matches!(world.phase(), Phase::Reverted { .. }),
            reverts,
            "{new:?} {old:?} {:?}",
            world.events
        );
    }
}
