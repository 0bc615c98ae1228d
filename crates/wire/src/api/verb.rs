//! What a person asks for, and the first answer.

use lace_model::OperationId;
use lace_model::TargetPath;
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
    /// Run an action of the service's package.
    Action {
        /// The service, a family of it, or a node.
        #[schema(value_type = String)]
        target: TargetPath,
        /// Its name.
        action: String,
        /// What is said to it, by name. Stored with the task, except where the package calls it secret.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
    },
    /// Move a distributed Erlang application to another node.
    Failover {
        /// Which family.
        #[schema(value_type = String)]
        target: TargetPath,
        /// To which index; where none is said, to the first backup that is well.
        to: Option<u32>,
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
        /// In the running runtimes, one node after the other, without a restart.
        #[serde(default)]
        hot: bool,
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
        /// In the running runtimes, one node after the other, without a restart.
        #[serde(default)]
        hot: bool,
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
    /// The canary is good: the rest follows.
    Promote,
    /// This step of the canary is good: the next one follows.
    PromoteStep,
    /// Go back.
    Abort,
}
