//! `lace rollout`: show and steer the way from one revision to the next.

use super::output::between;
use super::{Exit, Outcome, Session, status, watch};
use clap::{Args, Subcommand};
use lace_model::rollout::{Phase, Rollout, Split};
use lace_model::{Millis, TargetPath};
use lace_wire::api::{RolloutStep, VerbRequest};

/// `lace rollout`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace rollout pause shop/game")]
pub struct RolloutArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: RolloutVerb,
}

/// The verbs of `lace rollout`.
#[derive(Subcommand, Debug)]
pub enum RolloutVerb {
    /// Show where it stands
    #[command(after_help = "Example:\n  lace rollout show shop/game")]
    Show(FamilyArg),
    /// Let no further node change over
    #[command(after_help = "Example:\n  lace rollout pause shop/game")]
    Pause(FamilyArg),
    /// Go on
    #[command(after_help = "Example:\n  lace rollout resume shop/game")]
    Resume(FamilyArg),
    /// Say that the new revision is good: a canary rolls on, the old set of a blue-green rollout ends
    #[command(after_help = "Example:\n  lace rollout promote shop/game")]
    Promote(PromoteArgs),
    /// Go back
    #[command(after_help = "Example:\n  lace rollout abort shop/game")]
    Abort(FamilyArg),
}

/// Which family.
#[derive(Args, Debug)]
pub struct FamilyArg {
    /// The family; the service where it has one
    pub target: TargetPath,
}

/// Which family, and how far.
#[derive(Args, Debug)]
pub struct PromoteArgs {
    /// The family; the service where it has one
    pub target: TargetPath,
    /// Only to the next step of the canary
    #[arg(long)]
    pub step: bool,
}

/// Runs `lace rollout`.
pub async fn run(args: RolloutArgs, s: &mut Session) -> Outcome {
    let (target, step) = match args.verb {
        RolloutVerb::Show(arg) => return show(arg.target, s).await,
        RolloutVerb::Pause(arg) => (arg.target, RolloutStep::Pause),
        RolloutVerb::Resume(arg) => (arg.target, RolloutStep::Resume),
        RolloutVerb::Promote(arg) if arg.step => (arg.target, RolloutStep::PromoteStep),
        RolloutVerb::Promote(arg) => (arg.target, RolloutStep::Promote),
        RolloutVerb::Abort(arg) => (arg.target, RolloutStep::Abort),
    };
    let request = VerbRequest::Rollout { target, step };
    let accepted = s.client()?.verb(&request).await?;
    watch::accepted(s, accepted).await
}

async fn show(target: TargetPath, s: &mut Session) -> Outcome {
    let answer = s.client()?.status(Some(&target)).await?;
    let path = status::one_family(&answer, &target)?;
    let now = answer.now;
    let families = answer.apps.into_iter().flat_map(|a| a.families);
    let rollout = families.into_iter().find(|f| f.path == path).and_then(|f| f.rollout);
    s.out.item(&rollout, |rollout| match rollout {
        Some(rollout) => picture(rollout, now),
        None => format!("{path}: no rollout so far"),
    });
    Ok(Exit::DONE)
}

fn picture(rollout: &Rollout, now: Millis) -> String {
    let from = rollout.from.map_or_else(|| "nothing".into(), |n| format!("revision {n}"));
    let phase = match &rollout.phase {
        Phase::Rolling => "nodes are changing over".into(),
        Phase::Watching { since } => format!("all ready, watched for {}", between(*since, now)),
        Phase::Done => "done".into(),
        Phase::Reverting { cause } => format!("failed, going back: {cause}"),
        Phase::Reverted { cause } => format!("failed and reverted: {cause}"),
        Phase::Failed { cause } => format!("failed and not reverted: {cause}"),
        Phase::Aborted => "aborted, going back".into(),
    };
    let mut text = format!(
        "from {from} to revision {}: {phase}\nbegan {} ago, last moved {} ago\n",
        rollout.to,
        between(rollout.started_at, now),
        between(rollout.moved_at, now)
    );
    if let Some(split) = rollout.split.as_ref().filter(|_| !rollout.is_over()) {
        text.push_str(&shares(rollout, split));
    }
    for line in &rollout.last_lines {
        text.push_str("  | ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Who gets what meanwhile.
fn shares(rollout: &Rollout, split: &Split) -> String {
    let to = rollout.to;
    let requests = match rollout.permille() {
        Some(permille) => {
            format!("{}.{} % of the requests go to revision {to}", permille / 10, permille % 10)
        }
        None => format!("the nodes of revision {to} get their part of the requests"),
    };
    match split.base {
        Some(base) => {
            format!("its nodes stand beside the old ones, from index {} on; {requests}\n", base + 1)
        }
        None => format!("step {}; {requests}\n", split.step + 1),
    }
}
