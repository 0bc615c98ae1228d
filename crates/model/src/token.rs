//! API tokens: who may do what. Only the digest of a token is stored.

use crate::{Digest, Millis, TokenId};
use serde::{Deserialize, Serialize};

/// What a token allows. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See everything but secrets.
    Viewer,
    /// Change applications.
    Deployer,
    /// Change hosts, tokens, the controller.
    Admin,
}

/// A token as stored: key = its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Public part.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[serde(default)]
    pub apps: Vec<crate::AppName>,
    /// Digest of the whole token text.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// It works once (login links, join tokens).
    #[serde(default)]
    pub once: bool,
    /// It lets an agent join, and nothing else.
    #[serde(default)]
    pub join: bool,
    /// The machine that joins with it, of those that were ordered from a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<crate::HostId>,
    /// The user whose session it is: it allows what they may do at the moment, whatever it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<crate::Name>,
}
