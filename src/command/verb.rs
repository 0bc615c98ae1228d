//! `lace start`, `stop`, `restart`, `delete`, `replace`: the verbs that need nothing but a target.

use super::{Outcome, Session, confirm, watch};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::VerbRequest;

/// `lace start`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace start shop/game")]
pub struct TargetArgs {
    /// APP, APP/SERVICE or APP/SERVICE/FAMILY
    pub target: TargetPath,
}

/// `lace stop`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace stop shop/game")]
pub struct StopArgs {
    /// APP, APP/SERVICE or APP/SERVICE/FAMILY
    pub target: TargetPath,
}

/// `lace restart`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace restart shop/game")]
pub struct RestartArgs {
    /// Its processes are restarted in place, those of a family one after the other; a node restarts alone
    pub target: TargetPath,
}

/// `lace replace`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace replace shop/game/2")]
pub struct ReplaceArgs {
    /// The node
    pub node: TargetPath,
}

/// `lace delete`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace delete shop/game")]
pub struct DeleteArgs {
    /// APP, APP/SERVICE or APP/SERVICE/FAMILY
    pub target: TargetPath,
    /// End even where hosts do not answer; names what was abandoned
    #[arg(long)]
    pub force: bool,
    /// Volumes, too
    #[arg(long)]
    pub delete_data: bool,
}

async fn submit(s: &mut Session, request: VerbRequest) -> Outcome {
    let accepted = s.client()?.verb(&request).await?;
    watch::accepted(s, accepted).await
}

/// Runs `lace start`.
pub async fn start(args: TargetArgs, s: &mut Session) -> Outcome {
    submit(s, VerbRequest::Start { target: args.target }).await
}

/// Runs `lace stop`.
pub async fn stop(args: StopArgs, s: &mut Session) -> Outcome {
    confirm::destructive(s, &format!("this stops {}", args.target))?;
    submit(s, VerbRequest::Stop { target: args.target }).await
}

/// Runs `lace restart`.
pub async fn restart(args: RestartArgs, s: &mut Session) -> Outcome {
    submit(s, VerbRequest::Restart { target: args.target }).await
}

/// Runs `lace replace`.
pub async fn replace(args: ReplaceArgs, s: &mut Session) -> Outcome {
    let target = a_node(args.node)?;
    confirm::destructive(s, &format!("this replaces {target}"))?;
    submit(s, VerbRequest::Replace { target }).await
}

/// Runs `lace delete`.
pub async fn delete(args: DeleteArgs, s: &mut Session) -> Outcome {
    let DeleteArgs { target, force, delete_data } = args;
    let data = if delete_data { " and its data" } else { "" };
    confirm::destructive(s, &format!("this deletes {target}{data}"))?;
    submit(s, VerbRequest::Delete { target, force, delete_data }).await
}

/// A target that names one node.
pub fn a_node(target: TargetPath) -> Result<TargetPath, Problem> {
    if target.index.is_some() {
        return Ok(target);
    }
    Err(Problem::new(Code::Usage, format!("{target} is not a node"))
        .hint(format!("write {target}/N; lace node list {target} names them")))
}
