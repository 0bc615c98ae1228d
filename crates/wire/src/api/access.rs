//! Tokens, the audit log, and the controller itself.

use lace_model::AppName;
use lace_model::HostId;
use lace_model::Millis;
use lace_model::Name;
use lace_model::NodeId;
use lace_model::TokenId;
use lace_model::people::Grant;
use lace_model::token::Role;
use serde::{Deserialize, Serialize};

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenRequest {
    /// What it is called.
    pub name: String,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppName>,
    /// It ends after this.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_in: Option<lace_model::Span>,
    /// It lets one agent join, and nothing else.
    #[serde(default)]
    pub join: bool,
}

/// A new token: its text is shown this once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenMade {
    /// Public part.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The whole text.
    pub token: String,
    /// When it ends.
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<Millis>,
}

/// What may be shown of a token: neither its text nor its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenInfo {
    /// Public part.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppName>,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
    /// When it ends.
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<Millis>,
    /// It works once.
    pub once: bool,
    /// It lets an agent join, and nothing else.
    pub join: bool,
    /// The user whose session it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub user: Option<Name>,
}

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditLine {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// Who; none where Lace did it by itself.
    pub actor: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it ended: `done`, `refused: 403`.
    pub outcome: String,
    /// Hash of the row before, in hexadecimal digits.
    pub prev_hash: String,
    /// Hash of this row, in hexadecimal digits.
    pub hash: String,
}

/// Whether the audit log is as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditVerdict {
    /// Rows that are as they were written, from the first.
    pub rows: u64,
    /// Is the chain whole?
    pub whole: bool,
    /// The first row that is not as it was written, and in which way.
    pub broken: Option<String>,
}

/// Trades a one-time login token for a session token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginRequest {
    /// The one-time token.
    pub token: String,
}

/// Who comes with a token, and until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionInfo {
    /// The token behind it.
    #[schema(value_type = String)]
    pub id: TokenId,
    /// The name that events and audit rows say.
    pub name: String,
    /// What it allows.
    #[schema(value_type = String)]
    pub role: Role,
    /// Applications it is limited to; all where empty.
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppName>,
    /// When it ends.
    #[schema(value_type = Option<u64>)]
    pub expires_at: Option<Millis>,
    /// The user whose session it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub user: Option<Name>,
    /// All that they may do, the grants of their teams among it.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub grants: Vec<Grant>,
}

/// About the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerInfo {
    /// Version of the binary.
    pub version: String,
    /// The installation.
    pub installation: String,
    /// The epoch.
    pub epoch: u64,
    /// In adopt mode?
    pub adopt: bool,
    /// Where agents dial.
    pub agent_address: String,
    /// The authority that agents know controllers by (PEM).
    #[serde(default)]
    pub authority: String,
    /// Nodes that hosts hold and the controller does not know.
    #[schema(value_type = Vec<Vec<String>>)]
    pub unknown_nodes: Vec<(HostId, NodeId)>,
}
