//! What hosts are told of targets: entries of their documents, and topics.

use lace_model::beam::{Beam, BeamNames, DISTRIBUTION_PORT};
use lace_model::check::Probe;
use lace_model::document::{Entry, EntryBody, EntryId, Member, NodeEntry, RevisionShare, Topic};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::revision::{Revision, RevisionSpec};
use lace_model::target::{PlannedNode, Target, VoteOrder, Want};
use lace_model::{AppName, FamilyPath, Generation, HostId, NodeId, ServicePath};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The entries of a target's nodes, by host, those that are to go included.
///
/// An entry whose body is as in `previous` keeps its generation.
/// A node whose revision is unknown and that has no previous entry is left out.
pub fn entries(
    target: &Target,
    revisions: &BTreeMap<u64, Revision>,
    previous: &BTreeMap<EntryId, Entry>,
) -> Vec<(HostId, Entry)> {
    target
        .nodes
        .iter()
        .filter_map(|node| {
            let before = previous.get(&EntryId::Node(node.id));
            let spec = spec_of(node, revisions, before)?.of_family(&target.family.family);
            Some((node.host, entry(target, node, spec, before)))
        })
        .collect()
}

fn spec_of(
    node: &PlannedNode,
    revisions: &BTreeMap<u64, Revision>,
    before: Option<&Entry>,
) -> Option<RevisionSpec> {
    match (revisions.get(&node.revision), before.map(|e| &e.body)) {
        (Some(revision), _) => Some(revision.spec.clone()),
        (None, Some(EntryBody::Node(entry))) => Some(entry.spec.clone()),
        _ => None,
    }
}

fn entry(target: &Target, node: &PlannedNode, spec: RevisionSpec, before: Option<&Entry>) -> Entry {
    let is_voted = spec.beam.as_ref().is_some_and(Beam::is_voted);
    let votes = target.votes.as_ref().filter(|_| is_voted).map(|votes| VoteOrder {
        is_first: votes.founded_at == Some(node.planned_at),
        ..votes.order.clone()
    });
    let body = EntryBody::Node(Box::new(NodeEntry {
        id: node.id,
        path: target.family.node(node.index),
        address: node.address,
        revision: node.revision,
        spec,
        want: node.want,
        votes,
        mesh: node.mesh,
    }));
    let unchanged = before.filter(|e| e.body == body).map(|e| e.generation);
    Entry { id: EntryId::Node(node.id), generation: unchanged.unwrap_or(target.generation), body }
}

/// What every host that carries the application knows of it.
///
/// A node that is to go keeps its address in the sets until it is gone, so that it can take its leave of its peers;
/// it has no name any more.
pub fn topic<'a>(
    app: &AppName,
    targets: impl IntoIterator<Item = &'a Target>,
    observed: &BTreeMap<NodeId, NodeStatus>,
    revisions: &BTreeMap<ServicePath, BTreeMap<u64, Revision>>,
    generation: Generation,
) -> Topic {
    let mut topic = Topic {
        app: app.clone(),
        generation,
        members: Vec::new(),
        ports: BTreeMap::new(),
        doors: BTreeMap::new(),
        shares: BTreeMap::new(),
        certificates: Vec::new(),
        challenges: Vec::new(),
        runtimes: Default::default(),
    };
    for target in targets.into_iter().filter(|t| t.family.app == *app) {
        let known = revisions.get(&target.family.service_path());
        add_members(&mut topic.members, target, observed, known);
        add_ports(&mut topic.ports, target, known);
        topic.runtimes.extend(runtime_of(target, known));
        if let Some(rollout) = &target.rollout
            && let (revision, Some(permille)) = (rollout.to, rollout.permille())
        {
            topic.shares.insert(target.family.clone(), RevisionShare { revision, permille });
        }
    }
    topic.members.sort();
    topic
}

/// How the Erlang runtimes of a family are called, by its newest revision that runs.
fn runtime_of(
    target: &Target,
    revisions: Option<&BTreeMap<u64, Revision>>,
) -> Option<(FamilyPath, (String, BeamNames))> {
    let newest = target.nodes.iter().filter(|n| n.want == Want::Run).map(|n| n.revision).max()?;
    let beam = revisions?.get(&newest)?.spec.beam.as_ref()?;
    let base = beam.name.clone().unwrap_or_else(|| target.family.service.to_string());
    Some((target.family.clone(), (base, beam.names)))
}

fn add_members(
    members: &mut Vec<Member>,
    target: &Target,
    observed: &BTreeMap<NodeId, NodeStatus>,
    revisions: Option<&BTreeMap<u64, Revision>>,
) {
    let running = |n: &&PlannedNode| n.want == Want::Run;
    let held: BTreeSet<Ipv4Addr> = target.nodes.iter().filter(running).map(|n| n.address).collect();
    let shown = target.nodes.iter().filter(|n| n.want == Want::Run || !held.contains(&n.address));
    for node in shown {
        let status = observed.get(&node.id).filter(|_| node.want == Want::Run);
        let up = status.is_some_and(|s| s.phase == NodePhase::Running);
        let spec = revisions.and_then(|r| r.get(&node.revision)).map(|r| &r.spec);
        members.push(Member {
            node: node.id,
            path: target.family.node(node.index),
            address: node.address,
            up,
            ready: up && status.is_some_and(|s| s.ready),
            openings: spec.map(|s| s.firewall.clone()).unwrap_or_default(),
            revision: node.revision,
            mesh: node.mesh,
            joined: status.is_some_and(|s| s.joined),
        });
    }
}

fn add_ports(
    ports: &mut BTreeMap<FamilyPath, BTreeMap<String, u16>>,
    target: &Target,
    revisions: Option<&BTreeMap<u64, Revision>>,
) {
    // Where no node is, a door still has to know that something could be.
    let newest = target.nodes.iter().map(|n| n.revision).max().or(target.good);
    let Some(spec) = newest.and_then(|n| revisions?.get(&n)).map(|r| &r.spec) else { return };
    let mut named = named_port(spec);
    if spec.beam.is_some() {
        named.insert("beam".to_owned(), DISTRIBUTION_PORT);
    }
    if !named.is_empty() {
        ports.insert(target.family.clone(), named);
    }
}

/// The port that requests from outside go to where no route says another: that of the check.
pub fn usual_port(spec: &RevisionSpec) -> Option<u16> {
    named_port(spec).into_values().next()
}

fn named_port(spec: &RevisionSpec) -> BTreeMap<String, u16> {
    let mut named = BTreeMap::new();
    match spec.check.as_ref().map(|c| &c.probe) {
        Some(Probe::Http { port, .. }) => drop(named.insert("http".to_owned(), *port)),
        Some(Probe::Tcp { port }) => drop(named.insert("tcp".to_owned(), *port)),
        _ => {}
    }
    named
}
