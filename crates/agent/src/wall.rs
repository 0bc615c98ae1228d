//! The firewall of the host: built from all topics and entries, applied in batches beside the start path.

use crate::clock::Backoff;
use crate::hands::{Hands, Kept};
use crate::held::State;
use lace_machine::{Application, Cidr, FirewallState, Neighbour, OpenPort, PortSource, Protocol, Way};
use lace_model::document::EntryBody;
use lace_model::revision::{OpenTo, Opening};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Changes of so long go in one batch: an `nft` process costs about as much.
const GATHER: Duration = Duration::from_millis(5);

/// Other firewalls of the host are looked at this often: they reload, and drop what they do not know.
const OTHERS_EVERY: Duration = Duration::from_secs(15);

/// Says that the firewall may have to change.
#[derive(Default)]
pub struct Wall(Notify);

impl Wall {
    /// Something changed; at once applied with whatever else changes now.
    pub fn nudge(&self) {
        self.0.notify_one();
    }

    /// Keeps the firewall as it should be.
    pub fn keep(self: Arc<Self>, hands: Arc<Hands>) -> Kept {
        Kept(tokio::spawn(async move {
            let mut opened = Vec::new();
            keep_open(&hands, &mut opened).await;
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
            let mut applied = None;
            loop {
                if tokio::time::timeout(OTHERS_EVERY, self.0.notified()).await.is_err() {
                    keep_open(&hands, &mut opened).await;
                    if let Err(error) = keep_ways(&hands).await {
                        tracing::warn!(error, "nodes of other hosts may be out of reach");
                    }
                    continue;
                }
                tokio::time::sleep(GATHER).await;
                // What was nudged for may be in force already: nodes nudge when they start and end.
                let statements = hands.held.read(|state| state.statements);
                if applied == Some(statements) {
                    continue;
                }
                match apply(&hands).await {
                    Ok(()) => {
                        applied = Some(statements);
                        backoff.reset();
                    }
                    Err(error) => {
                        tracing::error!(error, "the firewall could not be changed; it stays as it was");
                        tokio::time::sleep(backoff.wait()).await;
                        self.nudge();
                    }
                }
            }
        }))
    }
}

/// Says once which chains of others had to be opened.
async fn keep_open(hands: &Arc<Hands>, opened: &mut Vec<String>) {
    let machine = hands.machine.clone();
    let kept = tokio::task::spawn_blocking(move || machine.keep_open()).await;
    match kept.map_err(|e| e.to_string()).and_then(|kept| kept.map_err(|e| e.to_string())) {
        Ok(chains) if chains == *opened => {}
        Ok(chains) => {
            tracing::info!(
                ?chains,
                "firewalls of others that drop what they do not know let nodes' packets pass"
            );
            *opened = chains;
        }
        Err(error) => tracing::warn!(error, "other firewalls may drop what nodes send"),
    }
}

