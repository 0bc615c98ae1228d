//! One command in all nodes, beside pdsh with the same fan-out.

use crate::probe::{is_installed, run_time};
use crate::report::Report;
use crate::world::World;
use crate::{Bounds, Failure};
use std::process::Command;
use std::time::Duration;

/// Nodes at a time, for both.
const FAN_OUT: &str = "32";

/// `true` in the nodes that the single starts left.
pub async fn measure(world: &World, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let nodes = bounds.singles;
    let here = format!("pdsh -R exec on {nodes}: true, in no node");
    let inside = format!("pdsh -R exec on {nodes}: nsenter -t NODE true");
    if is_installed("pdsh") {
        let local = format!("n[1-{nodes}]");
        report.times(&here, &rounds(bounds, || pdsh(&local, &["true"]))?);
        let pids: Vec<String> = world.first_processes()?.iter().map(i32::to_string).collect();
        let enter = ["nsenter", "-t", "%h", "-m", "-u", "-i", "-n", "-p", "true"];
        report.times(&inside, &rounds(bounds, || pdsh(&pids.join(","), &enter))?);
    } else {
        report.note("pdsh is not installed: scripts/install.sh --for bench");
    }
    let words = ["exec", "bench/web", "--parallel", FAN_OUT, "--", "true"];
    let ours = rounds(bounds, || world.command(&words))?;
    report.times(format!("lace exec on {nodes}: true"), &ours).beside(&here);
    report.times(format!("lace exec on {nodes}: true, once more"), &ours).beside(&inside);
    Ok(())
}

fn rounds(bounds: &Bounds, command: impl Fn() -> Command) -> Result<Vec<Duration>, Failure> {
    (0..bounds.rounds).map(|_| run_time(&mut command())).collect()
}

fn pdsh(hosts: &str, words: &[&str]) -> Command {
    let mut command = Command::new("pdsh");
    command.args(["-R", "exec", "-f", FAN_OUT, "-w", hosts]).args(words);
    command
}
