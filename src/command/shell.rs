//! `lace shell`: a terminal in a node.

use super::exec::STATUS_OF_LACE_ITSELF;
use super::verb::a_node;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Problem, TargetPath};
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::stream::{StreamFrame, StreamPair, TerminalSize};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::collections::BTreeMap;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// `lace shell`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without a terminal the shell reads its commands from the input.

Example:
  lace shell shop/game/2")]
pub struct ShellArgs {
    /// The node
    pub node: TargetPath,
}

/// Runs `lace shell`.
pub async fn run(args: ShellArgs, s: &mut Session) -> Outcome {
    let node = a_node(args.node)?;
    attach(s, |env, terminal| StreamOpen {
        target: node.to_string(),
        action: StreamAction::Exec { argv: Vec::new(), env, terminal, stdin: true },
    })
    .await
}

/// Joins this terminal, or the input where there is none, to a stream.
pub async fn attach(
    s: &mut Session,
    open: impl FnOnce(BTreeMap<String, String>, Option<TerminalSize>) -> StreamOpen,
) -> Outcome {
    let terminal = (s.world.in_terminal && s.world.out_terminal).then(size);
    let mut env = BTreeMap::new();
    if let Some(term) = s.world.var("TERM").filter(|_| terminal.is_some()) {
        env.insert("TERM".to_owned(), term.to_owned());
    }
    let stream = s.client()?.open(&open(env, terminal)).await?;
    let raw = terminal.and_then(|_| Raw::enter());
    super::exec::pass(s.take_input(), stream.to.clone());
    let outcome = attend(s, stream).await;
    drop(raw);
    outcome
}

fn size() -> TerminalSize {
    match tcgetwinsize(std::io::stdout()) {
        Ok(size) => TerminalSize { columns: size.ws_col, rows: size.ws_row },
        Err(_) => TerminalSize { columns: 80, rows: 24 },
    }
}

async fn attend(s: &mut Session, mut stream: StreamPair) -> Outcome {
    let mut resized = signal(SignalKind::window_change()).ok();
    loop {
        tokio::select! {
            frame = stream.from.recv() => match frame {
                Some(StreamFrame::Stdout(bytes)) => s.out.bytes(&bytes),
                Some(StreamFrame::Stderr(bytes)) => s.out.error_bytes(&bytes),
                Some(StreamFrame::Exit(status)) => return Ok(exit(status)),
                Some(StreamFrame::Failed(problem)) => return Err(problem),
                Some(_) => {}
                None => return Err(ended()),
            },
            () = next(&mut resized) => {
                let _ = stream.to.send(StreamFrame::Resize(size())).await;
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn exit(status: i32) -> Exit {
    Exit(u8::try_from(status).unwrap_or(STATUS_OF_LACE_ITSELF))
}

fn ended() -> Problem {
    Problem::new(lace_model::Code::NodeUnreachable, "the shell's connection ended")
}

/// The terminal in raw mode, as long as this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
