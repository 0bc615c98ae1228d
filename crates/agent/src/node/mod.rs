//! One actor per node: prepares, starts, watches, checks and removes it, and keeps its status.

mod bootstrap;
mod care;
pub mod claim;
mod events;
mod leave;
pub mod probe;
mod start;
mod status;
mod watching;

use crate::clock::Backoff;
use crate::hands::Hands;
use crate::held::Record;
pub use care::Patient;
pub use events::NodeEvents;
use lace_machine::{NodeHandle, NodeSpec};
use lace_model::document::{EntryId, NodeEntry, TaskOutcome, Verb};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::target::Want;
use lace_model::{Generation, NodeId};
pub use probe::probe;
pub use status::exit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{SemaphorePermit, mpsc, oneshot, watch};

/// Between tries of a node that cannot be made.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Orders that may wait for one node.
const ORDERS_WAITING: usize = 64;

/// The newest statement about a node.
#[derive(Clone)]
pub struct Wish {
    /// What it says.
    pub entry: Arc<NodeEntry>,
    /// Which it is.
    pub generation: Generation,
    /// The document names the node no more.
    pub dropped: bool,
}

impl Wish {
    fn gone(&self) -> bool {
        self.dropped || self.entry.want == Want::Gone
    }
}

/// A verb for a node, and whom to tell.
pub struct Order {
    /// What.
    pub verb: Verb,
    /// Where the outcome goes.
    pub done: oneshot::Sender<TaskOutcome>,
}

/// The roster's end of an actor.
pub struct Handle {
    /// Its wish, to be told by [`tell`](Handle::tell).
    pub wish: watch::Sender<Wish>,
    /// It takes no wish any more. Held while a wish is told, so that none comes between its last look and its end.
    ended: Arc<Mutex<bool>>,
    /// Its orders.
    pub orders: mpsc::Sender<Order>,
}

impl Handle {
    /// Tells the actor what is wished now; the wish comes back from one that has ended.
    pub fn tell(&self, wish: Wish) -> Result<(), Wish> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended || self.wish.is_closed() {
            return Err(wish);
        }
        self.wish.send_replace(wish);
        Ok(())
    }
}

/// What the actor knows of its node.
struct Actor {
    hands: Arc<Hands>,
    id: NodeId,
    /// The id as the machine has it.
    name: String,
    wish: watch::Receiver<Wish>,
    orders: mpsc::Receiver<Order>,
    status: NodeStatus,
    /// Restarts that an earlier PID 1 of this node counted.
    restarts_before: u32,
    /// What could not be arranged as asked when the node was made.
    notes: Vec<String>,
    /// The next start was ordered: it counts as no restart.
    restart_ordered: bool,
    /// Held by who upgrades its runtime hot: an order that is taken up again may still be at it when the next one comes.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// See [`Handle`].
    ended: Arc<Mutex<bool>>,
}

/// Why the watch over a running node ended.
enum Ended {
    /// The statement says so.
    Unwanted,
    /// PID 1 is gone.
    Vanished,
}

/// Starts the actor of a node.
pub fn spawn(hands: Arc<Hands>, wish: Wish) -> Handle {
    let (orders, orders_in) = mpsc::channel(ORDERS_WAITING);
    let (wish, wish_in) = watch::channel(wish);
    let first = wish.borrow().clone();
    let id = first.entry.id;
    let ended = Arc::<Mutex<bool>>::default();
    let actor = Actor {
        status: status::fresh(&first, hands.host),
        hands,
        id,
        name: id.to_string(),
        wish: wish_in,
        orders: orders_in,
        restarts_before: 0,
        notes: Vec::new(),
        restart_ordered: false,
        changing: Arc::default(),
        ended: ended.clone(),
    };
    tokio::spawn(actor.live());
    Handle { wish, ended, orders }
}

impl Actor {
    async fn live(mut self) {
        self.recall_joined();
        loop {
            self.run().await;
            self.leave().await;
            if self.is_wanted_again().await {
                continue;
            }
            self.hands.held.commit(vec![Record::Left(EntryId::Node(self.id))]);
            self.hands.outbox.forget_node(self.id);
            if self.has_ended() {
                return;
            }
        }
    }

