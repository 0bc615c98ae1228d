//! Watching a running node: its process's life, its checks, its orders.

use super::care::{Care, Finding};
use super::events::NodeEvents;
use super::{Actor, Ended, Order, Wish, ask, status};
use crate::beam::{hot, votes};
use crate::clock::now;
use crate::figures;
use crate::hands::Hands;
use crate::refresh::Refresh;
use crate::script;
use lace_machine::{Event, Life, NodeHandle};
use lace_model::document::{TaskOutcome, Verb};
use lace_model::node::{NodePhase, NodeStatus};
use std::sync::Arc;
use tokio::sync::watch;

impl Actor {
    /// Until the node is unwanted or its PID 1 is gone.
    pub(super) async fn watch(&mut self, mut events: NodeEvents) -> Ended {
        let said = events.status().clone();
        let mut entry = self.wish.borrow().entry.clone();
        let mut _told = Refresh::begin(&self.hands, entry.clone(), events.node.clone());
        let mut _figures = figures::keep(&self.hands, &entry, &events.node);
        let mut care = Care::none();
        let was_ready = self.recall_ready(&said);
        self.take_status(&said);
        if self.status.phase == NodePhase::Running {
            care = self.care(&events.node, was_ready).of(said.life());
        }
        let mut excess = self.hands.excess.subscribe();
        let mut known = excess.borrow_and_update().get(&self.id).cloned();
        self.tell_votes(&events.node);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.happened(event, &events.node, &mut care),
                    None => return Ended::Vanished,
                },
                finding = care.next() => self.found(finding, &events.node, care.life),
                changed = self.wish.changed() => {
                    self.noted();
                    if changed.is_err() || self.unwanted() {
                        return Ended::Unwanted;
                    }
                    self.hands.wall.nudge();
                    self.tell_votes(&events.node);
                    let now = self.wish.borrow().entry.clone();
                    if now.revision != entry.revision {
                        // Upgraded hot: the same process, and for its checks nothing has changed.
                        entry = now;
                        self.status.revision = entry.revision;
                        drop(_told);
                        _told = Refresh::begin(&self.hands, entry.clone(), events.node.clone());
                        _figures = figures::keep(&self.hands, &entry, &events.node);
                        self.noted();
                    }
                }
                Ok(()) = excess.changed() => {
                    let now = excess.borrow_and_update().get(&self.id).cloned();
                    let before = std::mem::replace(&mut known, now);
                    self.measured(known.as_ref().and_then(|now| now.ends(before.as_ref())), &events.node, care.life);
                }
                Some(order) = self.orders.recv() => self.take_order(order, &events.node, &mut care),
            }
        }
    }

    /// Who votes on its family's one copy, told to PID 1: it ignores what is not newer.
    fn tell_votes(&self, node: &NodeHandle) {
        let Some(set) = self.wish.borrow().entry.votes.as_ref().map(votes::seats) else { return };
        let node = node.clone();
        tokio::spawn(async move {
            if let Err(error) = ask(&node, move |node| node.vote_set(&set)).await {
                tracing::warn!(error, "its PID 1 does not take the vote set");
            }
        });
    }

    fn care(&mut self, node: &NodeHandle, was_ready: bool) -> Care {
        let entry = self.wish.borrow().entry.clone();
        let started_at = self.status.started_at.unwrap_or_else(now);
        let care = Care::begin(&self.hands, entry, node.clone(), started_at, was_ready);
        if !care.decides() {
            self.set_ready(true, self.remarks());
        }
        care
    }

    fn happened(&mut self, event: Event, node: &NodeHandle, care: &mut Care) {
        match event {
            Event::Started { pid, at_ms } => {
                // A start after an end is a restart; the first one was in the status already. One that was ordered
                // says nothing about the process.
                let ordered = std::mem::take(&mut self.restart_ordered);
                if self.status.phase != NodePhase::Running && !ordered {
                    self.status.restarts += 1;
                }
                self.status.started_at = at_ms.or_else(|| Some(now()));
                self.set(NodePhase::Running, None);
                let life = at_ms.map(|started_at_ms| Life { pid, started_at_ms });
                *care = self.care(node, false).of(life);
            }
            Event::Exited { exit } => {
                *care = Care::none();
                self.status.alarms.clear();
                self.status.exit = Some(status::exit(&exit));
                self.status.ready = false;
                // Said with the next event, which comes along: it knows whether the end was asked for.
                self.status.detail = Some(status::cause(&exit));
            }
            Event::Backoff { delay_ms } => {
                let cause = self.status.detail.take().unwrap_or_default();
                self.set(NodePhase::Backoff, Some(format!("{cause}; next start in {delay_ms} ms")));
            }
            Event::Stopped => {
                *care = Care::none();
                self.set(NodePhase::Stopped, None);
            }
            Event::Shutdown => *care = Care::none(),
            Event::Vote { vote } => self.take_vote(Some(&vote)),
            // A node's own subscription carries those.
            Event::Witness { .. } | Event::Unknown => {}
        }
    }

    /// Was it told to take less, and took more?
    fn measured(&mut self, ends: Option<String>, node: &NodeHandle, life: Option<Life>) {
        match ends {
            Some(cause) if self.status.phase == NodePhase::Running => {
                self.found(Finding::Dead(cause), node, life);
            }
            _ if self.status.ready => self.set_ready(true, self.remarks()),
            _ => {}
        }
    }

    fn found(&mut self, finding: Finding, node: &NodeHandle, life: Option<Life>) {
        match finding {
            Finding::Ready => self.set_ready(true, self.remarks()),
            Finding::Unready(cause) => self.set_ready(false, Some(cause)),
            Finding::Alarms(alarms) => {
                self.status.alarms = alarms;
                self.hands.outbox.node(&self.status);
            }
            Finding::Dead(cause) => {
                tracing::warn!(node = %self.id, cause, "not alive: its process is restarted");
                self.set_ready(false, Some(NodeStatus::because_restarted(&cause)));
                let node = node.clone();
                // It may have ended by itself meanwhile: the next one is not to blame.
                tokio::spawn(async move {
                    if let Err(error) = ask(&node, move |node| node.restart(life)).await {
                        tracing::warn!(error, "process not restarted");
                    }
                });
            }
        }
    }
}

