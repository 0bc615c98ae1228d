//! The HTTP API's own types, version 1. Errors are [`lace_model::Problem`] as `application/problem+json`.
//!
//! | method and path | body -> answer |
//! | --- | --- |
//! | GET /v1/status[?target=T] | -> [`Status`] |
//! | GET /v1/apps | -> [`AppSummary`] list |
//! | POST /v1/apps/{app} · DELETE /v1/apps/{app}[?force&delete_data] | -> Application · [`Accepted`] |
//! | POST /v1/apps/{app}/plan · /apply | `ApplyRequest` -> `Plan` · [`Accepted`] |
//! | GET /v1/apps/{app}/export | -> `ApplicationSpec` |
//! | POST /v1/verbs | [`VerbRequest`] -> [`Accepted`] |
//! | GET /v1/history?target=T | -> [`HistoryLine`] list |
//! | GET /v1/why?target=T | -> [`Explanation`] |
//! | GET /v1/nodes[?target=T] · /v1/usage[?target=T] | -> [`NodeView`] list · [`UsageView`] list |
//! | GET /v1/hosts · POST /v1/hosts/{name}/drain, /undrain · DELETE /v1/hosts/{name} | -> [`HostView`] list · [`Accepted`] |
//! | GET /v1/releases · GET/DELETE /v1/releases/{name@version} | -> `Release` list · `Release` |
//! | POST /v1/blobs/missing | digests -> digests |
//! | PUT /v1/blobs/{digest} | bytes -> 204 |
//! | GET /v1/blobs/{digest} | -> bytes |
//! | POST /v1/releases | [`ReleaseUpload`] -> `Release` |
//! | GET /v1/apps/{app}/secrets · PUT/DELETE /v1/apps/{app}/secrets/{name} | -> `SecretInfo` list · value bytes -> [`Accepted`] |
//! | GET /v1/volumes[?target] | -> [`Volume`](crate::stream::Volume) list |
//! | GET /v1/operations[?subject] · GET /v1/operations/{id}[?wait_ms] · POST /v1/operations/{id}/cancel | -> `Operation` |
//! | GET /v1/tasks[?target&operation] · GET /v1/tasks/{id} | -> `NodeTask` |
//! | GET /v1/events[?since&follow&subject&limit] | -> `Event` list, or SSE with `follow` |
//! | POST /v1/jobs | [`JobRequest`] -> `Job` |
//! | GET /v1/jobs[?app] · GET /v1/jobs/{id}[?wait_ms] · POST /v1/jobs/{id}/cancel | -> `Job` |
//! | GET /v1/stream?request=JSON of [`StreamOpen`] (WebSocket) | binary messages: one byte of [`Channel`], then the payload |
//! | GET/POST /v1/tokens · DELETE /v1/tokens/{id} | [`TokenRequest`] -> [`TokenInfo`] list · [`TokenMade`] |
//! | GET /v1/audit[?after&limit] · GET /v1/audit/verify | -> [`AuditLine`] list · [`AuditVerdict`] |
//! | POST /v1/server/backup | -> bytes of the backup |
//! | GET /v1/server | -> [`ServerInfo`] · POST /v1/server/adopted ends adopt mode |
//! | POST /v1/login | [`LoginRequest`] -> [`TokenMade`] |
//! | GET /v1/openapi.json · GET /healthz · GET /metrics | |

use lace_model::host::{Host, Liveness};
use lace_model::node::NodeStatus;
use lace_model::release::{ReleaseKind, Tree};
use lace_model::revision::Limits;
use lace_model::rollout::Rollout;
use lace_model::token::Role;
use lace_model::{AppName, HostId, Millis, Name, NodeId, OperationId, TargetPath, TokenId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something was taken on; an operation says how it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The operation to watch; none when nothing was to do.
    #[schema(value_type = Option<String>)]
    pub operation: Option<OperationId>,
    /// One sentence.
    pub message: String,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As wanted.
    Healthy,
    /// On its way.
    Progressing,
    /// Not as wanted, and serving in part.
    Degraded,
    /// Not as wanted, and not serving.
    Failed,
    /// Stopped by wish.
    Stopped,
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// Now, by the controller's clock: ages are counted from here.
    #[schema(value_type = u64)]
    pub now: Millis,
    /// Applications in the target.
    pub apps: Vec<AppStatus>,
    /// Hosts, connected ones and all.
    pub hosts_connected: usize,
    /// All hosts.
    pub hosts: usize,
    /// In adopt mode: what the controller does not know is kept.
    pub adopt: bool,
}

/// One application in `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppStatus {
    /// Its name.
    #[schema(value_type = String)]
    pub name: AppName,
    /// The worst of its families.
    pub health: Health,
    /// Its families.
    pub families: Vec<FamilyStatus>,
}

