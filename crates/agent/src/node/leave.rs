//! Stopping a node and removing every trace of it.

use super::{Actor, ask, connect, remove};
use crate::clock::Backoff;
use crate::doors::{drain_elsewhere, drain_here};
use crate::volume;
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::node::NodePhase;
use std::time::Duration;

impl Actor {
    /// Stops the process as it wishes, removes the node, frees its address. Goes on until nothing is left.
    pub(super) async fn leave(&mut self) {
        if let Some(node) = connect(&self.hands, &self.name).await {
            self.set(NodePhase::Stopping, None);
            self.drain().await;
            self.stop(&node).await;
        }
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while let Err(cause) = remove(&self.hands, &self.name).await {
            tracing::warn!(node = %self.id, cause, "not removed yet");
            self.set(NodePhase::Stopping, Some(cause));
            tokio::time::sleep(backoff.wait()).await;
        }
        self.erase_if_doomed().await;
        self.free();
        self.hands.wall.nudge();
        self.set(NodePhase::Gone, None);
    }

    /// Before anybody else has the place.
    async fn erase_if_doomed(&self) {
        let (hands, place) = (self.hands.clone(), self.status.path.clone());
        if !hands.held.read(|state| state.doomed.contains(&place))
            || hands.volumes.held.holder(&place).as_ref() != Some(&self.name)
        {
            return;
        }
        let erased = tokio::task::spawn_blocking(move || volume::remove_all(&hands, &place));
        let _ = erased.await;
    }

    /// No door gives it more requests, and those that it has are ended first.
    async fn drain(&self) {
        let entry = self.wish.borrow().entry.clone();
        let family = &entry.path.family;
        let has_door = self.hands.topic(&family.app).is_some_and(|topic| {
            topic.ports.contains_key(family) || topic.doors.contains_key(&family.service_path())
        });
        if !has_door {
            return;
        }
        let within = Duration::from_millis(entry.spec.stop.timeout.0);
        let of = (self.id, family.app.clone());
        tokio::join!(drain_here(&self.hands, self.id, within), drain_elsewhere(&self.hands, of, within));
    }

    async fn stop(&self, node: &NodeHandle) {
        let entry = self.wish.borrow().entry.clone();
        let grace = Duration::from_millis(entry.spec.stop.timeout.0);
        if let Some(words) = entry.spec.stop_command.clone() {
            let command = ExecSpec::new(words);
            let ran = ask(node, move |node| node.output_within(&command, grace).map(drop));
            if let Ok(Err(cause)) = tokio::time::timeout(grace, ran).await {
                tracing::warn!(node = %self.id, cause, "stop command failed; the signal follows");
            }
        }
        // Without an answer the removal kills it.
        let _ = ask(node, |node| node.shutdown(None)).await;
    }
}
