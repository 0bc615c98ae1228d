//! Pushes: releases of a service that come by `git push`, and the keys that may send them.

use crate::{Millis, Name, ServicePath};
use serde::{Deserialize, Serialize};

/// Most keys of one service.
pub const KEYS_MAX: usize = 32;
/// Most bytes of a commit's subject that are kept.
pub const SUBJECT_BYTES_MAX: usize = 200;
/// Digits of a commit's name that its version has: enough for millions of commits of one repository.
const VERSION_DIGITS: usize = 12;

/// Who may push releases of a service, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushes {
    /// The name of its repository among the controller's. A service that is made again has another one.
    pub repository: String,
    /// Keys of SSH, in the order in which they came.
    pub keys: Vec<PushKey>,
}

/// The public half of a key that may push to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushKey {
    /// What people call it.
    pub name: Name,
    /// Its kind, such as `ssh-ed25519`.
    pub kind: String,
    /// The key itself, in base64 as in OpenSSH's files.
    pub key: String,
    /// Its fingerprint as OpenSSH says it: `SHA256:` and base64.
    pub fingerprint: String,
    /// What it pushes is put to use at once.
    #[serde(default)]
    pub auto_enable: bool,
    /// When it was added.
    pub added_at: Millis,
    /// Who added it.
    pub added_by: String,
}

/// Where a release came from that was pushed. It is never taken by its name alone: somebody puts it to use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The service that it was pushed to.
    pub service: ServicePath,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The commit's name, in hexadecimal digits.
    pub commit: String,
    /// First line of its message, at most [`SUBJECT_BYTES_MAX`].
    pub subject: String,
    /// The name of the key that sent it.
    pub key: Name,
}

/// The version of the release that a commit becomes: `git-` and its first digits.
pub fn version_of(commit: &str) -> String {
    format!("git-{}", commit.get(..VERSION_DIGITS).unwrap_or(commit))
}
