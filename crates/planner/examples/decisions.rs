//! Decisions a second over 5,000 hosts: `cargo run --release -p lace-planner --example decisions`.
//!
//! A decision is one node placed. Goal (DESIGN §13): 10,000 a second on one core.
#![allow(clippy::print_stdout)]

#[path = "../tests/it/make.rs"]
mod make;

use lace_model::ByteSize;
use lace_model::family::Select;
use lace_planner::{FamilyInput, Gates, HostView, Used, plan};
use std::collections::BTreeMap;
use std::time::Duration;

const HOSTS: u32 = 5_000;
const ATTRIBUTES: u32 = 20;

fn hosts() -> Vec<HostView> {
    (0..HOSTS)
        .map(|n| {
            let mut view = make::host((n % 250) as u8);
            view.host.id = format!("{n:08x}-0000-8000-8000-000000000000").parse().unwrap();
            view.host.attributes =
                (0..ATTRIBUTES).map(|a| (format!("attribute{a}"), n.to_string())).collect();
            view.used = Used { memory: ByteSize::mib(u64::from(n * 37 % 700)), ..Used::default() };
            view
        })
        .collect()
}

/// Time on the processor, so that neighbours on a shared machine do not count.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux with scheduler statistics");
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

fn measure(hosts: &[HostView], nodes: u32, select: Select) {
    let revisions = BTreeMap::from([(1, make::revision(1))]);
    let gates = Gates::default();
    let observed = BTreeMap::new();
    let (mut decisions, mut families) = (0u64, 0u64);
    let begun = cpu_time();
    while cpu_time() - begun < Duration::from_secs(1) {
        let mut family = make::family(nodes);
        family.select = select;
        let input = FamilyInput {
            family: &family,
            current: None,
            observed: &observed,
            revisions: &revisions,
            hosts,
            offers: &[],
            gates: &gates,
            restarts: &BTreeMap::new(),
            upgrades: &BTreeMap::new(),
            answered: &Default::default(),
            epoch: 1,
            now: 1_000 + families,
            seed: make::SEED,
        };
        let target = plan(&input).target.expect("a first target");
        assert_eq!(target.nodes.len(), nodes as usize);
        decisions += u64::from(nodes);
        families += 1;
    }
    let seconds = (cpu_time() - begun).as_secs_f64();
    println!(
        "{select:?}, families of {nodes:>4}: {:>9.0} decisions/s, {:>7.0} families/s over {HOSTS} hosts",
        decisions as f64 / seconds,
        families as f64 / seconds
    );
}

fn main() {
    let hosts = hosts();
    for select in [Select::Spread, Select::Pack, Select::First, Select::Random] {
        for nodes in [1, 3, 100] {
            measure(&hosts, nodes, select);
        }
    }
    measure(&hosts, 1_000, Select::Spread);
}
