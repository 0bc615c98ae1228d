//! Families and services: what is wanted.

use crate::authority::Obtaining;
use crate::certificate::Certificate;
use crate::rollout::RolloutPolicy;
use crate::{AppName, FamilyPath, Millis, Name, ServicePath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An application: the unit that a person owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: AppName,
    /// When it was made.
    pub created_at: Millis,
    /// It is being deleted: nothing new starts in it.
    #[serde(default)]
    pub deleting: bool,
    /// Certificates for its routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// Certificates that are wanted and not there yet, or could not be renewed so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obtaining: Vec<Obtaining>,
}

impl Application {
    /// One that has nothing yet.
    pub fn new(name: AppName, created_at: Millis) -> Self {
        Self { name, created_at, deleting: false, certificates: Vec::new(), obtaining: Vec::new() }
    }
}

/// A service as stored: key `APP/SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its path.
    pub path: ServicePath,
    /// The wanted revision.
    pub revision: u64,
    /// The highest number given so far.
    pub revision_last: u64,
    /// What was applied, field by field: the base for the next apply, for drift and for export.
    pub spec: crate::application::ServiceSpec,
    /// It is being deleted.
    #[serde(default)]
    pub deleting: bool,
    /// Who may push releases of it; none where no key was ever added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushes: Option<crate::push::Pushes>,
}

/// What a failed host means for the family's nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// The replacement is a new node.
    #[default]
    Replaceable,
    /// Moves only after fencing or lease expiry.
    SingleWriter,
    /// Bound to its host's volume.
    Pinned,
}

/// How hosts are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// The lowest price.
    Cheapest,
    /// Over hosts, zones, pools, providers.
    #[default]
    Spread,
    /// Fill one before the next.
    Pack,
    /// In the order of the pools.
    First,
    /// Seeded.
    Random,
    /// In turn.
    RoundRobin,
}

/// A family as stored: key `APP/SERVICE/FAMILY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Its path.
    pub path: FamilyPath,
    /// Wanted nodes.
    pub count: u32,
    /// Wanted to run at all (`lace stop` makes it false, the count stays).
    pub running: bool,
    /// The wanted revision of the service.
    pub revision: u64,
    /// Goes up with `lace restart`: processes of nodes with an older value are restarted in place, rolling.
    #[serde(default)]
    pub restart: u64,
    /// Nodes that a person wants replaced (`lace replace`); an index leaves the set when its new node is ready.
    #[serde(default)]
    pub replace: BTreeMap<u32, crate::NodeId>,
    /// Rules of rollouts.
    #[serde(default)]
    pub rollout: RolloutPolicy,
    /// The rollout is paused.
    #[serde(default)]
    pub paused: bool,
    /// The rollout was aborted: this revision is not tried again.
    #[serde(default)]
    pub aborted: Option<u64>,
    /// A canary (or the new set of a blue-green rollout) was promoted for this revision.
    #[serde(default)]
    pub promoted: Option<u64>,
    /// A canary of this revision was promoted to this step at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_step: Option<(u64, u32)>,
    /// This revision is a hot upgrade, whatever the rules of rollouts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<u64>,
    /// How hosts are chosen.
    #[serde(default)]
    pub select: Select,
    /// At most so many nodes of this family on one host.
    #[serde(default)]
    pub per_host: Option<u32>,
    /// Scaling by load: the count is the scaler's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<crate::scale::ScalePolicy>,
    /// What a failed host means.
    #[serde(default)]
    pub state: StateKind,
    /// Families that must be healthy first.
    #[serde(default)]
    pub needs: BTreeSet<FamilyPath>,
    /// Pools that alone may be used, in this order, if any are said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Name>,
    /// What must hold of a host (CEL).
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Hosts by name that alone may be used, if any are said.
    #[serde(default)]
    pub hosts: BTreeSet<Name>,
    /// It is being deleted: its nodes are stopped, then the record goes.
    #[serde(default)]
    pub deleting: bool,
    /// It is being deleted by force: what has not gone by then is abandoned, and its host goes on with it.
    #[serde(default)]
    pub force_at: Option<Millis>,
}
