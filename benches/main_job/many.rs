//! A family as a whole: time until all run, memory of each node, and what the size costs elsewhere.

use crate::cost::{self, Cost};
use crate::probe::{is_installed, pss_mib, run_time};
use crate::report::{MIB, Report};
use crate::world::{World, sleepers};
use crate::{Bounds, Failure, idle, peer};
use std::time::Instant;

/// From this size on, `status` is measured too.
const LARGE: u32 = 1000;

/// Applies a family of so many nodes, looks at it, deletes it.
pub async fn measure(world: &World, nodes: u32, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    if is_installed("unshare") {
        report.times(peer::many_line(nodes), &[peer::many(nodes)?]);
    }
    let mut follower = world.follow(Some("many")).await?;
    let cost = Cost::now(world)?;
    let begun = Instant::now();
    let accepted = world.client.apply(&sleepers("many", nodes, nodes)?).await?;
    let heard = follower.hears("node.running", nodes as usize).await;
    let took = begun.elapsed();
    if let Err(error) = heard {
        world.delete("many").await?;
        return Err(error);
    }
    let row = report.times(format!("{nodes} nodes: apply to all running"), &[took]);
    row.aim(if nodes >= LARGE { 15_000.0 } else { 1_000.0 }).beside(&peer::many_line(nodes));
    cost.report(world, &format!("{nodes} nodes: apply"), report)?;
    world.done(accepted).await?;
    first_processes(world, nodes, report)?;
    status(world, nodes, bounds, report).await?;
    idle::memory(world, nodes as usize, report).await?;
    if nodes >= LARGE {
        cost::idle(world, nodes, report).await?;
        idle::agent_again(world, nodes, report).await?;
    }
    let begun = Instant::now();
    world.delete("many").await?;
    report.times(format!("{nodes} nodes: delete to all gone"), &[begun.elapsed()]);
    Ok(())
}

fn first_processes(world: &World, nodes: u32, report: &mut Report) -> Result<(), Failure> {
    let sizes: Vec<f64> = world.first_processes()?.into_iter().filter_map(pss_mib).collect();
    if sizes.len() != nodes as usize {
        report.note(format!("{} of {nodes} PID 1s were found", sizes.len()));
    }
    report.values(format!("{nodes} nodes: PSS of each node's pid1"), MIB, sizes).aim(1.5);
    Ok(())
}

async fn status(world: &World, nodes: u32, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let (mut answers, mut commands) = (Vec::new(), Vec::new());
    for _ in 0..bounds.rounds {
        let begun = Instant::now();
        world.client.status(None).await?;
        answers.push(begun.elapsed());
        commands.push(run_time(&mut world.command(&["status"]))?);
    }
    report.times(format!("{nodes} nodes: GET /v1/status, read and decoded"), &answers).aim(100.0);
    report.times(format!("{nodes} nodes: lace status, the whole command"), &commands).aim(100.0);
    Ok(())
}
