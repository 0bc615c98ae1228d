//! Secrets: named sealed values. The values themselves are never part of a model type.

use crate::{AppName, Millis};
use serde::{Deserialize, Serialize};

/// Largest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// How names of secrets begin that hold what an action was told, as long as its task runs.
pub const TASK_PREFIX: &str = "LACE_TASK_";

/// What may be shown of a secret: key `APP/NAME` of the store's sealed table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// The application.
    pub app: AppName,
    /// Its name (`[A-Za-z_][A-Za-z0-9_]*`, it may become an environment variable).
    pub name: String,
    /// Newest version, from 1.
    pub version: u64,
    /// When that version came.
    pub updated_at: Millis,
    /// Made by Lace (a cluster cookie), not by a person.
    #[serde(default)]
    pub generated: bool,
}
