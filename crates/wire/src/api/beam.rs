//! Erlang and Elixir runtimes.

use lace_model::TargetPath;
use serde::{Deserialize, Serialize};

/// Calls a function in an Erlang runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamCallRequest {
    /// The node.
    #[schema(value_type = String)]
    pub target: TargetPath,
    /// The call.
    #[serde(flatten)]
    pub call: crate::beam::BeamCall,
}

/// Takes a running node, and those that it sees, into view. Holds secrets: it has no debug text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// Their cookie.
    pub cookie: String,
    /// Their distribution port, where no epmd shall be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whom to trust and what to show, where they speak TLS.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<lace_model::adopted::AdoptedTls>,
}

/// An Erlang runtime at its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BeamNode {
    /// The node.
    #[schema(value_type = String)]
    pub path: lace_model::NodePath,
    /// What it says.
    #[serde(flatten)]
    pub report: crate::beam::BeamReport,
}
