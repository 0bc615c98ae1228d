//! From an entry to a running process.

use super::events::NodeEvents;
use super::{Actor, spec};
use crate::context::Context;
use lace_machine::NodeHandle;
use lace_model::document::NodeEntry;
use lace_model::node::NodePhase;
use std::sync::Arc;
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
        let Some(layer) = self.unless_unwanted(layer(&self.hands, &entry)).await else { return Ok(None) };
        let layer = layer?;
        self.wait_for_topic(&entry).await;
        if !self.claim_address(&entry).await {
            return Ok(None);
        }
        let spec = {
            let secrets = spec::secrets(&self.hands.held, &entry.path.family.app, &entry.spec)?;
            let topic = self.hands.topic(&entry.path.family.app);
            let context = Context::of(&entry, topic.as_deref(), secrets.texts());
            spec::node(&entry, &context, &secrets, layer)?
        };
        self.set(NodePhase::Starting, None);
        self.start(spec).await?;
        self.hands.wall.nudge();
        self.attach().await.map(Some).ok_or_else(|| "the node ended while it started".to_owned())
    }

    /// Events of a node that is there already.
    async fn attach(&mut self) -> Option<NodeEvents> {
        let (hands, name) = (self.hands.clone(), self.name.clone());
        let subscribed = tokio::task::spawn_blocking(move || {
            let node = hands.machine.connect(&name)?;
            let events = node.subscribe()?;
            Ok::<_, lace_machine::Error>((node, events))
        });
        let (node, events) = subscribed.await.ok()?.ok()?;
        self.hands.addresses.claim(self.status.address, &self.name, |_| {}).await;
        NodeEvents::new(node, events).ok()
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
        let hands = self.hands.clone();
        let _seat = hands.starts.acquire().await.map_err(|e| e.to_string())?;
        let machine = hands.machine.clone();
        let started = tokio::task::spawn_blocking(move || machine.start(&spec)).await;
        match started.map_err(|e| e.to_string())? {
            Ok(started) => {
                tracing::debug!(node = %self.id, took_ms = started.took.as_millis() as u64, "started");
                Ok(())
            }
            Err(lace_machine::Error::Exists(_)) => Ok(()),
            Err(error) => {
                self.hands.addresses.free(self.status.address, &self.name);
                Err(error.to_string())
            }
        }
    }
}

async fn layer(
    hands: &Arc<crate::hands::Hands>,
    entry: &NodeEntry,
) -> Result<Option<std::path::PathBuf>, String> {
    match entry.spec.tree {
        Some(digest) => hands.trees.layer(digest).await.map(Some),
        None => Ok(None),
    }
}

/// Runs something that may block on a node's control socket.
pub(super) async fn ask<T: Send + 'static>(
    node: &NodeHandle,
    what: impl FnOnce(&NodeHandle) -> lace_machine::Result<T> + Send + 'static,
) -> Result<T, String> {
    let node = node.clone();
    let asked = tokio::task::spawn_blocking(move || what(&node)).await;
    asked.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}
