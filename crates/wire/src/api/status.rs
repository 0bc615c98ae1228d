//! How things are, as answers say it.

use lace_model::AppName;
use lace_model::Millis;
use lace_model::NodeId;
use lace_model::host::Host;
use lace_model::host::Liveness;
use lace_model::node::NodeStatus;
use lace_model::revision::Limits;
use lace_model::rollout::Rollout;
use serde::{Deserialize, Serialize};

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

/// The revision that nodes run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningRevision {
    /// Which.
    pub revision: u64,
    /// Its release, for people.
    pub release: String,
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
    /// What most of its nodes run, where that is not the wanted revision: it is on its way, paused, or was reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningRevision>,
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

/// What a node of a package says of itself in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeFigures {
    /// Its place.
    #[schema(value_type = String)]
    pub path: lace_model::NodePath,
    /// How old these numbers are, in milliseconds.
    pub age_ms: u64,
    /// In the order in which the node tells them.
    pub figures: Vec<FigureView>,
}

/// A figure, with what its package says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FigureView {
    /// Its name.
    pub name: String,
    /// Its labels, as in Prometheus text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub labels: String,
    /// Its value.
    pub value: f64,
    /// Its unit, where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// It only grows.
    #[serde(default)]
    pub counter: bool,
    /// What it counts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// What a node used over the last hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageHistory {
    /// Its place.
    #[schema(value_type = String)]
    pub path: lace_model::NodePath,
    /// Its id.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Moments, the oldest first: wide apart at first, close together at the end.
    pub points: Vec<UsagePoint>,
}

/// What a node used at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsagePoint {
    /// When.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// Processor use since the moment before, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Memory, in bytes.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u32,
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
