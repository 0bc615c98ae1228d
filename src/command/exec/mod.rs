//! `lace exec`: one command in many nodes, output prefixed by node, the highest status.

mod expand;
mod fan;
mod print;

pub use expand::Places;
pub use fan::{From, open_all, pass};
pub use print::{Ended, Printer};

use super::output::Format;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{NodeView, StreamAction, StreamOpen};
use lace_wire::client::Client;
use std::collections::BTreeMap;

/// The status of `exec`, `run` and `shell` where Lace itself failed.
pub const STATUS_OF_LACE_ITSELF: u8 = 125;

/// `lace exec`.
#[derive(Args, Debug)]
#[command(after_help = "\
Words may hold {{self}} (the node's name), {{index}}, {{first}} (the name of the first node) and
{{all}} (the names of all, with commas). There is no shell between: ask for one where you want it.

The status is the highest of the nodes'; 127 where the program is missing in the node, 126 where
it cannot be executed, 125 where Lace itself failed.

Example:
  lace exec shop/game -- bin/game rpc 'nodes().'
  lace exec shop/game -- sh -c 'echo {{index}} of {{all}}'")]
pub struct ExecArgs {
    /// A target, or one node
    pub target: TargetPath,
    /// At most so many nodes at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub parallel: u32,
    /// Only in the first node
    #[arg(long)]
    pub first: bool,
    /// Pass the input on (one node only)
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// More environment
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = super::manifest::pair)]
    pub env: Vec<(String, String)>,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Runs `lace exec`.
pub async fn run(args: ExecArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let (places, nodes) = nodes_of(&client, &args.target, args.first).await?;
    if args.stdin && nodes.len() > 1 {
        return Err(Problem::new(Code::Usage, "the input can go to one node only")
            .hint("name a node, or add --first"));
    }
    let env: BTreeMap<String, String> = args.env.iter().cloned().collect();
    let opens = nodes.iter().map(|node| StreamOpen {
        target: node.status.path.to_string(),
        action: StreamAction::Exec {
            argv: places.expand(&args.command, &node.status.path),
            env: env.clone(),
            terminal: None,
            stdin: args.stdin,
        },
    });
    let input = args.stdin.then(|| s.take_input());
    let mut streams = open_all(&client, opens.collect(), args.parallel as usize, input);
    let names: Vec<String> = nodes.iter().map(|node| node.status.path.short()).collect();
    let mut printer = Printer::new(names);
    let over = async {
        while let Some((index, from)) = streams.recv().await {
            printer.take(&mut s.out, index, from);
        }
    };
    match s.global.timeout {
        None => over.await,
        Some(time) => {
            let time = std::time::Duration::from_millis(time.ms());
            if tokio::time::timeout(time, over).await.is_err() {
                return Err(Problem::new(Code::StillWatching, "not ended when the time was over"));
            }
        }
    }
    printer.flush(&mut s.out);
    Ok(summary(s, &printer.ended()))
}

/// The places that words may name, and the nodes that are meant, in order.
pub async fn nodes_of(
    client: &Client,
    target: &TargetPath,
    first: bool,
) -> Result<(Places, Vec<NodeView>), Problem> {
    let whole = TargetPath { index: None, ..target.clone() };
    let mut all = client.nodes(Some(&whole)).await?;
    all.sort_by(|a, b| a.status.path.cmp(&b.status.path));
    let places = Places::of(all.iter().map(|node| &node.status.path));
    let mut meant: Vec<NodeView> =
        all.into_iter().filter(|node| target.covers_node(&node.status.path)).collect();
    if first {
        meant.truncate(1);
    }
    if meant.is_empty() {
        return Err(
            Problem::not_found(format_args!("node in {target}")).hint("lace node list names the nodes")
        );
    }
    Ok((places, meant))
}

fn summary(s: &mut Session, ended: &[Ended]) -> Exit {
    match s.out.format() {
        Format::Json => s.out.item(&ended, |_| String::new()),
        Format::Jsonl => {}
        Format::Table => {
            for one in ended {
                if let Some(problem) = &one.problem {
                    s.out.warn(format!("{}: {problem}", one.node));
                }
            }
            if ended.len() > 1 {
                s.out.note(sentence(ended));
            }
        }
    }
    Exit(ended.iter().map(Ended::exit).max().unwrap_or(STATUS_OF_LACE_ITSELF))
}

/// `3 nodes: 2 ended with 0; shop/game/2 with 1`.
pub fn sentence(ended: &[Ended]) -> String {
    let good = ended.iter().filter(|one| one.status == Some(0)).count();
    let mut text = format!("{} nodes: {good} ended with 0", ended.len());
    for one in ended.iter().filter(|one| one.status != Some(0)) {
        let how = match one.status {
            Some(status) => format!("with {status}"),
            None => "could not run it".into(),
        };
        text.push_str(&format!("; {} {how}", one.node));
    }
    text
}
