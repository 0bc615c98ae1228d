//! Nodes of packages are told when something that they are made of has changed: the package's `notify` runs in them.
//!
//! What counts is what was rendered for the node, and who the nodes of its service are; how these are counts only where a
//! template says it. It runs once for each change: changes that come while it runs, or while it fails and is tried again,
//! go together into the next run. What a node was told last is in the journal, so an agent that was away knows what it
//! missed; one that was killed while a `notify` ran runs it again.

use crate::clock::Backoff;
use crate::hands::{Hands, Kept};
use crate::held::Record;
use crate::script;
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::package::{Script, words_of};
use lace_model::{Digest, NodeId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between tries of one that fails: its process may be about to start.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where the news of one node goes.
pub struct Notices {
    news: watch::Sender<Option<Digest>>,
    _kept: Kept,
}

impl Notices {
    /// Begins with a node; until dropped.
    pub fn begin(hands: Arc<Hands>, id: NodeId, node: NodeHandle, script: Script) -> Self {
        let (news, heard) = watch::channel(None);
        let teller = Teller { hands, id, node, script };
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
    node: NodeHandle,
    script: Script,
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
                    self.remark(Some(format!("{}: {cause}", self.script.file)));
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    async fn run(&self) -> Result<(), String> {
        let words = words_of("notify", &self.script.file);
        script::run(&self.node, ExecSpec::new(words), self.script.timeout).await.map(drop)
    }

    /// People see it in the node's status.
    fn remark(&self, text: Option<String>) {
        if self.hands.refresh.remark(self.id, text) {
            // Whoever looks after the node says its remarks again.
            self.hands.disk.send_modify(|_| {});
        }
    }
}
