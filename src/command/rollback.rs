//! `lace rollback`: back to a revision.

use super::{Outcome, Session, confirm, watch};
use clap::Args;
use lace_model::TargetPath;
use lace_wire::api::VerbRequest;

/// `lace rollback`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without --to: to the last revision that was healthy as a whole.

Example:
  lace rollback shop/game --to 3
  lace rollback shop/game --hot      in the running Erlang nodes, as `lace release activate --hot` upgraded them")]
pub struct RollbackArgs {
    /// The service
    pub target: TargetPath,
    /// Which revision; see lace history
    #[arg(long, value_name = "REVISION")]
    pub to: Option<u64>,
    /// Change the running Erlang nodes over, one after the other, without a restart
    #[arg(long)]
    pub hot: bool,
}

/// Runs `lace rollback`.
pub async fn run(args: RollbackArgs, s: &mut Session) -> Outcome {
    confirm::destructive(s, &format!("this rolls {} back", args.target))?;
    let request = VerbRequest::Rollback { target: args.target, to: args.to, hot: args.hot };
    let accepted = s.client()?.verb(&request).await?;
    watch::accepted(s, accepted).await
}
