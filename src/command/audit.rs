//! `lace audit`: who did what, and whether the record is whole.

use super::output::clock;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem};
use serde_json::Value;

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
    s.out.list(&rows, &["seq", "at", "actor", "action", "subject", "detail"], |row| {
        vec![
            text(&row["seq"]).into(),
            row["at"].as_u64().map_or_else(|| text(&row["at"]), clock).into(),
            text(&row["actor"]).into(),
            text(first_of(row, &["action", "verb", "kind"])).into(),
            text(&row["subject"]).into(),
            text(first_of(row, &["detail", "message"])).into(),
        ]
    });
    Ok(Exit::DONE)
}

async fn verify(s: &mut Session) -> Outcome {
    let report = s.client()?.audit_verify().await?;
    let broken = first_of(&report, &["broken_at", "broken", "first_bad"]);
    if broken.is_null() || *broken == false {
        let rows = text(first_of(&report, &["rows", "checked", "count"]));
        s.out.item(&report, |_| format!("the chain is whole: {rows} rows"));
        return Ok(Exit::DONE);
    }
    let message = format!("the chain of the audit log breaks at row {}", text(broken));
    Err(Problem::new(Code::Error, message)
        .hint("somebody changed the record: compare with a backup (lace server backup)"))
}

fn first_of<'a>(row: &'a Value, keys: &[&str]) -> &'a Value {
    keys.iter().map(|key| &row[*key]).find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
