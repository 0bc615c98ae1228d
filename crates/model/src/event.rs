//! Events: facts that happened.

use crate::Millis;
use serde::{Deserialize, Serialize};

/// One fact, with its place in the sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// What sort: `node.running`, `node.exited`, `rollout.done`, `app.applied`.
    pub kind: String,
    /// To what: `shop/game/2`, `host/alpha`.
    pub subject: String,
    /// One sentence for people.
    pub message: String,
    /// Who caused it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// An event before it has its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// What sort.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// One sentence.
    pub message: String,
    /// Who caused it.
    pub actor: Option<String>,
}

impl NewEvent {
    /// An event that no person caused.
    pub fn new(kind: impl Into<String>, subject: impl ToString, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), subject: subject.to_string(), message: message.into(), actor: None }
    }
    /// An event that a person caused.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }
}
