//! From an entry to a running process.

use super::events::NodeEvents;
use super::{Actor, attach, start};
use crate::spec::{self, Subject};
use lace_model::document::NodeEntry;
use lace_model::node::NodePhase;
use std::time::Duration;

/// Who templates over peers waits so long for the topic to name this node.
const TOPIC_WAIT: Duration = Duration::from_secs(2);

impl Actor {
    /// The node's events, of the node that is there or of a new one; nothing when the wish changed meanwhile.
    pub(super) async fn attach_or_start(&mut self) -> Result<Option<NodeEvents>, String> {
        if let Some(events) = self.attach().await {
            return Ok(Some(events));
        }
        let entry = self.wish.borrow_and_update().entry.clone();
        self.set(NodePhase::Preparing, None);
        if !self.hands.owns(entry.address) {
            return Err(format!("{} is not in this host's blocks of addresses", entry.address));
        }
        let Some(layer) = self.unless_unwanted(spec::layer(&self.hands, entry.spec.tree)).await else {
            return Ok(None);
        };
        let layer = layer?;
        self.wait_for_topic(&entry).await;
        if !self.claim_address(&entry).await {
            return Ok(None);
        }
        let spec = spec::render(&self.hands, &Subject::node(&entry), layer)?;
        self.set(NodePhase::Starting, None);
        self.start(spec).await?;
        self.hands.wall.nudge();
        self.attach().await.map(Some).ok_or_else(|| "the node ended while it started".to_owned())
    }

    /// Events of a node that is there already.
    async fn attach(&mut self) -> Option<NodeEvents> {
        let events = attach(&self.hands, &self.name).await?;
        self.hands.addresses.claim(self.status.address, &self.name, |_| {}).await;
        Some(events)
    }

    /// Runs a stage of the start; nothing when the node is unwanted before it ends.
    async fn unless_unwanted<T>(&self, stage: impl Future<Output = T>) -> Option<T> {
        let mut wish = self.wish.clone();
        tokio::select! {
            done = stage => Some(done),
            _ = wish.wait_for(|wish| wish.gone()) => None,
        }
    }

    /// Templates over peers, and a cluster's first boot, want to know the whole family.
    async fn wait_for_topic(&self, entry: &NodeEntry) {
        if entry.spec.beam.is_none() && !spec::speaks_of_peers(&entry.spec) {
            return;
        }
        let mut topics = self.hands.topics.subscribe();
        let named = topics.wait_for(|topics| {
            let topic = topics.get(&entry.path.family.app);
            topic.is_some_and(|topic| topic.members.iter().any(|m| m.node == entry.id))
        });
        let _ = tokio::time::timeout(TOPIC_WAIT, self.unless_unwanted(named)).await;
    }

    async fn claim_address(&mut self, entry: &NodeEntry) -> bool {
        let hands = self.hands.clone();
        let name = self.name.clone();
        let mut wish = self.wish.clone();
        let waiting = |holder: &str| {
            let detail = format!("waits for {} until node {holder} has left", entry.address);
            self.set(NodePhase::Preparing, Some(detail));
        };
        tokio::select! {
            () = hands.addresses.claim(entry.address, &name, waiting) => true,
            _ = wish.wait_for(|wish| wish.gone()) => false,
        }
    }

    async fn start(&mut self, spec: lace_machine::NodeSpec) -> Result<(), String> {
        match start(&self.hands, spec).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.hands.addresses.free(self.status.address, &self.name);
                Err(error)
            }
        }
    }
}
