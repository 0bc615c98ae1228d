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
