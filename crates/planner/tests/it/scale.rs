//! Scaling by load, minute by minute: what doors say goes in, the wanted count comes out.

use crate::make::family;
use lace_model::family::Family;
use lace_model::scale::{Load, ScalePolicy};
use lace_model::{Millis, Span};
use lace_planner::{ScaleInput, ScaleMemory, scale};

struct Sim {
    family: Family,
    memory: ScaleMemory,
    now: Millis,
    ready: Option<u32>,
    is_quiet: bool,
    said: Vec<String>,
}

impl Sim {
    fn new(count: u32, min: u32, max: u32, target: Option<&str>) -> Self {
        let target = target.map(|text| text.parse().unwrap());
        let policy = ScalePolicy { min, max, target, idle: Span::secs(60) };
        let family = Family { scale: Some(policy), ..family(count) };
        Self {
            family,
            memory: ScaleMemory::default(),
            now: 1_000_000,
            ready: None,
            is_quiet: true,
            said: Vec::new(),
        }
    }

    /// Seconds with this load; what `load` says may depend on the number of nodes.
    fn run(&mut self, seconds: u64, load: impl Fn(u32) -> Load) -> u32 {
        for _ in 0..seconds {
            self.now += 1_000;
            let count = self.family.count;
            let outcome = scale(&ScaleInput {
                family: &self.family,
                ready: self.ready.unwrap_or(count),
                is_quiet: self.is_quiet,
                load: load(count),
                memory: self.memory,
                now: self.now,
            });
            self.memory = outcome.memory;
            assert!(outcome.wake_at.is_none_or(|at| at > self.now));
            if let Some((count, why)) = outcome.count {
                assert!(count != self.family.count && !why.is_empty());
                self.said.push(why);
                self.family.count = count;
            }
        }
        self.family.count
    }
}

fn requests(per_second: u64) -> Load {
    Load { span_ms: 10_000, answers: per_second * 10, time_us: per_second * 10 * 5_000, open: 1, waiting: 0 }
}

fn slow(ms: u64) -> Load {
    Load { span_ms: 10_000, answers: 100, time_us: 100 * ms * 1_000, open: 1, waiting: 0 }
}

#[test]
fn without_rules_nothing_happens() {
    let mut sim = Sim::new(3, 1, 10, Some("requests_per_node < 10"));
    sim.family.scale = None;
    assert_eq!(sim.run(600, |_| requests(1_000)), 3);
}

#[test]
fn bounds_hold_at_once() {
    assert_eq!(Sim::new(1, 2, 10, None).run(1, |_| Load::default()), 2);
    assert_eq!(Sim::new(12, 2, 10, None).run(1, |_| Load::default()), 10);
}

#[test]
fn more_come_as_the_numbers_say_and_no_more_than_the_double() {
    let mut sim = Sim::new(2, 1, 10, Some("requests_per_node < 10"));
    assert_eq!(sim.run(9, |_| requests(35)), 2, "a moment is no trend");
    assert_eq!(sim.run(3, |_| requests(35)), 4);
    assert_eq!(sim.run(100, |_| requests(35)), 4, "8.75 for each is below 10");
    let mut sim = Sim::new(1, 1, 10, Some("requests_per_node < 10"));
    sim.run(12, |_| requests(90));
    assert_eq!(sim.family.count, 2, "the double at most: {:?}", sim.said);
    assert_eq!(sim.run(60, |_| requests(90)), 10, "{:?}", sim.said);
    assert_eq!(sim.run(60, |_| requests(900)), 10, "never more than allowed");
}

#[test]
fn fewer_stay_slowly_and_nothing_swings() {
    let mut sim = Sim::new(8, 2, 10, Some("requests_per_node < 10"));
    assert_eq!(sim.run(55, |_| requests(20)), 8);
    assert_eq!(sim.run(60, |_| requests(20)), 7);
    // With three nodes 6.7 for each: two would be at the bound.
    assert_eq!(sim.run(3_000, |_| requests(20)), 3);
    let changes = sim.said.len();
    sim.run(3_000, |_| requests(20));
    assert_eq!(sim.said.len(), changes, "the same load for an hour: {:?}", sim.said);
}

#[test]
fn a_response_time_is_held() {
    let mut sim = Sim::new(1, 1, 8, Some("response_time_ms < 300"));
    // As with a queue: half as long with twice the nodes.
    let load = |count: u32| slow(1_000 / u64::from(count));
    assert_eq!(sim.run(300, load), 4, "{:?}", sim.said);
    sim.run(600, load);
    assert_eq!(sim.family.count, 4, "{:?}", sim.said);
    assert!(sim.said[0].contains("response_time_ms is 1000.0, and shall be below 300"), "{:?}", sim.said);
    assert_eq!(sim.run(1_200, |_| slow(20)), 1);
}

#[test]
fn nothing_is_decided_while_nodes_are_on_their_way_or_nobody_knows() {
    let mut sim = Sim::new(2, 1, 10, Some("requests_per_node < 10"));
    sim.ready = Some(1);
    assert_eq!(sim.run(300, |_| requests(500)), 2);
    sim.ready = None;
    assert_eq!(sim.run(300, |_| Load::default()), 2);
    sim.is_quiet = false;
    assert_eq!(sim.run(300, |_| requests(1)), 2, "a rollout under way loses no nodes");
}

#[test]
fn a_family_sleeps_when_nobody_asks_and_the_first_request_wakes_it() {
    let mut sim = Sim::new(2, 0, 4, Some("requests_per_node < 10"));
    let nobody = Load { span_ms: 10_000, ..Load::default() };
    sim.run(30, |_| nobody);
    sim.run(1, |_| Load { open: 1, ..nobody });
    assert!(sim.run(55, |_| nobody) > 0, "a request in between begins the time anew");
    assert_eq!(sim.run(10, |_| nobody), 0);
    assert_eq!(sim.run(600, |_| nobody), 0);
    assert_eq!(sim.run(1, |_| Load { waiting: 3, ..nobody }), 1);
    assert_eq!(sim.said.last().unwrap(), "3 requests wait for the first node");
}

#[test]
fn unknown_numbers_let_nobody_sleep() {
    assert_eq!(Sim::new(1, 0, 4, None).run(3_600, |_| Load::default()), 1);
}
