//! Stopping a node and removing every trace of it.

use super::{Actor, ask, connect, remove};
use crate::beam;
use crate::clock::Backoff;
use crate::doors::{drain_elsewhere, drain_here};
use crate::script;
use crate::volume;
use lace_machine::{ExecSpec, NodeHandle, Phase};
use lace_model::node::NodePhase;
use lace_model::package::{Verb, words_of};
use std::time::Duration;
use tokio::time::Instant;

/// PID 1 knows within this time that a command stops its process.
const HELD_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// PID 1 kills what a command has not stopped so long after the time that it had: the signal comes first.
const COMMAND_MARGIN: Duration = Duration::from_secs(10);

impl Actor {
    /// Stops the process as it wishes, removes the node, frees its address. Goes on until nothing is left.
    pub(super) async fn leave(&mut self) {
        if let Some(node) = connect(&self.hands, &self.name).await {
            self.set(NodePhase::Stopping, None);
            self.drain().await;
            self.drain_by_package(&node).await;
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

    /// The package brings to safety what would go with the node. Where that fails or takes too long, the node goes all the same: what
    /// it was to be is decided, and a script that never ends would hold up its successor.
    async fn drain_by_package(&mut self, node: &NodeHandle) {
        let entry = self.wish.borrow().entry.clone();
        let script = entry.spec.package.as_ref().and_then(|package| package.drain.clone());
        let Some(script) = script else { return };
        let command = ExecSpec::new(words_of(Verb::Drain.as_str(), &script.file));
        if let Err(cause) = script::run(node, command, script.timeout).await {
            tracing::warn!(node = %self.id, cause, "not drained; it goes all the same");
            self.set(NodePhase::Stopping, Some(format!("{}: {cause}", script.file)));
        }
    }

    async fn stop(&self, node: &NodeHandle) {
        let entry = self.wish.borrow().entry.clone();
        if let Some(words) = entry.spec.stop_command.clone() {
            let grace = Duration::from_millis(entry.spec.stop.timeout.0);
            if let Err(cause) = stop_by_command(node, words, grace).await {
                tracing::warn!(node = %self.id, cause, "stop command failed; the signal follows");
            }
            let _ = ask(node, |node| node.stop(None, None)).await;
        }
        // Without an answer the removal kills it.
        let _ = ask(node, |node| node.shutdown(None)).await;
    }
}

/// Runs a command that stops the process. PID 1 does not start it again meanwhile: a command that waits until nobody
/// answers any more would wait for ever.
async fn stop_by_command(node: &NodeHandle, words: Vec<String>, grace: Duration) -> Result<(), String> {
    let held = node.clone();
    tokio::task::spawn_blocking(move || held.stop(Some(0), Some(grace + COMMAND_MARGIN)));
    let until = Instant::now() + HELD_WITHIN;
    let is_held = |phase| matches!(phase, Phase::Stopping | Phase::Stopped);
    while !ask(node, NodeHandle::status).await.is_ok_and(|status| is_held(status.phase)) {
        if Instant::now() > until {
            return Err("its PID 1 does not answer".to_owned());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let command = ExecSpec::new(words).with(beam::no_dump());
    let ran = ask(node, move |node| node.output_within(&command, grace));
    let ran = tokio::time::timeout(grace, ran).await;
    match ran.map_err(|_| format!("not done within {} s", grace.as_secs()))?? {
        (exit, ..) if exit.code == Some(0) => Ok(()),
        (exit, _, err) => Err(format!("{}: {}", exit.reason, String::from_utf8_lossy(&err).trim_end())),
    }
}
