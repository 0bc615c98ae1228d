//! Doors that may give nodes requests: the one of this host, and those of others, which are asked by way of the controller.

use crate::hands::Hands;
use lace_edge::NetClient;
use lace_model::{AppName, NodeId};
use lace_wire::link::frame::ToController;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

/// A door that does not answer for so long is closed.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// One that is started again is there within this time; so is a controller.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(2);
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Nodes of ours that the doors of other hosts were asked to let go of.
#[derive(Default)]
pub struct Elsewhere {
    waiting: Mutex<HashMap<NodeId, oneshot::Sender<()>>>,
    /// The controller of the session that is open is of a version that passes such questions on.
    is_known: AtomicBool,
}

impl Elsewhere {
    /// A session began.
    pub fn session(&self, passes_on: bool) {
        self.is_known.store(passes_on, Ordering::Release);
    }

    /// The doors of other hosts have let go of a node.
    pub fn drained(&self, node: NodeId) {
        let waits = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
        // Whoever waited may have lost patience.
        let _ = waits.map(|waits| waits.send(()));
    }

    fn wait(&self, node: NodeId) -> oneshot::Receiver<()> {
        let (over, wait) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(node, over);
        wait
    }

    fn forget(&self, node: NodeId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }
}

/// The door of this host gives a node no more requests, and those that it has are ended first. Where no door answers,
/// none comes in.
pub async fn drain_here(hands: &Hands, node: NodeId, within: Duration) {
    let Ok(_seat) = hands.drains.acquire().await else { return };
    drain_at_door(hands, node, within).await;
}

async fn drain_at_door(hands: &Hands, node: NodeId, within: Duration) {
    let begun = Instant::now();
    let mut silent_since = begun;
    loop {
        let asked = Instant::now();
        let mut door = NetClient::new(&hands.net_socket).patience(ANSWERS_WITHIN);
        match door.drain(node, within.saturating_sub(begun.elapsed())).await {
            Ok(true) => return,
            Ok(false) => return tracing::info!(%node, "it has requests still, and its time is over"),
            // It ended while it was asked: its successor knows what is left.
            Err(_) if asked.elapsed() > COMES_BACK_WITHIN => silent_since = Instant::now(),
            Err(error) if silent_since.elapsed() > COMES_BACK_WITHIN => {
                return tracing::debug!(%node, %error, "not drained");
            }
            Err(_) => tokio::time::sleep(ASKED_AGAIN_AFTER).await,
        }
    }
}

/// The same for the doors of other hosts. A controller that is away for longer than it takes to start again is not
/// waited for: those doors try another node where this one is gone.
pub async fn drain_elsewhere(hands: &Hands, of: (NodeId, AppName), within: Duration) {
    let node = of.0;
    ask_elsewhere(hands, of, within).await;
    hands.elsewhere.forget(node);
}

async fn ask_elsewhere(hands: &Hands, (node, app): (NodeId, AppName), within: Duration) {
    let until = Instant::now() + within;
    let mut session = hands.session.subscribe();
    loop {
        let there =
            timeout_at(until.min(Instant::now() + COMES_BACK_WITHIN), session.wait_for(Option::is_some));
        let Some(to) = there.await.ok().and_then(Result::ok).and_then(|to| to.clone()) else {
            return tracing::info!(%node, "no controller tells the doors of other hosts that it stops");
        };
        if !hands.elsewhere.is_known.load(Ordering::Acquire) {
            return;
        }
        let over = hands.elsewhere.wait(node);
        let left = until.saturating_duration_since(Instant::now());
        let within_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let asked =
            timeout_at(until, to.send(ToController::Drain { node, app: app.clone(), within_ms })).await;
        tokio::select! {
            _ = over, if matches!(asked, Ok(Ok(()))) => return,
            // Another session: the one who was asked may know nothing of it any more.
            _ = session.changed() => {}
            () = tokio::time::sleep_until(until) => {
                return tracing::info!(%node, "doors of other hosts have requests for it still, and its time is over");
            }
        }
    }
}

/// Another host is about to stop a node: our door lets go of it, and the controller hears that it has.
pub async fn let_go(hands: Arc<Hands>, node: NodeId, within: Duration) {
    {
        let begun = Instant::now();
        if let Ok(Ok(_seat)) = timeout(within, hands.drains_for_others.acquire()).await {
            drain_at_door(&hands, node, within.saturating_sub(begun.elapsed())).await;
        }
    }
    // Where the session ended meanwhile the next one is asked again.
    let session = hands.session.borrow().clone();
    if let Some(to) = session {
        let _ = crate::session::send(&to, ToController::Drained { node }).await;
    }
}
