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

/// A mesh, or a part of one, in numbers: where there are too many to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeamPart {
    /// `cluster N`, `group NAME`, or `mesh`.
    pub name: String,
    /// Its runtimes.
    pub nodes: usize,
    /// Planned connections that are there, counted at both ends.
    pub connected: usize,
    /// Planned connections.
    pub planned: usize,
    /// Runtimes that are not as planned.
    pub deviating: usize,
}

impl BeamPart {
    /// The parts of some runtimes, in their order.
    pub fn of(nodes: &[BeamNode]) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for BeamNode { report, .. } in nodes {
            let name = match (report.cluster, &report.group) {
                (Some(cluster), _) => format!("cluster {cluster}"),
                (None, Some(group)) => format!("group {group}"),
                (None, None) => "mesh".to_owned(),
            };
            let at = parts.iter().position(|part| part.name == name).unwrap_or_else(|| {
                parts.push(Self { name, ..Self::default() });
                parts.len() - 1
            });
            let part = &mut parts[at];
            let planned = report.planned.len() + report.gateways.len();
            part.nodes += 1;
            part.planned += planned;
            part.connected += planned - report.missing().count() - report.unreached().count();
            part.deviating += usize::from(!report.deviations().is_empty());
        }
        parts
    }
}
