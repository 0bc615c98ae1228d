//! Rollouts: from one revision to the next.

use crate::{Millis, Span};
use serde::{Deserialize, Serialize};

/// How nodes change over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Some at a time.
    #[default]
    Rolling,
    /// All of the new beside all of the old, then switch.
    BlueGreen,
    /// One first, then wait for `promote`.
    Canary,
    /// All together.
    AllAtOnce,
}

/// The rules of a rollout (`rollout = { ... }` in the manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RolloutPolicy {
    /// How.
    pub strategy: Strategy,
    /// At most so many nodes of the wanted count are not ready because of the rollout.
    pub max_unavailable: u32,
    /// All ready for so long, then it is done.
    pub healthy_for: Span,
    /// A node that is not ready after this long fails the revision.
    pub deadline: Span,
    /// A failed revision goes back by itself.
    pub revert: bool,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            max_unavailable: 1,
            healthy_for: Span::secs(5),
            deadline: Span::secs(120),
            revert: true,
        }
    }
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Nodes are changing over.
    Rolling,
    /// All are ready; watched since.
    Watching {
        /// Since when all are ready.
        since: Millis,
    },
    /// Done.
    Done,
    /// Failed; the former revision is coming back.
    Reverting {
        /// What went wrong.
        cause: String,
    },
    /// Failed; the former revision is back and healthy.
    Reverted {
        /// What went wrong.
        cause: String,
    },
    /// Failed; there is nothing to go back to, or reverting is off or failed too.
    Failed {
        /// What went wrong.
        cause: String,
    },
    /// Stopped by a person; the former revision is coming back.
    Aborted,
}

/// A rollout of one family, kept in its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The revision that the nodes had (`None` at the first one).
    pub from: Option<u64>,
    /// The revision that they shall have.
    pub to: u64,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub started_at: Millis,
    /// When the phase last changed or a node last became ready.
    pub moved_at: Millis,
    /// The last log lines of the node that failed.
    #[serde(default)]
    pub last_lines: Vec<String>,
}

impl Rollout {
    /// Is nothing left to do?
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Reverted { .. } | Phase::Failed { .. })
    }
}
