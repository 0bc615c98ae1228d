//! `lace top`: what nodes use, and what they may.

use super::output::Cell;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{ByteSize, TargetPath};
use lace_wire::api::UsageView;
use std::time::{Duration, Instant};

/// How often the picture is drawn anew.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Numbers older than this are marked.
const OLD_MS: u64 = 15_000;
/// From this share of a limit on (in hundredths) a number stands out.
const NEAR_LIMIT: u64 = 90;

/// `lace top`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace top shop/game --watch")]
pub struct TopArgs {
    /// A target
    pub target: Option<TargetPath>,
    /// Go on, until interrupted or --timeout
    #[arg(short, long)]
    pub watch: bool,
}

/// Runs `lace top`.
pub async fn run(args: TopArgs, s: &mut Session) -> Outcome {
    let client = if args.watch { s.watching_client()? } else { s.client()? };
    let deadline = s.global.timeout.map(|t| Instant::now() + Duration::from_millis(t.ms()));
    loop {
        let mut usage = client.usage(args.target.as_ref()).await?;
        usage.sort_by_key(|one| std::cmp::Reverse((one.cpu_millis, one.memory)));
        if args.watch && s.world.out_terminal && s.out.for_people() {
            s.out.clear();
        }
        show(s, &usage);
        if !args.watch || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Exit::DONE);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::DONE),
        }
    }
}

fn show(s: &mut Session, usage: &[UsageView]) {
    let head = ["node", "host", "cpu", "of", "memory", "of", "processes", "restarts"];
    s.out.list(usage, &head, |one| {
        let limits = &one.limits;
        vec![
            one.path.short().into(),
            one.host.as_str().into(),
            aged(one, cpus(one.cpu_millis)),
            limits.cpu.into(),
            near(ByteSize(one.memory).human(), one.memory, limits.memory.0),
            limits.memory.into(),
            near(one.pids.to_string(), one.pids.into(), limits.pids.into()),
            one.restarts.into(),
        ]
    });
}

fn cpus(millis: u32) -> String {
    format!("{:.2}", f64::from(millis) / 1000.0)
}

fn aged(one: &UsageView, text: String) -> Cell {
    if one.age_ms < OLD_MS {
        return text.into();
    }
    Cell::faint(format!("{text} ({}s old)", one.age_ms / 1000))
}

fn near(text: String, used: u64, limit: u64) -> Cell {
    if limit > 0 && used.saturating_mul(100) / limit >= NEAR_LIMIT {
        return Cell::warning(format!("{text} !"));
    }
    text.into()
}
