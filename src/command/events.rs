//! `lace events`: what happened, and what happens.

use super::output::clock;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::Problem;
use lace_model::event::Event;
use std::time::Duration;

/// Last events that are shown where nothing else is said.
const LIMIT_DEFAULT: u32 = 100;

/// `lace events`.
#[derive(Args, Debug)]
#[command(after_help = "\
Every event has a number; --since N gives those after it. With -f the feed goes on over a restart of
the controller, without gaps.

Example:
  lace events -f --subject shop")]
pub struct EventsArgs {
    /// Go on with new ones
    #[arg(short, long)]
    pub follow: bool,
    /// Those after this number
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// Those about this and what lies under it
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// Runs `lace events`.
pub async fn run(args: EventsArgs, s: &mut Session) -> Outcome {
    if args.follow {
        return follow(args, s).await;
    }
    let limit = args.limit.or(args.since.is_none().then_some(LIMIT_DEFAULT));
    let events = s.client()?.events(args.since, args.subject.as_deref(), limit).await?;
    if s.out.for_people() {
        events.iter().for_each(|event| s.out.line(line(event)));
    } else {
        s.out.list(&events, &[], |_| Vec::new());
    }
    Ok(Exit::DONE)
}

async fn follow(args: EventsArgs, s: &mut Session) -> Outcome {
    let mut feed = s.client()?.follow_events(args.since, args.subject.as_deref());
    let end = s.global.timeout.map_or(Duration::MAX, |t| Duration::from_millis(t.ms()));
    let limit = args.limit.unwrap_or(u32::MAX);
    let watched = async {
        for _ in 0..limit {
            let event = feed.next().await?;
            s.out.each(&event, line);
        }
        Ok::<(), Problem>(())
    };
    tokio::select! {
        ended = watched => ended?,
        () = tokio::time::sleep(end) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::DONE)
}

fn line(event: &Event) -> String {
    let actor = event.actor.as_ref().map(|actor| format!(" ({actor})")).unwrap_or_default();
    format!(
        "{:>6} {} {:16} {}: {}{actor}",
        event.seq,
        clock(event.at),
        event.kind,
        event.subject,
        event.message
    )
}
