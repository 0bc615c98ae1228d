//! `lace beam`: Erlang and Elixir nodes by their own words.

mod adopt;
mod failover;
mod mesh;
mod rpc;
mod status;

use super::verb::a_node;
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::vm::{RankBy, VmProcess};
use lace_model::{ByteSize, TargetPath};
use lace_wire::api::{StreamAction, StreamOpen};

/// `lace beam`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  lace beam status shop/game
  lace beam rpc shop/game/1 erlang memory
  lace beam top shop/game/1 --by messages
  lace beam shell shop/game/1
  lace beam failover shop/game --to shop/game/2")]
pub struct BeamArgs {
    /// Which
    #[command(subcommand)]
    pub verb: BeamVerb,
}

/// The verbs of `lace beam`.
#[derive(Subcommand, Debug)]
pub enum BeamVerb {
    /// Show who sees whom, what runs where, and what deviates from the plan
    Status(status::StatusArgs),
    /// Call a function in a node, with Erlang terms
    Rpc(rpc::RpcArgs),
    /// Show the largest processes of a node
    Top(TopArgs),
    /// Open a shell of a node's runtime
    Shell(ShellArgs),
    /// Take a cluster that runs already into view
    Adopt(adopt::AdoptArgs),
    /// Look at an adopted cluster no more
    Forget(adopt::ForgetArgs),
    /// Write a picture of everything in a node's runtime
    Dump(DumpArgs),
    /// Move the distributed application to another node
    Failover(failover::FailoverArgs),
}

/// `lace beam top`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace beam top shop/game/1 --by messages -n 5")]
pub struct TopArgs {
    /// The node
    pub node: TargetPath,
    /// Rank by this
    #[arg(long, value_enum, default_value_t)]
    pub by: By,
    /// So many
    #[arg(short = 'n', long, default_value_t = 10)]
    pub most: usize,
}

/// What processes are ranked by.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum By {
    /// Bytes
    #[default]
    Memory,
    /// Work done so far
    Reductions,
    /// Messages that wait
    Messages,
}

impl From<By> for RankBy {
    fn from(by: By) -> Self {
        match by {
            By::Memory => Self::Memory,
            By::Reductions => Self::Reductions,
            By::Messages => Self::Messages,
        }
    }
}

/// `lace beam shell`.
#[derive(Args, Debug)]
#[command(after_help = "\
The release's own start script opens it. Leave it with Ctrl-G q or Ctrl-C Ctrl-C: q() would stop the node.

Example:
  lace beam shell shop/game/1")]
pub struct ShellArgs {
    /// The node
    pub node: TargetPath,
}

/// `lace beam dump`.
#[derive(Args, Debug)]
#[command(after_help = "The node goes on meanwhile.\n\nExample:\n  lace beam dump shop/game/1 > game-1.txt")]
pub struct DumpArgs {
    /// The node
    pub node: TargetPath,
}

/// Runs `lace beam`.
pub async fn run(args: BeamArgs, s: &mut Session) -> Outcome {
    match args.verb {
        BeamVerb::Status(args) => status::run(args, s).await,
        BeamVerb::Failover(args) => failover::run(args, s).await,
        BeamVerb::Rpc(args) => rpc::run(args, s).await,
        BeamVerb::Top(args) => top(args, s).await,
        BeamVerb::Shell(args) => shell(args, s).await,
        BeamVerb::Adopt(args) => adopt::adopt(args, s).await,
        BeamVerb::Forget(args) => adopt::forget(args, s).await,
        BeamVerb::Dump(args) => {
            let node = a_node(args.node)?;
            let text = s.client()?.beam_dump(&node).await?;
            s.out.bytes(&text);
            Ok(Exit::DONE)
        }
    }
}

async fn shell(args: ShellArgs, s: &mut Session) -> Outcome {
    let node = a_node(args.node)?;
    super::shell::attach(s, |env, terminal| StreamOpen {
        target: node.to_string(),
        action: StreamAction::BeamShell { env, terminal },
    })
    .await
}

async fn top(args: TopArgs, s: &mut Session) -> Outcome {
    let node = a_node(args.node)?;
    let mut top = s.client()?.beam_top(&node, args.most).await?;
    let rank = |process: &VmProcess| match args.by.into() {
        RankBy::Memory => process.memory,
        RankBy::Reductions => process.reductions,
        RankBy::Messages => process.messages,
    };
    top.top.sort_by_key(|process| std::cmp::Reverse(rank(process)));
    top.top.truncate(args.most);
    if top.looked_at + 1 < top.processes {
        s.out.note(format!("looked at {} of {} processes", top.looked_at, top.processes));
    }
    let head = ["process", "name", "memory", "reductions", "messages", "at"];
    s.out.list(&top.top, &head, |process| {
        vec![
            process.pid.as_str().into(),
            process.name.as_str().into(),
            ByteSize(process.memory).human().into(),
            process.reductions.to_string().into(),
            process.messages.to_string().into(),
            process.function.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}
