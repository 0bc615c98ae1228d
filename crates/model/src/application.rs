//! What a person asks for: the content of a manifest after variables and stages are filled in.
//!
//! Every field is optional: `apply` owns what the file says, and what it leaves out keeps its live value.

use crate::beam::Beam;
use crate::check::Check;
use crate::family::{Select, StateKind};
use crate::package::PackageRef;
use crate::release::ReleaseRef;
use crate::revision::{Backoff, FileSpec, Isolation, Opening, StopSpec, VolumeSpec};
use crate::rollout::RolloutPolicy;
use crate::route::{Maintenance, RouteSpec};
use crate::{AppName, ByteSize, CpuMillis, FamilyName, Name, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An application as a manifest says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationSpec {
    /// Its services.
    #[serde(default)]
    pub services: BTreeMap<ServiceName, ServiceSpec>,
}

/// A manifest's statement about an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The application.
    pub app: AppName,
    /// What it shall be.
    pub spec: ApplicationSpec,
    /// Services that the file does not name are deleted.
    #[serde(default)]
    pub prune: bool,
    /// Volumes of deleted services go too.
    #[serde(default)]
    pub delete_data: bool,
    /// Exactly the plan with this digest, or a conflict.
    #[serde(default)]
    pub plan: Option<crate::Digest>,
}

/// A service as a manifest says it. Fields that are `None` keep their live value (or the default at first).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// The release it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseRef>,
    /// The package that says how it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageRef>,
    /// Settings of the package as people write them, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<BTreeMap<String, String>>,
    /// Services of the application whose interfaces it uses, by the name of the link, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<BTreeMap<String, ServiceName>>,
    /// A command that runs without a release, or instead of the release's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<String>>,
    /// A command that stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_command: Option<Vec<String>>,
    /// Environment, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Names of secrets, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// Files by path, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// Files of the release that are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<Vec<String>>,
    /// Openings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Vec<Opening>>,
    /// Volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeSpec>>,
    /// How its nodes are kept apart from their host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// BEAM settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beam: Option<Beam>,
    /// A command is run on each node after it is ready; no word of one (`none`) leaves joining to the nodes themselves, and what
    /// is absent (`join-first`) to [`Beam::join`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Vec<String>>,
    /// Whose first ready node it joins: SERVICE or SERVICE/FAMILY of the application; its own family where empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_with: Option<String>,
    /// The command runs again at each start of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_each_start: Option<bool>,
    /// Jobs before a rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<Vec<String>>>,
    /// Ready?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Alive?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Check>,
    /// How it stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopSpec>,
    /// Restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Backoff>,
    /// Rollouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutPolicy>,
    /// What a failed host means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateKind>,
    /// Services that must be healthy first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<ServiceName>>,
    /// Scheduled tasks by name, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<BTreeMap<Name, TaskSpec>>,
    /// Ways in from outside, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<RouteSpec>>,
    /// Under repair: the doors say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Families by name. A bare release has one, named after the service.
    pub families: BTreeMap<FamilyName, FamilySpec>,
}

/// A family as a manifest says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FamilySpec {
    /// Wanted nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Processor of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuMillis>,
    /// Memory of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Disk of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ByteSize>,
    /// Processes and threads of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// How hosts are chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,
    /// At most so many on one host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_host: Option<u32>,
    /// Pools that alone may be used, in this order; an empty list: any host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pools: Option<Vec<Name>>,
    /// What must hold of a host (CEL); an empty text: nothing.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Scaling by load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<crate::scale::ScalePolicy>,
}

/// What happens when a task is due while the former run still goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// This time is left out.
    #[default]
    Skip,
    /// Both run.
    Allow,
    /// It waits for the former one.
    Queue,
}

/// A scheduled task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its command.
    pub command: Vec<String>,
    /// Cron pattern of five fields.
    pub schedule: String,
    /// Overlap.
    #[serde(default)]
    pub overlap: Overlap,
    /// IANA time zone; UTC where none is said.
    #[serde(default)]
    pub timezone: Option<String>,
}
