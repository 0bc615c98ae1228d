//! What hosts are told of targets: entries of their documents, and topics.

use lace_model::document::{Entry, EntryId, Topic};
use lace_model::node::NodeStatus;
use lace_model::revision::Revision;
use lace_model::target::Target;
use lace_model::{AppName, Generation, HostId, NodeId, ServicePath};
use std::collections::BTreeMap;

/// The entries of a target's nodes, by host. An entry whose body is as in `previous` keeps its generation.
pub fn entries(
    target: &Target,
    revisions: &BTreeMap<u64, Revision>,
    previous: &BTreeMap<EntryId, Entry>,
) -> Vec<(HostId, Entry)> {
    let _ = (target, revisions, previous);
    Vec::new()
}

/// What every host that carries the application knows of it.
pub fn topic<'a>(
    app: &AppName,
    targets: impl IntoIterator<Item = &'a Target>,
    observed: &BTreeMap<NodeId, NodeStatus>,
    revisions: &BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    generation: Generation,
) -> Topic {
    let _ = (targets.into_iter().count(), observed, revisions);
    Topic {
        app: app.clone(),
        generation,
        members: Vec::new(),
        ports: BTreeMap::new(),
    }
}
