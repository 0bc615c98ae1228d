//! `lace why`: everything that is known about why something is as it is.

use crate::family::HostView;
use lace_model::family::Family;
use lace_model::node::NodeStatus;
use lace_model::target::Target;
use lace_model::{FamilyPath, Millis, NodeId, name::TargetPath};
use std::collections::BTreeMap;

/// The world that `explain` looks at.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Families.
    pub families: &'a BTreeMap<FamilyPath, Family>,
    /// Their targets.
    pub targets: &'a BTreeMap<FamilyPath, Target>,
    /// Their nodes.
    pub observed: &'a BTreeMap<NodeId, NodeStatus>,
    /// Hosts.
    pub hosts: &'a [HostView],
    /// Now.
    pub now: Millis,
}

/// Sentences about an application, a service, a family or one node.
pub fn explain(what: &TargetPath, world: &World) -> Vec<String> {
    let _ = (what, world);
    Vec::new()
}
