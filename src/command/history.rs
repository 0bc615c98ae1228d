//! `lace history`: the revisions of a service.

use super::output::{Cell, ago};
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::TargetPath;
use lace_wire::api::HistoryLine;

/// `lace history`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace history shop/game")]
pub struct HistoryArgs {
    /// The service
    pub target: TargetPath,
}

/// Runs `lace history`.
pub async fn run(args: HistoryArgs, s: &mut Session) -> Outcome {
    let lines = s.client()?.history(&args.target).await?;
    let now = s.now();
    s.out.list(&lines, &["rev", "release", "state", "made", "by", "why"], |line| {
        vec![
            line.number.into(),
            line.release.as_str().into(),
            state(line),
            ago(now, line.created_at).into(),
            line.created_by.as_str().into(),
            note(line).into(),
        ]
    });
    Ok(Exit::DONE)
}

fn state(line: &HistoryLine) -> Cell {
    match (line.active, line.bad.is_some(), line.good) {
        (true, false, _) => Cell::good("active"),
        (true, true, _) => Cell::bad("active, bad"),
        (false, true, _) => Cell::bad("bad"),
        (false, false, true) => "good".into(),
        (false, false, false) => "".into(),
    }
}

fn note(line: &HistoryLine) -> String {
    match &line.bad {
        Some(cause) => format!("{}; {cause}", line.note),
        None => line.note.clone(),
    }
}