/// One family in `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FamilyStatus {
    /// Its path.
    #[schema(value_type = String)]
    pub path: lace_model::FamilyPath,
    /// How it is.
    pub health: Health,
    /// In a sentence: why.
    pub message: String,
    /// Wanted nodes.
    pub wanted: u32,
    /// Ready nodes.
    pub ready: u32,
    /// Wanted revision.
    pub revision: u64,
    /// Its release, for people.
    pub release: String,
    /// Since when nothing changed.
    #[schema(value_type = u64)]
    pub since: Millis,
    /// The rollout under way, or the last one.
    #[schema(value_type = Option<Object>)]
    pub rollout: Option<Rollout>,
    /// Its nodes.
    pub nodes: Vec<NodeView>,
    /// Where live state differs from what was applied.
    pub drift: Vec<String>,
}

/// One node with the names of where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeView {
    /// As its host reports it (or a `preparing` placeholder before the first report).
    #[schema(value_type = Object)]
    pub status: NodeStatus,
    /// Name of its host.
    pub host: String,
    /// Its stable DNS name.
    pub fqdn: String,
    /// Is its host connected? If not, the status is as old as `host_seen`.
    pub host_connected: bool,
    /// Last sign of life of its host.
    #[schema(value_type = u64)]
    pub host_seen: Millis,
}

/// One line of `lace app list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: AppName,
    /// How it is.
    pub health: Health,
    /// Services.
    pub services: usize,
    /// Nodes: ready and wanted.
    pub ready: u32,
    /// Nodes wanted.
    pub wanted: u32,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
}

/// The verbs on a target that need few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum VerbRequest {
    /// Change the number of nodes.
    Scale {
        /// Which family.
        #[schema(value_type = String)]
        target: TargetPath,
        /// `5`, `+2`, `-1`.
        count: String,
        /// The applied spec says so from now on, too (no drift).
        save: bool,
    },
    /// Let it run.
    Start {
        /// What.
        #[schema(value_type = String)]
        target: TargetPath,
    },
    /// Stop it; it keeps its settings.
    Stop {
        /// What.
        #[schema(value_type = String)]
        target: TargetPath,
    },
    /// Restart processes in place, those of a family one after the other.
    Restart {
        /// What.
        #[schema(value_type = String)]
        target: TargetPath,
    },
    /// Send the processes of running nodes a signal.
    Signal {
        /// What.
        #[schema(value_type = String)]
        target: TargetPath,
        /// Its name, with or without SIG.
        signal: String,
    },
    /// Delete it.
    Delete {
        /// What.
        #[schema(value_type = String)]
        target: TargetPath,
        /// End even if hosts do not answer; says what was abandoned.
        force: bool,
        /// Volumes too.
        delete_data: bool,
    },
    /// Make a new node at the same place.
    Replace {
        /// Which node.
        #[schema(value_type = String)]
        target: TargetPath,
    },
    /// Go back to a revision.
    Rollback {
        /// Which service.
        #[schema(value_type = String)]
        target: TargetPath,
        /// Which revision; the last good one where none is said.
        to: Option<u64>,
    },
    /// Steer the rollout.
    Rollout {
        /// Which family.
        #[schema(value_type = String)]
        target: TargetPath,
        /// How.
        step: RolloutStep,
    },
    /// Use another version of its release (or another release).
    Activate {
        /// Which service.
        #[schema(value_type = String)]
        target: TargetPath,
        /// `NAME[@VERSION]`.
        release: String,
    },
}

/// Steering a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutStep {
    /// No further node changes over.
    Pause,
    /// Go on.
    Resume,
    /// The canary is good.
    Promote,
    /// Go back.
    Abort,
}

/// One line of `history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HistoryLine {
    /// Revision number.
    pub number: u64,
    /// Its release.
    pub release: String,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub note: String,
    /// Is it the wanted one?
    pub active: bool,
    /// Was it healthy as a whole at last?
    pub good: bool,
    /// Known to be bad, and why.
    pub bad: Option<String>,
}

/// The answer to `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The target.
    pub target: String,
    /// Lines for people, the most important first.
    pub lines: Vec<String>,
}

/// What a node uses and may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageView {
    /// Its place.
    #[schema(value_type = String)]
    pub path: lace_model::NodePath,
    /// Its id.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Host's name.
    pub host: String,
    /// Processor use over the last beats, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Memory now.
    pub memory: u64,
    /// Processes and threads now.
    pub pids: u32,
    /// Restarts.
    pub restarts: u32,
    /// Its limits.
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// How old these numbers are, in milliseconds.
    pub age_ms: u64,
}

/// A host as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostView {
    /// As stored.
    #[schema(value_type = Object)]
    pub host: Host,
    /// As fleet sees it now.
    #[schema(value_type = Object)]
    pub liveness: Liveness,
    /// Nodes on it.
    pub nodes: u32,
    /// Promised processor.
    pub cpu_used: u32,
    /// Promised memory.
    pub memory_used: u64,
}

