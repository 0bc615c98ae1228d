//! Keys that may push releases of a service, and where they push to.

use lace_model::push::PushKey;
use lace_model::{Name, TargetPath};
use serde::{Deserialize, Serialize};

/// Lets a key push releases of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyRequest {
    /// The service: APP/SERVICE.
    #[schema(value_type = String)]
    pub target: TargetPath,
    /// The public half, a line as in OpenSSH's files: `ssh-ed25519 AAAA... somebody@somewhere`.
    pub key: String,
    /// What it is called; made of the line's last word where none is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
    /// What it pushes is put to use at once.
    #[serde(default)]
    pub auto_enable: bool,
}

/// How releases of a service are pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushView {
    /// Where to: `ssh://git@HOST:PORT/APP/SERVICE`; none where the controller takes no pushes.
    pub url: Option<String>,
    /// The fingerprint of the key that the controller shows there.
    pub host_key: Option<String>,
    /// The keys that may push to it.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<PushKey>,
}
