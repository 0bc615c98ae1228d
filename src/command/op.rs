//! `lace op`: long pieces of work that somebody asked for.

use super::output::{Cell, ago, clock};
use super::{Exit, Outcome, Session, watch};
use clap::{Args, Subcommand};
use lace_model::OperationId;
use lace_model::operation::{Operation, OperationState};
use lace_model::task::{NodeTask, TaskState};
use serde::Serialize;
use std::time::Duration;

/// `lace op`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace op list --subject shop")]
pub struct OpArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: OpVerb,
}

/// The verbs of `lace op`.
#[derive(Subcommand, Debug)]
pub enum OpVerb {
    /// List them, the newest first
    #[command(after_help = "Example:\n  lace op list --subject shop/game")]
    List {
        /// Those about this
        #[arg(long)]
        subject: Option<String>,
    },
    /// Show one
    #[command(after_help = "Example:\n  lace op show 019aa9d6-2d4e-8000-8000-000000000001")]
    Show {
        /// Its id
        id: OperationId,
    },
    /// Cancel one
    #[command(after_help = "Example:\n  lace op cancel 019aa9d6-2d4e-8000-8000-000000000001")]
    Cancel {
        /// Its id
        id: OperationId,
    },
    /// Wait until one ends; the exit status is its outcome
    #[command(after_help = "Example:\n  lace op wait 019aa9d6-2d4e-8000-8000-000000000001")]
    Wait {
        /// Its id
        id: OperationId,
    },
}

/// Runs `lace op`.
pub async fn run(args: OpArgs, s: &mut Session) -> Outcome {
    match args.verb {
        OpVerb::List { subject } => {
            let operations = s.client()?.operations(subject.as_deref()).await?;
            list(s, &operations);
        }
        OpVerb::Show { id } => {
            let operation = s.client()?.operation(id, Duration::ZERO).await?;
            let tasks = s.client()?.tasks(None, Some(id)).await?;
            s.out.item(&Shown { operation, tasks }, Shown::picture);
        }
        OpVerb::Cancel { id } => {
            let operation = s.client()?.operation_cancel(id).await?;
            s.out.item(&operation, picture);
        }
        OpVerb::Wait { id } => {
            let operation = watch::operation(s, id).await?;
            s.out.item(&operation, picture);
        }
    }
    Ok(Exit::DONE)
}

/// An operation with its verbs on nodes.
#[derive(Serialize)]
pub struct Shown {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// Its verbs on nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<NodeTask>,
}

impl Shown {
    fn picture(&self) -> String {
        let mut text = picture(&self.operation);
        for task in self.tasks.iter().rev() {
            let state = task_state(task.state);
            let cause = task.cause.as_ref().map_or(String::new(), |cause| format!(": {cause}"));
            text.push_str(&format!("  {} {}: {state}{cause}\n", task.verb, task.path.short()));
            task.lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        }
        text
    }
}

/// Where a task stands, for people.
pub fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Queued => "waits for its host",
        TaskState::Sent => "is with its host",
        TaskState::Done => "done",
        TaskState::Failed => "failed",
        TaskState::Unknown => "not known",
        TaskState::Expired => "not begun in time",
    }
}

fn list(s: &mut Session, operations: &[Operation]) {
    let now = s.now();
    s.out.list(operations, &["id", "what", "state", "began", "message"], |op| {
        vec![
            op.id.into(),
            format!("{} {}", op.verb, op.subject).into(),
            state(op.state),
            ago(now, op.started_at).into(),
            op.message.as_str().into(),
        ]
    });
}

fn state(state: OperationState) -> Cell {
    match state {
        OperationState::Running => Cell::warning("running"),
        OperationState::Done => Cell::good("done"),
        OperationState::Failed => Cell::bad("failed"),
        OperationState::Cancelled => Cell::faint("cancelled"),
    }
}

fn picture(op: &Operation) -> String {
    let ended = op.ended_at.map_or_else(|| "-".into(), clock);
    let mut text = format!(
        "{} of {}: {}\nid      {}\nby      {}\nbegan   {}\nended   {ended}\n",
        op.verb,
        op.subject,
        state(op.state).paint(false),
        op.id,
        op.actor,
        clock(op.started_at),
    );
    if !op.message.is_empty() {
        text.push_str(&format!("message {}\n", op.message));
    }
    op.details.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}
