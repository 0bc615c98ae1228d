//! `lace audit`: who did what, and whether the record is whole.

use super::output::clock;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem};

/// `lace audit`.
#[derive(Args, Debug)]
#[command(after_help = "\
Each row carries the digest of the one before it: --verify walks the chain and names the first row
that does not fit.

Example:
  lace audit --verify")]
pub struct AuditArgs {
    /// Walk the chain instead of listing
    #[arg(long)]
    pub verify: bool,
    /// Rows after this number
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// Runs `lace audit`.
pub async fn run(args: AuditArgs, s: &mut Session) -> Outcome {
    if args.verify {
        return verify(s).await;
    }
    let rows = s.client()?.audit(args.after, args.limit).await?;
    s.out.list(&rows, &["seq", "at", "actor", "action", "subject", "outcome"], |row| {
        vec![
            row.seq.into(),
            clock(row.at).into(),
            row.actor.as_deref().unwrap_or("lace").into(),
            row.action.as_str().into(),
            row.subject.as_str().into(),
            row.outcome.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}

async fn verify(s: &mut Session) -> Outcome {
    let verdict = s.client()?.audit_verify().await?;
    if verdict.whole {
        s.out.item(&verdict, |verdict| format!("the chain is whole: {} rows", verdict.rows));
        return Ok(Exit::DONE);
    }
    let broken = verdict.broken.unwrap_or_else(|| format!("after row {}", verdict.rows));
    Err(Problem::new(Code::Error, format!("the chain of the audit log is broken: {broken}"))
        .hint("somebody changed the record: compare with a backup (lace server backup)"))
}
