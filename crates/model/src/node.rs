//! What hosts report about nodes.

use crate::{Generation, HostId, Millis, NodeId, NodePath};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Where a node stands on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodePhase {
    /// Release and files are being fetched and laid out.
    Preparing,
    /// Namespaces and process are being made.
    Starting,
    /// The process was executed.
    Running,
    /// The process ended; the next start waits.
    Backoff,
    /// It is being stopped.
    Stopping,
    /// Its process is stopped by wish, the node is kept.
    Stopped,
    /// It could not be made; `detail` says why. Tried again with backoff.
    Failed,
    /// Nothing of it is left on the host.
    Gone,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit status, if it ended by itself.
    pub code: Option<i32>,
    /// Signal, if one ended it.
    pub signal: Option<i32>,
    /// Killed by the memory limit.
    pub oom: bool,
    /// When.
    pub at: Millis,
    /// What is known of its cause beyond that, in words: why a runtime gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Last lines of output (at most 20, each at most 500 characters).
    pub last_lines: Vec<String>,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.oom, self.code, self.signal) {
            (true, ..) => f.write_str("killed: memory limit"),
            (_, Some(code), _) => write!(f, "exit status {code}"),
            (_, _, Some(signal)) => write!(f, "killed by signal {signal}"),
            _ => f.write_str("ended"),
        }?;
        self.cause.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// How near a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmLevel {
    /// Three quarters of it are used.
    Warning,
    /// Nine tenths of it are used.
    Critical,
}

/// A limit that a node's runtime is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAlarm {
    /// Of what: `atoms`, `processes`, `ports`, `ets`, `memory`.
    pub what: String,
    /// How near.
    pub level: AlarmLevel,
    /// How many there were when the level changed.
    pub count: u64,
    /// How many there may be.
    pub limit: u64,
}

impl std::fmt::Display for NodeAlarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = self.count.saturating_mul(100).checked_div(self.limit).unwrap_or(0);
        write!(f, "{share} % of its {} are used ({} of {})", self.what, self.count, self.limit)
    }
}

/// One node as its host sees it; stored under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: NodeId,
    /// Its place.
    pub path: NodePath,
    /// Its revision.
    pub revision: u64,
    /// Its host.
    pub host: HostId,
    /// Its address.
    pub address: Ipv4Addr,
    /// The generation of the document entry that the host acted on.
    pub generation: Generation,
    /// Where it stands.
    pub phase: NodePhase,
    /// Ready: running, and its check (if any), applications and cluster are as wanted.
    pub ready: bool,
    /// Since when phase and readiness are as they are.
    pub since: Millis,
    /// When the process last started.
    pub started_at: Option<Millis>,
    /// Restarts of the process since the node was made.
    pub restarts: u32,
    /// The last end of the process.
    pub exit: Option<Exit>,
    /// What it waits for, or what went wrong.
    pub detail: Option<String>,
    /// Limits that its runtime is near.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<NodeAlarm>,
    /// The newest vote set that its PID 1 knows of, where it has a vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes_seen: Option<u64>,
    /// It runs its family's distributed application, by the votes of its family.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
    /// Its bootstrap command was run, or the cluster began with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
}

impl NodeStatus {
    /// Does its process run?
    pub fn is_up(&self) -> bool {
        self.phase == NodePhase::Running
    }

    /// What its detail says while its process is begun again for a cause.
    pub fn because_restarted(cause: &str) -> String {
        format!("{RESTARTED}{cause}")
    }

    /// The cause, where its detail says that its process is begun again.
    pub fn restarted(&self) -> Option<&str> {
        self.detail.as_deref()?.strip_prefix(RESTARTED)
    }
}

/// How such a detail begins.
const RESTARTED: &str = "restarted: ";
