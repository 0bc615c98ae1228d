//! Tasks as stored: verbs on nodes, from the wish to the known outcome.

use crate::document::{Task, TaskOutcome, Verb};
use crate::{HostId, Millis, NodeId, NodePath, OperationId, Span, TaskId};
use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Waits for a session of its host.
    Queued,
    /// In its host's document.
    Sent,
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// It may have been done: the agent, or the host, went away in between.
    Unknown,
    /// Its deadline passed before its host could be told.
    Expired,
}

impl TaskState {
    /// Is an outcome still to come?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sent)
    }
}

/// A task as stored: key = its id. It stays in its host's document until its outcome is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTask {
    /// Its id.
    pub id: TaskId,
    /// The node's place.
    pub path: NodePath,
    /// The node.
    pub node: NodeId,
    /// Its host.
    pub host: HostId,
    /// What.
    pub verb: Verb,
    /// Not begun after this moment.
    pub deadline: Millis,
    /// The operation that it belongs to.
    #[serde(default)]
    pub operation: Option<OperationId>,
    /// Where it stands.
    pub state: TaskState,
    /// What went wrong.
    #[serde(default)]
    pub cause: Option<String>,
    /// What the verb said.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Restarts of the node's process when the task was made: later ones are this task's doing.
    #[serde(default)]
    pub restarts: u32,
    /// Who asked.
    pub actor: String,
    /// When it was made.
    pub created_at: Millis,
    /// When its host was told.
    #[serde(default)]
    pub sent_at: Option<Millis>,
    /// When its outcome was known.
    #[serde(default)]
    pub ended_at: Option<Millis>,
}

/// What a task is made of; the rest follows.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// The node's place.
    pub path: NodePath,
    /// The node.
    pub node: NodeId,
    /// Its host.
    pub host: HostId,
    /// What.
    pub verb: Verb,
    /// To be begun within this time.
    pub within: Span,
    /// Restarts of the node's process so far.
    pub restarts: u32,
    /// Who asks.
    pub actor: String,
}

impl NewTask {
    /// The task, waiting for its host.
    pub fn queued(self, now: Millis) -> NodeTask {
        let Self { id, path, node, host, verb, within, restarts, actor } = self;
        NodeTask {
            id,
            path,
            node,
            host,
            verb,
            deadline: now + within.ms(),
            operation: None,
            state: TaskState::Queued,
            cause: None,
            lines: Vec::new(),
            restarts,
            actor,
            created_at: now,
            sent_at: None,
            ended_at: None,
        }
    }
}

impl NodeTask {
    /// The task as its host is told.
    pub fn told(&self) -> Task {
        Task { id: self.id, node: self.node, verb: self.verb.clone(), deadline: self.deadline }
    }

    /// It has ended so. What a host says of a task that was given up as unknown is believed.
    pub fn end(&mut self, outcome: TaskOutcome, now: Millis) {
        let (state, cause, lines) = match outcome {
            TaskOutcome::Done { lines } => (TaskState::Done, None, lines),
            TaskOutcome::Failed { cause } => (TaskState::Failed, Some(cause), Vec::new()),
            TaskOutcome::Unknown => {
                let cause = "its agent stopped in between: it may have been done";
                (TaskState::Unknown, Some(cause.to_owned()), Vec::new())
            }
        };
        (self.state, self.cause, self.lines, self.ended_at) = (state, cause, lines, Some(now));
    }

    /// It is given up.
    pub fn give_up(&mut self, state: TaskState, cause: &str, now: Millis) {
        (self.state, self.cause, self.ended_at) = (state, Some(cause.to_owned()), Some(now));
    }
}
