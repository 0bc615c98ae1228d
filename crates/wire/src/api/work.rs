//! Releases, packages and jobs, as they are asked for.

use lace_model::Name;
use lace_model::TargetPath;
use lace_model::release::ReleaseKind;
use lace_model::release::Tree;
use lace_model::revision::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A release's tree, after all its blobs were put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseUpload {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its tree.
    #[schema(value_type = Object)]
    pub tree: Tree,
    /// What sort it is.
    #[schema(value_type = String)]
    pub kind: ReleaseKind,
    /// Start command.
    pub start: Vec<String>,
    /// It has no start command: a package says what runs.
    #[serde(default)]
    pub files: bool,
    /// Stop command.
    #[serde(default)]
    pub stop: Option<Vec<String>>,
    /// Templates in the tree.
    #[serde(default)]
    pub templates: Vec<String>,
    /// What it needs.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub needs: lace_model::release::Needs,
}

/// A package's tree, after all its blobs were put. Name and version stand in its `package.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackageUpload {
    /// Its tree.
    #[schema(value_type = Object)]
    pub tree: Tree,
}

/// A one-off job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobRequest {
    /// Application, or service whose release, environment and secrets it uses.
    #[schema(value_type = String)]
    pub target: TargetPath,
    /// Its command.
    pub command: Vec<String>,
    /// More environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its limits, where others than the service's.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub limits: Option<Limits>,
    /// The release whose tree it sees, where not the target's: NAME (the newest) or NAME@VERSION.
    #[serde(default)]
    pub release: Option<String>,
}

/// The action of a package that says how the scripts of a service's code stand: lines of `SCRIPT STATE`.
pub const SCRIPTS: &str = "scripts";

/// How the scripts of a node's code stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeScripts {
    /// The node.
    #[schema(value_type = String)]
    pub path: lace_model::NodePath,
    /// In the order in which the node tells of them.
    pub scripts: Vec<ScriptState>,
    /// Why it cannot be asked.
    pub trouble: Option<String>,
}

/// How a script stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScriptState {
    /// The script.
    pub name: String,
    /// In words: `never started`, `running`, `stopped (return code 0)`.
    pub state: String,
}
