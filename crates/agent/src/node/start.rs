//! From an entry to a running process.

use super::events::NodeEvents;
use super::{Actor, attach, start};
use crate::held::Record;
use crate::spec::{self, Rendered, Subject};
use lace_model::document::NodeEntry;
use lace_model::node::NodePhase;
use std::fmt::Display;
use std::time::Duration;
use tokio::sync::SemaphorePermit;

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
        let Some(layers) = self.unless_unwanted(spec::layers(&self.hands, &entry.spec)).await else {
            return Ok(None);
        };
        let layers = layers?;
        self.wait_for_topic(&entry).await;
        if !self.claim(&entry).await {
            return Ok(None);
        }
        // Rendered when its turn has come: a thousand that wait hold nothing.
        let hands = self.hands.clone();
        let seat = self.unless_unwanted(hands.starts.acquire()).await;
        let Some(seat) = seat else {
            self.free();
            return Ok(None);
        };
        let seat = seat.map_err(|e| e.to_string())?;
        let Rendered { mut spec, told } = spec::render(&self.hands, &Subject::node(&entry), layers)?;
        if let Some(told) = told {
            self.hands.held.commit(vec![Record::Told(self.id, told)]);
        }
        spec.volumes = self.hands.volumes.give(&entry)?;
        self.set(NodePhase::Starting, None);
        self.start(spec, seat).await?;
        self.hands.wall.nudge();
        self.attach().await.map(Some).ok_or_else(|| "the node ended while it started".to_owned())
    }

    /// Events of a node that is there already.
    async fn attach(&mut self) -> Option<NodeEvents> {
        let events = attach(&self.hands, &self.name).await?;
        self.hands.addresses.claim(&self.status.address, &self.name, |_| {}).await;
        self.hands.volumes.held.claim(&self.status.path, &self.name, |_| {}).await;
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

    /// The address, and the place with its volumes: after a move away and back the addresses alone would differ.
    async fn claim(&mut self, entry: &NodeEntry) -> bool {
        let hands = self.hands.clone();
        let name = self.name.clone();
        let mut wish = self.wish.clone();
        let mut waiting = |what: &dyn Display, holder: &str| {
            let detail = format!("waits for {what} until node {holder} has left");
            self.set(NodePhase::Preparing, Some(detail));
        };
        let claimed = async {
            hands.addresses.claim(&entry.address, &name, |holder| waiting(&entry.address, holder)).await;
            hands.volumes.held.claim(&entry.path, &name, |holder| waiting(&entry.path, holder)).await;
        };
        let claimed = tokio::select! {
            () = claimed => true,
            _ = wish.wait_for(|wish| wish.gone()) => false,
        };
        if !claimed {
            self.free();
        }
        claimed
    }

    /// Somebody else may have its address and its place.
    pub(super) fn free(&self) {
        self.hands.addresses.free(&self.status.address, &self.name);
        self.hands.volumes.held.free(&self.status.path, &self.name);
    }

    async fn start(&mut self, spec: lace_machine::NodeSpec, seat: SemaphorePermit<'_>) -> Result<(), String> {
        match start(&self.hands, spec, seat).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.free();
                Err(error)
            }
        }
    }
}
