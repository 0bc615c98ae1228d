//! What a host may fetch: the releases and packages that its document names or named a short while ago, and nothing else. A host that
//! fell into wrong hands gives away what it runs, not what runs elsewhere.

use crate::Fleet;
use lace_model::release::Tree;
use lace_model::{Code, Digest, HostId, Problem};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Trees whose chunks are remembered: a tree of 10,000 chunks takes half a megabyte.
const CONTENTS_KEPT: usize = 16;
/// A controller that has just started does not know yet what its hosts run; a host's question waits so long for it.
const DOCUMENT_WITHIN: Duration = Duration::from_secs(10);
/// The document is looked for at this interval.
const DOCUMENT_EVERY: Duration = Duration::from_millis(50);

type Chunks = Arc<HashSet<Digest>>;

/// The chunks of the trees that were asked for last.
#[derive(Default)]
pub(crate) struct Contents(Mutex<VecDeque<(Digest, Chunks)>>);

impl Contents {
    fn kept(&self, tree: Digest) -> Option<Chunks> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == tree).map(|(_, chunks)| chunks.clone())
    }

    fn keep(&self, tree: Digest, chunks: Chunks) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, _)| *of != tree);
        kept.push_front((tree, chunks));
        kept.truncate(CONTENTS_KEPT);
    }
}

impl Fleet {
    /// Refuses blobs that belong to no release that the host runs.
    ///
    /// # Errors
    /// `NotAllowed`; what reading a tree says.
    pub(crate) async fn may_fetch(&self, host: HostId, digests: &[Digest]) -> Result<(), Problem> {
        let trees = self.trees_of(host).await;
        let mut left: HashSet<_> = digests.iter().copied().filter(|d| !trees.contains(d)).collect();
        let (known, unknown): (Vec<_>, Vec<_>) =
            trees.into_iter().partition(|tree| self.0.contents.kept(*tree).is_some());
        for tree in known.into_iter().chain(unknown) {
            if left.is_empty() {
                return Ok(());
            }
            let chunks = self.chunks_of(tree).await?;
            left.retain(|digest| !chunks.contains(digest));
        }
        let Some(first) = left.iter().next() else {
            return Ok(());
        };
        tracing::warn!(%host, blob = first.short(), count = left.len(), "asked for what it does not run: refused");
        let text = format!("blob {} belongs to no release that this host runs", first.short());
        Err(Problem::new(Code::NotAllowed, text))
    }

    async fn trees_of(&self, host: HostId) -> HashSet<Digest> {
        let until = tokio::time::Instant::now() + DOCUMENT_WITHIN;
        loop {
            {
                let hosts = self.hosts();
                let documents = hosts.get(&host).map(|state| &state.documents);
                if let Some(whole) = documents.filter(|documents| documents.complete) {
                    return whole.trees(self.0.support.now());
                }
            }
            if tokio::time::Instant::now() >= until {
                return HashSet::new();
            }
            tokio::time::sleep(DOCUMENT_EVERY).await;
        }
    }

    async fn chunks_of(&self, tree: Digest) -> Result<Chunks, Problem> {
        if let Some(chunks) = self.0.contents.kept(tree) {
            return Ok(chunks);
        }
        // A release that was deleted while nodes still run it has nothing to fetch.
        let bytes = match self.0.support.blob(tree).await {
            Err(problem) if problem.code == Code::NotFound => return Ok(Chunks::default()),
            read => read?,
        };
        let read: Tree = serde_json::from_slice(&bytes)
            .map_err(|e| Problem::new(Code::Error, format!("tree {} is unreadable: {e}", tree.short())))?;
        let chunks: Chunks = Arc::new(read.chunks().collect());
        self.0.contents.keep(tree, chunks.clone());
        Ok(chunks)
    }
}
