//! A node that is about to stop, and the doors of other hosts that may give it requests: its agent asks, each of those
//! hosts lets go of it and says so, and the agent hears when all have. A host that goes away has no door either.

use crate::session::{Fleet, HostState};
use lace_model::document::EntryId;
use lace_model::{AppName, HostId, NodeId};
use lace_wire::DRAINS_SINCE;
use lace_wire::link::frame::ToAgent;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Nodes of one host that are waited for at a time: more than one host can have.
const OF_ONE_HOST_MAX: usize = 4_096;

/// Who asked, and who has not answered yet.
struct Open {
    asker: HostId,
    waits_for: HashSet<HostId>,
}

/// What is under way, by node.
#[derive(Default)]
pub(crate) struct Drains(Mutex<HashMap<NodeId, Open>>);

impl Drains {
    /// False where the host asks for more than any host has.
    fn begin(&self, node: NodeId, asker: HostId, waits_for: HashSet<HostId>) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().filter(|one| one.asker == asker).count() >= OF_ONE_HOST_MAX {
            return false;
        }
        open.insert(node, Open { asker, waits_for });
        true
    }

    /// A host has let go of it: who is to hear that all have.
    fn answered(&self, node: NodeId, host: HostId) -> Option<HostId> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = open.get_mut(&node)?;
        one.waits_for.remove(&host);
        if !one.waits_for.is_empty() {
            return None;
        }
        open.remove(&node).map(|one| one.asker)
    }

    /// A host went away: what it asked is forgotten, what it was asked is answered.
    fn gone(&self, host: HostId) -> Vec<(NodeId, HostId)> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, one| one.asker != host);
        let mut over = Vec::new();
        open.retain(|node, one| {
            one.waits_for.remove(&host);
            let is_over = one.waits_for.is_empty();
            if is_over {
                over.push((*node, one.asker));
            }
            !is_over
        });
        over
    }
}

impl Fleet {
    /// A host is about to stop a node. A node that the document of another host names is not its to drain.
    pub(crate) fn drain(&self, asker: HostId, (node, app): (NodeId, AppName), within_ms: u64) {
        let others: HashSet<HostId> = {
            let hosts = self.hosts();
            let of_another = |(host, state): (&HostId, &HostState)| {
                *host != asker && state.documents.entries.contains_key(&EntryId::Node(node))
            };
            if hosts.iter().any(of_another) {
                tracing::warn!(host = %asker, %node, "a host asks to drain a node of another one");
                drop(hosts);
                self.send(asker, ToAgent::Drained { node });
                return;
            }
            let hears = |(host, state): &(&HostId, &HostState)| {
                **host != asker && state.speaks(DRAINS_SINCE) && state.documents.topics.contains_key(&app)
            };
            hosts.iter().filter(hears).map(|(host, _)| *host).collect()
        };
        if others.is_empty() || !self.0.drains.begin(node, asker, others.clone()) {
            self.send(asker, ToAgent::Drained { node });
            return;
        }
        for host in others {
            if !self.send(host, ToAgent::Drain { node, within_ms }) {
                self.drained(host, node);
            }
        }
    }

    /// A host's door has let go of a node.
    pub(crate) fn drained(&self, host: HostId, node: NodeId) {
        if let Some(asker) = self.0.drains.answered(node, host) {
            self.send(asker, ToAgent::Drained { node });
        }
    }

    /// A host's session ended.
    pub(crate) fn drains_nothing(&self, host: HostId) {
        for (node, asker) in self.0.drains.gone(host) {
            self.send(asker, ToAgent::Drained { node });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> HostId {
        HostId::derive(&[n; 32], "host")
    }

    #[test]
    fn the_asker_hears_when_the_last_one_answered_or_went_away() {
        let drains = Drains::default();
        let node = |n: u8| NodeId::derive(&[n; 32], "node");
        let others = || [host(2), host(3)].into_iter().collect::<HashSet<_>>();
        assert!(drains.begin(node(1), host(1), others()) && drains.begin(node(2), host(1), others()));
        assert_eq!(drains.answered(node(1), host(2)), None, "one of two");
        assert_eq!(drains.answered(node(1), host(2)), None, "the same one again");
        assert_eq!(drains.answered(node(1), host(4)), None, "who was not asked");
        assert_eq!(drains.answered(node(1), host(3)), Some(host(1)));
        assert_eq!(drains.answered(node(1), host(3)), None, "it is over");
        assert_eq!(drains.gone(host(2)), [], "one is left");
        assert_eq!(drains.gone(host(3)), [(node(2), host(1))]);
        assert!(drains.begin(node(3), host(1), others()));
        assert_eq!(drains.gone(host(1)), [], "nobody is left to hear it");
        assert_eq!(drains.gone(host(2)), []);
    }
}
