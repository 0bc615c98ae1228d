//! `lace beam rpc`: a function call with Erlang terms in and out.

use super::super::output::Format;
use super::super::verb::a_node;
use super::super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::TargetPath;
use lace_wire::api::BeamCallRequest;
use lace_wire::beam::{BeamAnswer, BeamCall, BeamOutcome};

/// The status where the function raised an exception.
const RAISED: Exit = Exit(1);

/// `lace beam rpc`.
#[derive(Args, Debug)]
#[command(after_help = "\
Arguments are Erlang terms, each a word or several in one with commas between: ok '[1,2]' '<<\"text\">>'.
The value is printed as an Erlang term; with --format json also as JSON, where atoms and texts are
strings, tuples and lists arrays. What the call prints goes to the output before it.

The call ends after --timeout (5s, at most 50s); then its process in the node is ended, too.
Status 1 where the function raised an exception, which is told on the error output.

Example:
  lace beam rpc shop/game/1 erlang memory
  lace beam rpc shop/game/1 lists seq 1 10
  lace beam rpc shop/game/1 application get_env kernel net_ticktime
  lace beam rpc shop/web/1 Elixir.Shop.Cache clear")]
pub struct RpcArgs {
    /// The node
    pub node: TargetPath,
    /// Module
    pub module: String,
    /// Function
    pub function: String,
    /// Arguments: Erlang terms
    #[arg(allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Runs `lace beam rpc`.
pub async fn run(args: RpcArgs, s: &mut Session) -> Outcome {
    let target = a_node(args.node)?;
    let within_ms = s.global.timeout.map(|timeout| timeout.ms());
    let call = BeamCall {
        module: args.module,
        function: args.function,
        arguments: args.arguments.join(", "),
        within_ms,
    };
    let answer = s.client()?.beam_call(&BeamCallRequest { target, call }).await?;
    tell(s, &answer);
    Ok(if answer.outcome == BeamOutcome::Returned { Exit::DONE } else { RAISED })
}

fn tell(s: &mut Session, answer: &BeamAnswer) {
    if s.out.format() != Format::Table {
        return s.out.item(answer, |_| String::new());
    }
    if !answer.output.is_empty() {
        s.out.bytes(answer.output.as_bytes());
        if !answer.output.ends_with('\n') {
            s.out.bytes(b"\n");
        }
    }
    if answer.output_is_cut {
        s.out.note("(more was printed than is kept)");
    }
    let class = match answer.outcome {
        BeamOutcome::Returned => return s.out.line(&answer.term),
        BeamOutcome::Error => "error",
        BeamOutcome::Exit => "exit",
        BeamOutcome::Throw => "throw",
    };
    s.out.warn(format!("{class}: {}", answer.term));
    if let Some(stack) = &answer.stack {
        s.out.note(format!("  at {stack}"));
    }
}
