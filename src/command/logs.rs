//! `lace logs`: what processes wrote, of one node or of many.

use super::exec::{nodes_of, open_all};
use super::output::{clock, instant};
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{NodeView, StreamAction, StreamOpen};
use lace_wire::stream::{LogLine, StreamFrame};
use regex::Regex;
use serde::Serialize;

/// Most nodes whose logs are read together.
const NODES_MAX: usize = 64;
/// Last lines of each node, where nothing else is said.
const TAIL_DEFAULT: u32 = 200;

/// `lace logs`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without --since or --tail: the last 200 lines of each node.

Example:
  lace logs shop/game --since 1h --grep 'error|warning'")]
pub struct LogsArgs {
    /// A target, or one node
    pub target: TargetPath,
    /// Which lines.
    #[command(flatten)]
    pub which: Which,
    /// What the process wrote before it was last started
    #[arg(long, conflicts_with = "follow")]
    pub previous: bool,
}

/// Which lines of a log.
#[derive(Args, Debug, Clone, Default)]
pub struct Which {
    /// Go on with new lines
    #[arg(short, long)]
    pub follow: bool,
    /// From: how long ago, or a moment
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Until: how long ago, or a moment
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Lines that match this pattern
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<Regex>,
    /// So many of the last lines
    #[arg(long, short = 'n', value_name = "N")]
    pub tail: Option<u32>,
    /// Moments before the lines
    #[arg(short, long)]
    pub time: bool,
}

/// One line with its node, as JSON has it.
#[derive(Clone, Debug, Serialize)]
struct Line {
    node: String,
    #[serde(flatten)]
    line: LogLine,
}

/// Runs `lace logs`.
pub async fn run(args: LogsArgs, s: &mut Session) -> Outcome {
    let (_, nodes) = nodes_of(&s.client()?, &args.target, false).await?;
    if nodes.len() > NODES_MAX {
        return Err(Problem::new(
            Code::Usage,
            format!("{} has {} nodes; at most {NODES_MAX} logs are read together", args.target, nodes.len()),
        )
        .hint("name a family or a node"));
    }
    let mut opens = Vec::new();
    for node in &nodes {
        let mut action = args.which.action(s)?;
        if args.previous {
            before_last_start(&mut action, node);
        }
        opens.push(StreamOpen { target: node.status.path.to_string(), action });
    }
    let names = nodes.iter().map(|node| node.status.path.short()).collect();
    show(s, opens, names, &args.which).await
}

fn before_last_start(action: &mut StreamAction, node: &NodeView) {
    if let StreamAction::Logs { until, .. } = action {
        let started = node.status.started_at.unwrap_or(u64::MAX);
        *until = Some(until.unwrap_or(u64::MAX).min(started.saturating_sub(1)));
    }
}

impl Which {
    /// What is asked of each node.
    pub fn action(&self, s: &Session) -> Result<StreamAction, Problem> {
        let moment = |text: &Option<String>| text.as_ref().map(|text| instant(text, s.now())).transpose();
        let (since, until) = (moment(&self.since)?, moment(&self.until)?);
        let bounded = since.is_some() || until.is_some() || self.grep.is_some();
        let tail = self.tail.or((!bounded).then_some(TAIL_DEFAULT));
        Ok(StreamAction::Logs { since, until, tail, follow: self.follow })
    }
}

/// Prints the logs of some streams, in the order of time where all of them end.
pub async fn show(s: &mut Session, opens: Vec<StreamOpen>, names: Vec<String>, which: &Which) -> Outcome {
    let count = opens.len();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut streams = open_all(&s.client()?, opens, NODES_MAX, None);
    let mut held: Vec<Line> = Vec::new();
    let mut problems: Vec<(String, Problem)> = Vec::new();
    loop {
        let frame = tokio::select! {
            frame = streams.recv() => frame,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some((index, frame)) = frame else { break };
        let node = names.get(index).cloned().unwrap_or_default();
        match frame {
            StreamFrame::Line(line) if which.wants(&line) => {
                let line = Line { node, line };
                if which.follow { print(s, &line, count, width, which) } else { held.push(line) }
            }
            StreamFrame::Failed(problem) => problems.push((node, problem)),
            _ => {}
        }
    }
    held.sort_by_key(|line| line.line.at);
    held.iter().for_each(|line| print(s, line, count, width, which));
    ended(s, count, problems)
}

impl Which {
    fn wants(&self, line: &LogLine) -> bool {
        self.grep.as_ref().is_none_or(|grep| grep.is_match(&line.text))
    }
}

fn print(s: &mut Session, line: &Line, count: usize, width: usize, which: &Which) {
    s.out.each(line, |line| {
        let time = if which.time { format!("{} ", clock(line.line.at)) } else { String::new() };
        let node = &line.node;
        let node = if count > 1 { format!("{node:width$} | ") } else { String::new() };
        format!("{time}{node}{}", line.line.text)
    });
}

/// Some nodes may be away; only where none answered the command fails.
fn ended(s: &mut Session, count: usize, problems: Vec<(String, Problem)>) -> Outcome {
    for (node, problem) in problems.iter().filter(|_| problems.len() < count) {
        s.out.warn(format!("{node}: {problem}"));
    }
    match problems.into_iter().nth(count - 1) {
        Some((_, problem)) => Err(problem),
        None => Ok(Exit::DONE),
    }
}
