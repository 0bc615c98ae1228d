//! Whatever people and machines do to the world: once they leave it alone, it becomes as wanted, or says why not.

use crate::world::{Conduct, World};
use lace_model::Span;
use lace_model::family::Select;
use lace_model::reason::Reason;
use lace_model::rollout::{Phase, Share, Strategy};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Deed {
    Scale(u32),
    RollOut(Conduct),
    Kill(usize),
    Lose(usize),
    HostDown(usize),
    HostUp(usize),
    Drain(usize, bool),
    Pause(bool),
    Run(bool),
    Restart,
    Replace(usize),
    Abort,
    Promote,
    TryAgain,
    Back,
}

fn deed() -> impl Strategy2<Value = Deed> {
    prop_oneof![
        3 => (0u32..7).prop_map(Deed::Scale),
        4 => prop_oneof![
            3 => Just(Conduct::Good), 2 => Just(Conduct::CrashesAtBoot), 1 => Just(Conduct::NeverReady)
        ].prop_map(Deed::RollOut),
        2 => any::<usize>().prop_map(Deed::Kill),
        1 => any::<usize>().prop_map(Deed::Lose),
        2 => any::<usize>().prop_map(Deed::HostDown),
        2 => any::<usize>().prop_map(Deed::HostUp),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, on)| Deed::Drain(at, on)),
        1 => any::<bool>().prop_map(Deed::Pause),
        1 => any::<bool>().prop_map(Deed::Run),
        1 => Just(Deed::Restart),
        1 => any::<usize>().prop_map(Deed::Replace),
        1 => Just(Deed::Abort),
        1 => Just(Deed::Promote),
        1 => Just(Deed::TryAgain),
        1 => Just(Deed::Back),
    ]
}

use proptest::strategy::Strategy as Strategy2;

fn act(world: &mut World, deed: &Deed) {
    match deed {
        Deed::Scale(count) => world.family.count = *count,
        Deed::RollOut(conduct) => drop(world.roll_out(*conduct)),
        Deed::Kill(which) => world.kill(*which),
        Deed::Lose(which) => world.lose(*which),
        Deed::HostDown(at) => world.set_host(*at, false),
        Deed::HostUp(at) => world.set_host(*at, true),
        Deed::Drain(at, on) => {
            let at = at % world.hosts.len();
            world.hosts[at].host.draining = *on;
        }
        Deed::Pause(on) => world.family.paused = *on,
        Deed::Run(on) => world.family.running = *on,
        Deed::Restart => world.family.restart += 1,
        Deed::Replace(which) => {
            let nodes = world.running();
            if let Some(node) = nodes.get(which % nodes.len().max(1)) {
                world.family.replace.insert(node.index, node.id);
            }
        }
        Deed::Abort => world.family.aborted = Some(world.family.revision),
        Deed::Promote => world.family.promoted = Some(world.family.revision),
        Deed::TryAgain => {
            world.family.aborted = None;
            let wanted = world.family.revision;
            world.revisions.get_mut(&wanted).unwrap().bad = None;
        }
        Deed::Back => {
            let good = world.target.as_ref().and_then(|t| t.good);
            world.family.revision = good.unwrap_or(world.family.revision);
        }
    }
}

fn leave_alone(world: &mut World) {
    for at in 0..world.hosts.len() {
        world.set_host(at, true);
        world.hosts[at].host.draining = false;
    }
    world.family.paused = false;
    world.family.running = true;
    world.family.promoted = Some(world.family.revision);
    world.settle();
}

fn is_as_wanted(world: &World) {
    let target = world.target.as_ref().unwrap();
    let count = world.family.count as usize;
    let rollout = target.rollout.as_ref().unwrap();
    let explain = || format!("{target:#?}\n{:#?}", world.events);
    let all_at = |revision: u64| world.revisions_running().iter().all(|r| *r == revision);
    assert!(target.nodes.iter().all(|n| n.want == lace_model::target::Want::Run), "{}", explain());
    assert_eq!(rollout.to, world.family.revision, "{}", explain());
    match &rollout.phase {
        Phase::Done => assert!(world.ready() == count && all_at(rollout.to), "{}", explain()),
        Phase::Reverted { .. } => {
            assert!(world.ready() == count && all_at(rollout.from.unwrap()), "{}", explain());
        }
        Phase::Failed { .. } => assert!(!target.reasons.is_empty(), "{}", explain()),
        // The second colour waits for room beside the first, which goes on serving; it says which host has none.
        Phase::Rolling if world.family.rollout.strategy == Strategy::BlueGreen && count > 0 => {
            let no_room = |reason: &Reason| matches!(reason, Reason::HostRejected { .. });
            assert!(target.reasons.iter().any(no_room), "{}", explain());
            assert!(world.ready() > 0, "{}", explain());
        }
        Phase::Rolling => assert_eq!(count, 0, "{}", explain()),
        _ => panic!("not over: {}", explain()),
    }
    if world.conduct[&rollout.to] != Conduct::Good && count > 0 {
        assert_ne!(rollout.phase, Phase::Done, "{}", explain());
        let knew_better = rollout.from.is_some()
            && !matches!(&rollout.phase, Phase::Failed { cause } if cause.starts_with("going back"));
        assert!(!knew_better || matches!(rollout.phase, Phase::Reverted { .. }), "{}", explain());
    }
}

/// `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn becomes_as_wanted_or_says_why_not(
        seed in any::<u64>(),
        hosts in 1u8..6,
        strategy in prop_oneof![
            4 => Just(Strategy::Rolling), 1 => Just(Strategy::Canary),
            1 => Just(Strategy::AllAtOnce), 3 => Just(Strategy::BlueGreen)
        ],
        steps in prop_oneof![
            Just(vec![]), Just(vec![Share::Percent(5), Share::Percent(50)]), Just(vec![Share::Count(1), Share::Count(2)])
        ],
        pause in prop_oneof![Just(None), Just(Some(Span::secs(3)))],
        select in prop_oneof![
            Just(Select::Spread), Just(Select::Pack), Just(Select::First), Just(Select::Random), Just(Select::RoundRobin)
        ],
        max_unavailable in 1u32..3,
        deeds in prop::collection::vec((0u64..8_000, deed()), 0..14),
    ) {
        let mut world = World::new(3, hosts, seed);
        world.family.rollout.strategy = strategy;
        world.family.rollout.steps = steps;
        world.family.rollout.pause = pause;
        world.family.rollout.max_unavailable = lace_model::rollout::Share::Count(max_unavailable);
        world.family.rollout.deadline = lace_model::Span::secs(20);
        world.family.select = select;
        for (wait, deed) in &deeds {
            world.run_for(*wait);
            act(&mut world, deed);
        }
        leave_alone(&mut world);
        is_as_wanted(&world);
    }
}
