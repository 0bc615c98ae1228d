//! `lace why`: the reasons, the most important first.

use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::TargetPath;

/// `lace why`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace why shop/game/2")]
pub struct WhyArgs {
    /// A target or a node
    pub target: TargetPath,
}

/// Runs `lace why`.
pub async fn run(args: WhyArgs, s: &mut Session) -> Outcome {
    let explanation = s.client()?.why(&args.target).await?;
    s.out.item(&explanation, |e| {
        if e.lines.is_empty() {
            return format!("{}: all is as wanted", e.target);
        }
        let lines: String = e.lines.iter().map(|line| format!("  {line}\n")).collect();
        format!("{}\n{lines}", e.target)
    });
    Ok(Exit::DONE)
}
