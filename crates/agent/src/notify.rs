//! Nodes of packages are told when something that they are made of has changed: the package's `notify` runs in them, or their
//! process gets the signal by which it takes its files anew.
//!
//! What counts is what was rendered for the node, and who the nodes of its service are; how these are counts only where a
//! template says it. It runs once for each change: changes that come while it runs, or while it fails and is tried again,
//! go together into the next run. What a node was told last is in the journal, so an agent that was away knows what it
//! missed; one that was killed while a `notify` ran runs it again.

use crate::clock::Backoff;
use crate::context::{State, state_of};
use crate::hands::{Hands, Kept};
use crate::held::Record;
use crate::script;
use crate::spec::Subject;
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::document::NodeEntry;
use lace_model::package::{PackageUse, Script, words_of};
use lace_model::{Digest, NodeId, signal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between tries of one that fails: its process may be about to start.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A process that has just begun may not listen to its signal yet, and would die of it: so long it is waited for until it is
/// ready. One that is not ready then may be waiting for just that.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);

/// How a node is told.
pub enum Way {
    /// A script of its package.
    Script(Script),
    /// A signal for its process.
    Signal(String),
}

impl Way {
    /// As its package says; none where nothing is to be told.
    pub fn of(package: &PackageUse) -> Option<Self> {
        let script = package.notify.clone().map(Self::Script);
        script.or_else(|| package.reload.clone().map(Self::Signal))
    }
}

/// Where the news of one node goes.
pub struct Notices {
    news: watch::Sender<Option<Digest>>,
    _kept: Kept,
}

impl Notices {
    /// Begins with a node; until dropped.
    pub fn begin(hands: Arc<Hands>, entry: Arc<NodeEntry>, node: NodeHandle, way: Way) -> Self {
        let (news, heard) = watch::channel(None);
        let teller = Teller { hands, id: entry.id, entry, node, way };
        Self { news, _kept: Kept(tokio::spawn(teller.keep(heard))) }
    }

    /// What the node's files say now. The newest counts.
    pub fn offer(&self, what: Digest) {
        self.news.send_replace(Some(what));
    }
}

struct Teller {
    hands: Arc<Hands>,
    id: NodeId,
    entry: Arc<NodeEntry>,
    node: NodeHandle,
    way: Way,
}

impl Teller {
    async fn keep(self, mut heard: watch::Receiver<Option<Digest>>) {
        let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
        loop {
            let news = *heard.borrow_and_update();
            let told = self.hands.held.read(|state| state.told.get(&self.id).copied());
            let Some(what) = news.filter(|what| told != Some(*what)) else {
                self.remark(None);
                match heard.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            match self.run().await {
                Ok(()) => {
                    self.hands.held.commit(vec![Record::Told(self.id, what)]);
                    backoff.reset();
                }
                Err(cause) => {
                    tracing::warn!(node = %self.id, cause, "not notified; tried again");
                    self.remark(Some(cause));
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    async fn run(&self) -> Result<(), String> {
        let way = match &self.way {
            Way::Script(script) => script,
            Way::Signal(signal) => return self.signal(signal).await,
        };
        let words = words_of("notify", &way.file);
        let told = script::run(&self.node, ExecSpec::new(words), way.timeout).await;
        told.map(drop).map_err(|cause| format!("{}: {cause}", way.file))
    }

    async fn signal(&self, name: &str) -> Result<(), String> {
        let number = signal::number(name).ok_or_else(|| format!("signal {name} is not known"))?;
        let _ = tokio::time::timeout(LISTENS_WITHIN, self.ready()).await;
        let node = self.node.clone();
        let sent = tokio::task::spawn_blocking(move || node.signal(number)).await;
        sent.map_err(|e| e.to_string())?.map_err(|e| format!("signal {name}: {e}"))
    }

    /// Waits until its family is told that it is ready.
    async fn ready(&self) {
        let mut topics = self.hands.topics.subscribe();
        loop {
            let topic = self.hands.topic(&self.entry.path.family.app);
            if state_of(&Subject::node(&self.entry), topic.as_deref()) == State::Ready {
                return;
            }
            if topics.changed().await.is_err() {
                return;
            }
        }
    }

    /// People see it in the node's status.
    fn remark(&self, text: Option<String>) {
        if self.hands.refresh.remark(self.id, text) {
            // Whoever looks after the node says its remarks again.
            self.hands.excess.send_modify(|_| {});
        }
    }
}
