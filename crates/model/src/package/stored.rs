//! Packages that a controller keeps.

use super::Package;
use crate::{Digest, Millis};
use serde::{Deserialize, Serialize};

/// A package as stored: key `NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPackage {
    /// What its `package.toml` says.
    pub spec: Package,
    /// Digest of its tree: what services pin.
    pub tree: Digest,
    /// Bytes of file content.
    pub bytes: u64,
    /// It came with Lace: it is there again after each start, and nobody deletes it.
    #[serde(default)]
    pub built_in: bool,
    /// When it came.
    pub uploaded_at: Millis,
}
