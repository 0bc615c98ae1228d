//! `lace top`: what nodes use, and what they may.

use super::output::Cell;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{ByteSize, TargetPath};
use lace_wire::api::UsageView;
use lace_wire::flow::{FlowOf, FlowView};
use std::time::{Duration, Instant};

/// How often the picture is drawn anew.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Numbers older than this are marked.
const OLD_MS: u64 = 15_000;
/// From this share of a limit on (in hundredths) a number stands out.
const NEAR_LIMIT: u64 = 90;

/// `lace top`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace top shop/game --watch\n  lace top shop --doors")]
pub struct TopArgs {
    /// A target
    pub target: Option<TargetPath>,
    /// Go on, until interrupted or --timeout
    #[arg(short, long)]
    pub watch: bool,
    /// What doors carry instead: by route, family and node
    #[arg(long)]
    pub doors: bool,
}

/// Runs `lace top`.
pub async fn run(args: TopArgs, s: &mut Session) -> Outcome {
    let client = if args.watch { s.watching_client()? } else { s.client()? };
    let deadline = s.global.timeout.map(|t| Instant::now() + Duration::from_millis(t.ms()));
    loop {
        let target = args.target.as_ref();
        let clears = args.watch && s.world.out_terminal && s.out.for_people();
        if args.doors {
            let flows = client.flows(target).await?;
            if clears {
                s.out.clear();
            }
            show_flows(s, &flows);
        } else {
            let mut usage = client.usage(target).await?;
            usage.sort_by_key(|one| std::cmp::Reverse((one.cpu_millis, one.memory)));
            if clears {
                s.out.clear();
            }
            show(s, &usage);
        }
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

fn show_flows(s: &mut Session, flows: &[FlowView]) {
    let head = ["what", "name", "requests/s", "errors/s", "p50", "p99", "open", "waiting", "in/s", "out/s"];
    s.out.list(flows, &head, |one| {
        let kind = match one.kind {
            FlowOf::Route => "route",
            FlowOf::Family => "family",
            FlowOf::Node => "node",
        };
        let errors = format!("{:.1}", one.errors_per_second);
        vec![
            kind.into(),
            one.name.as_str().into(),
            format!("{:.1}", one.requests_per_second).into(),
            if one.errors_per_second > 0.0 { Cell::warning(errors) } else { errors.into() },
            within(one.p50_ms).into(),
            within(one.p99_ms).into(),
            one.open.into(),
            one.waiting.into(),
            ByteSize(one.received_per_second).human().into(),
            ByteSize(one.sent_per_second).human().into(),
        ]
    });
}

/// The bound that so many answers were within.
fn within(ms: Option<u64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms @ ..1_000) => format!("<={ms}ms"),
        Some(ms @ ..=10_000) => format!("<={}s", ms as f64 / 1_000.0),
        Some(_) => ">10s".into(),
    }
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
