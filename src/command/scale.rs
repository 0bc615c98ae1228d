//! `lace scale`: more or fewer nodes.

use super::{Outcome, Session, watch};
use clap::Args;
use lace_model::TargetPath;
use lace_wire::api::VerbRequest;

/// `lace scale`.
#[derive(Args, Debug)]
#[command(after_help = "\
With --save the applied manifest counts as changed, too: no drift is shown.

Example:
  lace scale shop/game +2")]
pub struct ScaleArgs {
    /// The family; the service where it has one
    pub target: TargetPath,
    /// How many, how many more, or how many fewer
    #[arg(value_name = "N|+N|-N", allow_negative_numbers = true, value_parser = count)]
    pub count: String,
    /// Make it the applied count, too
    #[arg(long)]
    pub save: bool,
}

fn count(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let good = digits.parse::<u32>().is_ok() && digits.starts_with(|c: char| c.is_ascii_digit());
    if good { Ok(text.to_owned()) } else { Err(format!("{text:?} is not N, +N or -N")) }
}

/// Runs `lace scale`.
pub async fn run(args: ScaleArgs, s: &mut Session) -> Outcome {
    let request = VerbRequest::Scale { target: args.target, count: args.count, save: args.save };
    let accepted = s.client()?.verb(&request).await?;
    watch::accepted(s, accepted).await
}
