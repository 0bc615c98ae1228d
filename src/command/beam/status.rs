//! `lace beam status`: the mesh as it is, beside the mesh as planned.

use super::super::output::Cell;
use super::super::{Exit, Outcome, Session};
use super::mesh;
use clap::Args;
use lace_model::{ByteSize, TargetPath};
use lace_wire::api::BeamNode;

/// `lace beam status`.
#[derive(Args, Debug)]
#[command(after_help = "\
`sees` counts the planned members that a node is connected to. What deviates is told below the table.

Example:
  lace beam status shop/game
  lace beam status shop/game --format json")]
pub struct StatusArgs {
    /// A target
    pub target: TargetPath,
}

/// Runs `lace beam status`.
pub async fn run(args: StatusArgs, s: &mut Session) -> Outcome {
    let nodes = s.client()?.beam(&args.target).await?;
    let head = ["node", "name", "state", "OTP", "sees", "runs", "memory", "processes"];
    s.out.list(&nodes, &head, row);
    if s.out.for_people() {
        mesh::lines(&nodes).into_iter().for_each(|line| s.out.line(line));
        nodes.iter().flat_map(deviations).for_each(|line| s.out.line(line));
    }
    Ok(Exit::DONE)
}

fn row(node: &BeamNode) -> Vec<Cell> {
    let report = &node.report;
    let sample = report.sample.as_ref();
    let seen = report.planned.len() - report.missing().count();
    let state = if report.trouble.is_some() { "away" } else { report.state.as_str() };
    let runs = match &report.failover {
        Some(name) if report.runs_failover() => name.clone(),
        Some(_) => "-".to_owned(),
        None => format!("{} applications", report.applications.len()),
    };
    vec![
        node.path.short().into(),
        report.name.as_str().into(),
        if state == "started" { state.into() } else { Cell::warning(state.to_owned()) },
        report.otp.as_str().into(),
        format!("{seen} of {}", report.planned.len()).into(),
        runs.into(),
        sample.map_or_else(String::new, |s| ByteSize(s.memory.total).human()).into(),
        sample.map_or_else(String::new, |s| s.processes.count.to_string()).into(),
    ]
}

/// What is not as planned, a line each.
fn deviations(node: &BeamNode) -> Vec<String> {
    let (path, report) = (node.path.short(), &node.report);
    let alarms = report.alarms.iter().map(ToString::to_string);
    report.deviations().into_iter().chain(alarms).map(|what| format!("{path}: {what}")).collect()
}
