//! Operations: long pieces of work that a person asked for.

use crate::code::Code;
use crate::{FamilyPath, Millis, OperationId};
use serde::{Deserialize, Serialize};

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// Under way.
    Running,
    /// Ended well.
    Done,
    /// Ended badly: `code` and `message` say how.
    Failed,
    /// A person cancelled it, or a newer one replaced it.
    Cancelled,
}

/// An operation as stored: key = its id. The engine ends it when the families are as it wanted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What was asked: `apply`, `scale`, `restart`, `delete`, `rollback`.
    pub verb: String,
    /// To what.
    pub subject: String,
    /// Who asked.
    pub actor: String,
    /// The families it waits for, with the revision and count that it wants of each.
    pub waits: Vec<Goal>,
    /// Where it stands.
    pub state: OperationState,
    /// Code of a bad end.
    #[serde(default)]
    pub code: Option<Code>,
    /// One sentence about the end, or about what it waits for now.
    #[serde(default)]
    pub message: String,
    /// More lines: reasons, last log lines.
    #[serde(default)]
    pub details: Vec<String>,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Millis>,
    /// The controller works at it itself and says how it ended. One that says nothing until then has stopped meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Millis>,
}

/// What an operation wants of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// The family.
    pub family: FamilyPath,
    /// Its nodes run this revision (`None`: the family is gone).
    pub revision: Option<u64>,
    /// With this restart counter at least.
    #[serde(default)]
    pub restart: u64,
    /// So many are ready.
    pub ready: u32,
}