/// The routes to nodes of other hosts; answers the interface that they go over.
async fn keep_ways(hands: &Arc<Hands>) -> Result<Option<String>, String> {
    let neighbours: Vec<Neighbour> =
        others(hands).map(|n| Neighbour { via: n.address, blocks: blocks(&n).collect() }).collect();
    let (machine, from) = (hands.machine.clone(), hands.underlay());
    let kept = tokio::task::spawn_blocking(move || machine.keep_ways(from, &neighbours)).await;
    kept.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

fn others(hands: &Hands) -> impl Iterator<Item = lace_model::host::Neighbour> {
    let (all, own) = (hands.held.read(|state| state.neighbours.clone()), hands.host);
    all.into_iter().filter(move |n| n.host != own)
}

fn blocks(neighbour: &lace_model::host::Neighbour) -> impl Iterator<Item = Cidr> {
    neighbour.blocks.iter().filter_map(|block| Cidr::new(block.base, 24).ok())
}

/// What comes from elsewhere is believed by the interface that leads there.
fn ways(hands: &Hands, interface: Option<String>) -> Vec<Way> {
    let Some(interface) = interface else { return Vec::new() };
    let of = |n: lace_model::host::Neighbour| {
        let host = n.blocks.first().map(|first| first.gateway());
        let way = |block: Cidr| Way {
            interface: interface.clone(),
            block,
            host: host.filter(|host| block.contains(*host)),
        };
        blocks(&n).map(way).collect::<Vec<_>>()
    };
    others(hands).flat_map(of).collect()
}

async fn apply(hands: &Arc<Hands>) -> Result<(), String> {
    let kept = keep_ways(hands).await;
    let mut state = hands.held.read(wanted);
    state.ways = ways(hands, kept.clone().ok().flatten());
    let machine = hands.machine.clone();
    match tokio::task::spawn_blocking(move || machine.firewall(&state)).await {
        Ok(done) => done.map_err(|e| e.to_string())?,
        Err(panic) => return Err(panic.to_string()),
    }
    kept.map(drop)
}

/// The whole firewall, as topics and entries want it. Everything in an application reaches everything in it; all may
/// go out.
fn wanted(held: &State) -> FirewallState {
    let mut state = FirewallState::default();
    let mut member = |app: &str, address: Ipv4Addr, openings: &[Opening]| {
        let application = state.applications.entry(app.to_owned()).or_default();
        application.members.push(address);
        state.open.extend(openings.iter().filter_map(|opening| open(address, opening)));
    };
    for topic in held.topics.values() {
        for m in &topic.members {
            member(topic.app.as_str(), m.address, &m.openings);
        }
    }
    // The entries may be ahead of their topic: a node may talk from its first moment.
    let mut on_host = Vec::new();
    for entry in held.entries.values() {
        match &entry.body {
            EntryBody::Node(node) => {
                if node.spec.isolation.is_on_host() {
                    on_host.push(node.address);
                }
                member(node.path.family.app.as_str(), node.address, &node.spec.firewall);
            }
            EntryBody::Job(job) => {
                if let Some(address) = job.address {
                    if job.spec.isolation.is_on_host() {
                        on_host.push(address);
                    }
                    member(job.app.as_str(), address, &[]);
                }
            }
            EntryBody::Task(_) => {}
        }
    }
    state.on_host = on_host;
    settle(&mut state);
    state
}

/// One form for equal states, so that nothing is applied twice.
fn settle(state: &mut FirewallState) {
    for application in state.applications.values_mut() {
        let members: BTreeSet<_> = application.members.drain(..).collect();
        *application =
            Application { members: members.iter().copied().collect(), egress: members.into_iter().collect() };
    }
    state.on_host.sort_unstable();
    state.on_host.dedup();
    state.open.sort_by_key(|o| (o.address, o.protocol, o.first, o.last, format!("{:?}", o.from)));
    state.open.dedup();
}

fn open(address: Ipv4Addr, opening: &Opening) -> Option<OpenPort> {
    let protocol = match opening.protocol {
        lace_model::revision::Protocol::Tcp => Protocol::Tcp,
        lace_model::revision::Protocol::Udp => Protocol::Udp,
    };
    let from = match &opening.from {
        OpenTo::Any => PortSource::Any,
        OpenTo::App(app) => PortSource::Application(app.to_string()),
        OpenTo::Net(net) => PortSource::Block(net.parse::<Cidr>().ok()?),
    };
    Some(OpenPort { address, protocol, first: opening.first, last: opening.last, from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::document::{Member, Topic};
    use lace_model::{Generation, Name, NodeId};

    #[test]
    fn members_of_a_topic_may_talk_and_their_openings_are_open() {
        let app = Name::new("shop").unwrap();
        let address = Ipv4Addr::new(10, 228, 0, 2);
        let member = Member {
            node: NodeId::derive(&[0; 32], "a"),
            path: "shop/web/web/1".parse().unwrap(),
            address,
            up: true,
            ready: true,
            openings: vec!["tcp:80:81 from any".parse().unwrap(), "udp:53 from other".parse().unwrap()],
            revision: 0,
            mesh: 0,
            joined: false,
        };
        let topic = Topic {
            app: app.clone(),
            generation: Generation::default(),
            members: vec![member.clone(), member],
            ports: Default::default(),
            doors: Default::default(),
            shares: Default::default(),
            certificates: Vec::new(),
            challenges: Vec::new(),
            runtimes: Default::default(),
        };
        let mut held = State::default();
        held.topics.insert(app, topic);
        let state = wanted(&held);
        assert_eq!(state.applications["shop"].members, [address]);
        assert_eq!(state.applications["shop"].egress, [address]);
        assert_eq!(state.open.len(), 2);
        assert_eq!(state.open[1].from, PortSource::Application("other".to_owned()));
    }
}
