//! Plans of `lace plan` and `lace apply`: one diff, shown and done alike.

use crate::money::Cost;
use crate::{AppName, Digest, ServiceName};
use serde::{Deserialize, Serialize};

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The service, or `None` for the application itself.
    pub service: Option<ServiceName>,
    /// What happens.
    pub action: Action,
    /// The field: `env.PHX_HOST`, `family.game.count`, `release`; empty for the whole thing.
    pub field: String,
    /// Live value (never a secret's).
    pub from: Option<String>,
    /// Wanted value (never a secret's).
    pub to: Option<String>,
    /// What it leads to: `rolls 3 nodes`, `starts 2 nodes`, `deletes 1 volume`.
    pub effect: Option<String>,
}

/// What happens to the thing that a change names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It comes.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
    /// It was changed by hand; the file does not say otherwise, so it stays (shown as drift).
    Drift,
}

/// A plan. Its digest pins it: `apply PLAN` does exactly this or ends with a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The application.
    pub app: AppName,
    /// The lines.
    pub changes: Vec<Change>,
    /// Digest over the live state that it was computed from and the wanted state.
    pub digest: Digest,
    /// What it costs, as far as that was computed. The digest does not pin it: prices change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

impl Plan {
    /// Would anything change?
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|c| c.action == Action::Drift)
    }
}