/// A release's tree, after all its blobs were put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseUpload {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its tree.
    #[schema(value_type = Object)]
    pub tree: Tree,
    /// What sort it is.
    #[schema(value_type = String)]
    pub kind: ReleaseKind,
    /// Start command.
    pub start: Vec<String>,
    /// Stop command.
    #[serde(default)]
    pub stop: Option<Vec<String>>,
    /// Templates in the tree.
    #[serde(default)]
    pub templates: Vec<String>,
    /// What it needs.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub needs: lace_model::release::Needs,
}

/// A one-off job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobRequest {
    /// Application, or service whose release, environment and secrets it uses.
    #[schema(value_type = String)]
    pub target: TargetPath,
    /// Its command.
    pub command: Vec<String>,
    /// More environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its limits, where others than the service's.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub limits: Option<Limits>,
}

/// Opens a stream: the node by its place, or a job by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StreamOpen {
    /// `shop/game/2`, or `job:ID`.
    pub target: String,
    /// What it shall do.
    #[serde(flatten)]
    pub action: StreamAction,
}

/// What a stream shall do (see [`crate::stream::StreamRequest`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum StreamAction {
    /// Run a command (the login shell where empty).
    Exec {
        /// Words.
        argv: Vec<String>,
        /// Environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Terminal: columns and rows.
        #[serde(default)]
        terminal: Option<crate::stream::TerminalSize>,
        /// Is anything coming on stdin?
        #[serde(default)]
        stdin: bool,
    },
    /// Output of the process; each line is one JSON message on [`Channel::Line`].
    Logs {
        /// From.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        since: Option<Millis>,
        /// To.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        until: Option<Millis>,
        /// Last lines.
        #[serde(default)]
        tail: Option<u32>,
        /// Go on.
        #[serde(default)]
        follow: bool,
    },
    /// tar in.
    CopyIn {
        /// Path.
        path: String,
    },
    /// tar out.
    CopyOut {
        /// Path.
        path: String,
    },
    /// TCP.
    Forward {
        /// Port.
        port: u16,
    },
}

/// First byte of a binary message on a stream's WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// Bytes to the process.
    Stdin = 0,
    /// Bytes from the process.
    Stdout = 1,
    /// Bytes from the process.
    Stderr = 2,
    /// JSON of a terminal size.
    Resize = 3,
    /// JSON of the exit status (a number); the last message.
    Exit = 4,
    /// Nothing more on stdin.
    StdinEnd = 5,
    /// JSON of a [`crate::stream::LogLine`].
    Line = 6,
    /// JSON of a problem; the last message.
    Failed = 7,
}

impl Channel {
    /// From the byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Stdin,
            Self::Stdout,
            Self::Stderr,
            Self::Resize,
            Self::Exit,
            Self::StdinEnd,
            Self::Line,
            Self::Failed,
        ]
        .into_iter()
        .find(|c| *c as u8 == byte)
    }
}

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenRequest {
    /// What it is called.
    pub name: String,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppName>,
    /// It ends after this.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_in: Option<lace_model::Span>,
    /// It lets one agent join, and nothing else.
    #[serde(default)]
    pub join: bool,
}

/// A new token: its text is shown this once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenMade {
    /// Public part.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The whole text.
    pub token: String,
    /// When it ends.
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<Millis>,
}

/// What may be shown of a token: neither its text nor its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenInfo {
    /// Public part.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppName>,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
    /// When it ends.
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<Millis>,
    /// It works once.
    pub once: bool,
    /// It lets an agent join, and nothing else.
    pub join: bool,
}

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditLine {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// Who; none where Lace did it by itself.
    pub actor: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it ended: `done`, `refused: 403`.
    pub outcome: String,
    /// Hash of the row before, in hexadecimal digits.
    pub prev_hash: String,
    /// Hash of this row, in hexadecimal digits.
    pub hash: String,
}

/// Whether the audit log is as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditVerdict {
    /// Rows that are as they were written, from the first.
    pub rows: u64,
    /// Is the chain whole?
    pub whole: bool,
    /// The first row that is not as it was written, and in which way.
    pub broken: Option<String>,
}

/// Trades a one-time login token for a session token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginRequest {
    /// The one-time token.
    pub token: String,
}

/// About the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerInfo {
    /// Version of the binary.
    pub version: String,
    /// The installation.
    pub installation: String,
    /// The epoch.
    pub epoch: u64,
    /// In adopt mode?
    pub adopt: bool,
    /// Where agents dial.
    pub agent_address: String,
    /// Nodes that hosts hold and the controller does not know.
    #[schema(value_type = Vec<Vec<String>>)]
    pub unknown_nodes: Vec<(HostId, NodeId)>,
}
