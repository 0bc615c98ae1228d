//! The public authority of certificates, as the API speaks of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an administrator says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorityRequest {
    /// Address of its directory (RFC 8555 section 7.1.1), https only.
    pub directory: String,
    /// Whom it may write to: addresses of mail.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// The only authorities that vouch for its server (PEM); the system's where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// `http-01` or `tls-alpn-01`; in turn where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// Its terms are agreed to.
    pub terms_agreed: bool,
}

/// The authorities that certificates come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityView {
    /// The public one, where it was chosen: its directory.
    pub directory: Option<String>,
    /// Whom it may write to.
    pub contacts: Vec<String>,
    /// Only authorities that were given vouch for its server.
    pub own_ca: bool,
    /// How it is shown that names are ours; in turn where none is said.
    pub challenge: Option<String>,
    /// When it was chosen.
    pub set_at: Option<u64>,
    /// The installation's own authority for routes (PEM), once it issued something.
    pub internal_ca: Option<String>,
}
