//! `cargo xtask world`: runs seeds of the simulated world, each twice, and tells a failing one as short as it can be.
#![allow(clippy::print_stdout)]

use clap::Parser;
use lace_world::{Plan, run, shrink};
use std::process::ExitCode;
use std::time::Instant;

/// The simulated world
#[derive(Parser)]
struct Words {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the acts at these places, as a shrunk failure says
    #[arg(long, value_delimiter = ',')]
    keep: Option<Vec<usize>>,
    /// Show the whole end of the story
    #[arg(long)]
    tell: bool,
}

fn main() -> ExitCode {
    let words = Words::parse();
    let begun = Instant::now();
    let (mut steps, mut faults) = (0, 0);
    for seed in words.seed..words.seed.saturating_add(words.seeds) {
        let plan = Plan::of(seed);
        let plan = words.keep.as_ref().map_or(plan.clone(), |kept| plan.only(kept));
        let (first, second) = (run(&plan), run(&plan));
        if first.digest != second.digest {
            differ(seed, &first.story, &second.story);
            return ExitCode::FAILURE;
        }
        (steps, faults) = (steps + first.steps, faults + first.faults);
        if words.tell {
            first.story.iter().for_each(|line| println!("{line}"));
        }
        if let Some(broken) = first.broken {
            tell(&plan, words.keep.is_none(), &broken);
            return ExitCode::FAILURE;
        }
    }
    let took = begun.elapsed();
    let minutes = took.as_secs_f64() / 60.0;
    println!(
        "{} seeds, {steps} steps, {faults} faults in {took:.1?}: {:.0} seeds a minute, each run twice",
        words.seeds,
        words.seeds as f64 / minutes.max(1e-9)
    );
    ExitCode::SUCCESS
}

/// Where two stories of a seed part.
fn differ(seed: u64, one: &[String], other: &[String]) {
    println!("seed {seed} is told in two ways: something is left to chance that is not the seed's");
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    one[same.saturating_sub(8)..same].iter().for_each(|line| println!("    {line}"));
    one[same..].iter().take(6).for_each(|line| println!("  1 {line}"));
    other[same..].iter().take(6).for_each(|line| println!("  2 {line}"));
}

fn tell(plan: &Plan, shrinks: bool, broken: &str) {
    println!("seed {}: {broken}", plan.seed);
    if !shrinks {
        return;
    }
    let kept = shrink(plan);
    let few = plan.only(&kept);
    let outcome = run(&few);
    few.acts.iter().for_each(|(at, act)| println!("  {at:>7} ms {act:?}"));
    println!("of {} acts these are enough: {}", plan.acts.len(), outcome.broken.unwrap_or_default());
    let list: Vec<_> = kept.iter().map(ToString::to_string).collect();
    println!("again: cargo xtask world --seeds 1 --seed {} --keep {} --tell", plan.seed, list.join(","));
}
