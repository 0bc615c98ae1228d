//! A revision whose process ends at once: from the controller's answer until it is known as bad, and until the former
//! one is back.

use crate::report::Report;
use crate::world::{World, sleepers};
use crate::{Bounds, Failure};
use std::time::Instant;

/// Nodes of the family.
const NODES: u32 = 3;
/// Known as bad by then.
const KNOWN_MS: f64 = 2_000.0;

/// Rolls a crashing revision out, again and again.
pub async fn measure(world: &World, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let good = world.client.apply(&sleepers("crash", NODES, NODES)?).await?;
    world.done(good).await?;
    let (mut known, mut back) = (Vec::new(), Vec::new());
    for round in 0..bounds.long_rounds {
        let mut request = sleepers("crash", NODES, NODES)?;
        let services = request.spec.services.values_mut();
        services.for_each(|s| {
            s.start = Some(["sh", "-c", &format!("exit {}", round + 1)].map(str::to_owned).to_vec())
        });
        let mut follower = world.follow(Some("crash")).await?;
        world.client.apply(&request).await?;
        let begun = Instant::now();
        follower.hears("rollout.failed", 1).await?;
        known.push(begun.elapsed());
        follower.hears("rollout.reverted", 1).await?;
        back.push(begun.elapsed());
    }
    report.times("a crashing revision: accepted to known as bad", &known).aim(KNOWN_MS);
    report.times("a crashing revision: accepted to the former one back", &back);
    world.delete("crash").await
}