impl Actor {
    fn take_order(&mut self, order: Order, node: &NodeHandle, care: &mut Care) {
        if order.verb == Verb::Restart {
            // Said before the outcome is: nobody shall take the old process for the new one.
            *care = Care::none();
            self.restart_ordered = true;
            self.set_ready(false, Some("restarts by order".into()));
        }
        obey(order, node.clone(), self.hands.clone(), (self.wish.clone(), self.changing.clone()));
    }
}

/// Does a verb beside the watch: it may last as long as the process's stop.
fn obey(
    order: Order,
    node: NodeHandle,
    hands: Arc<Hands>,
    (wish, changing): (watch::Receiver<Wish>, Arc<tokio::sync::Mutex<()>>),
) {
    let entry = wish.borrow().entry.clone();
    tokio::spawn(async move {
        let none = |()| Vec::new();
        let done = match order.verb {
            Verb::Restart => ask(&node, |node| node.restart(None)).await.map(none),
            Verb::Signal { signal } => ask(&node, move |node| node.signal(signal)).await.map(none),
            Verb::TakeCopy { preference } => votes::take_copy(node, preference).await,
            Verb::Upgrade(upgrade) => {
                let _one_at_a_time = changing.lock().await;
                // The one before may have changed it.
                let entry = wish.borrow().entry.clone();
                hot::upgrade(hands, entry, node, *upgrade).await
            }
            Verb::Action(action) => script::act(&hands.held, &entry, &node, *action).await,
        };
        let _ = order.done.send(match done {
            Ok(lines) => TaskOutcome::Done { lines },
            Err(cause) => TaskOutcome::Failed { cause },
        });
    });
}