    /// Its last look: whoever wishes anything of the node from now on finds that it has ended.
    fn has_ended(&self) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = self.wish.borrow().dropped;
        *ended
    }

    /// Keeps the node running while it is wanted.
    async fn run(&mut self) {
        let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
        while !self.unwanted() {
            match self.attach_or_start().await {
                Ok(Some(events)) => {
                    let began = tokio::time::Instant::now();
                    if let Ended::Vanished = self.watch(events).await {
                        self.vanished(began.elapsed() > TRY_AGAIN.1, &mut backoff).await;
                    }
                }
                Ok(None) => {}
                Err(cause) => {
                    tracing::warn!(node = %self.id, cause, "node not started");
                    self.set(NodePhase::Failed, Some(cause));
                    self.rest(backoff.wait()).await;
                }
            }
        }
    }

    fn unwanted(&self) -> bool {
        self.wish.borrow().gone()
    }

    /// PID 1 ended without being asked: the whole node is started again.
    async fn vanished(&mut self, long_ago: bool, backoff: &mut Backoff) {
        if self.unwanted() {
            return;
        }
        if long_ago {
            backoff.reset();
        }
        self.restarts_before = self.status.restarts + 1;
        self.status.restarts = self.restarts_before;
        self.set(NodePhase::Backoff, Some("the node's PID 1 ended".to_owned()));
        self.rest(backoff.wait().min(Duration::from_secs(1))).await;
    }

    /// Waits, unless the wish changes.
    async fn rest(&mut self, wait: Duration) {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                changed = self.wish.changed() => {
                    self.noted();
                    if changed.is_err() || self.unwanted() {
                        return;
                    }
                }
                Some(order) = self.orders.recv() => refuse(order, "the node does not run"),
            }
        }
    }

    /// Nothing is left of the node; its status is said until the document drops it, or wants it after all.
    async fn is_wanted_again(&mut self) -> bool {
        loop {
            self.noted();
            let wish = self.wish.borrow_and_update().clone();
            if wish.dropped || !wish.gone() {
                return !wish.gone();
            }
            tokio::select! {
                changed = self.wish.changed() => if changed.is_err() { return false },
                Some(order) = self.orders.recv() => refuse(order, "the node is gone"),
            }
        }
    }
}

/// Runs something that may block on a node's control socket.
pub async fn ask<T: Send + 'static>(
    node: &NodeHandle,
    what: impl FnOnce(&NodeHandle) -> lace_machine::Result<T> + Send + 'static,
) -> Result<T, String> {
    let node = node.clone();
    let asked = tokio::task::spawn_blocking(move || what(&node)).await;
    asked.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

/// A node that is there.
pub async fn connect(hands: &Arc<Hands>, name: &str) -> Option<NodeHandle> {
    let (machine, name) = (hands.machine.clone(), name.to_owned());
    tokio::task::spawn_blocking(move || machine.connect(&name)).await.ok()?.ok()
}

/// What happens in a node that is there.
pub async fn attach(hands: &Arc<Hands>, name: &str) -> Option<NodeEvents> {
    let node = connect(hands, name).await?;
    let events = ask(&node, NodeHandle::subscribe).await.ok()?;
    NodeEvents::new(node, events).ok()
}

/// Starts a node, in a seat of [`Hands::starts`]. One that runs already is fine: a former agent was quicker.
pub async fn start(hands: &Arc<Hands>, spec: NodeSpec, _seat: SemaphorePermit<'_>) -> Result<(), String> {
    let machine = hands.machine.clone();
    let started = tokio::task::spawn_blocking(move || machine.start(&spec)).await;
    match started.map_err(|e| e.to_string())? {
        Ok(started) => {
            tracing::debug!(took_ms = started.took.as_millis() as u64, "started");
            Ok(())
        }
        Err(lace_machine::Error::Exists(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Removes a node and every trace of it.
pub async fn remove(hands: &Arc<Hands>, name: &str) -> Result<(), String> {
    let _seat = hands.starts.acquire().await.map_err(|e| e.to_string())?;
    let (machine, name) = (hands.machine.clone(), name.to_owned());
    let removed = tokio::task::spawn_blocking(move || machine.remove(&name)).await;
    removed.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

fn refuse(order: Order, cause: &str) {
    let _ = order.done.send(TaskOutcome::Failed { cause: cause.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{entry, spec};

    #[test]
    fn who_has_ended_takes_no_wish_and_who_has_not_sees_each() {
        let entry = Arc::new(entry(1, spec()));
        let wish = |dropped| Wish { entry: entry.clone(), generation: Generation::default(), dropped };
        let (sender, seen) = watch::channel(wish(false));
        let ended = Arc::<Mutex<bool>>::default();
        let handle = Handle { wish: sender, ended: ended.clone(), orders: mpsc::channel(1).0 };
        assert!(handle.tell(wish(true)).is_ok() && seen.borrow().gone());
        // Its last look comes after the wish that brings it back: it goes on.
        assert!(handle.tell(wish(false)).is_ok());
        assert!(!seen.borrow().gone());
        // And before it: the wish is for another actor, though this one's task is not over.
        *ended.lock().unwrap() = true;
        assert!(handle.tell(wish(false)).is_err_and(|wish| !wish.dropped));
    }
}
