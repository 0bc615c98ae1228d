//! What running nodes know of their family is kept true: `/run/lace/context.json`, and the files that speak of peers.
//!
//! One task for all nodes of the host. A change waits a little for others; after a round it rests nine times as long
//! as the round took, so that a large family that comes up (every node's change is news to all) never costs more
//! than a tenth of a processor. Nothing but files is touched: who wants to be told watches its file. Nodes of packages are
//! notified, see [`crate::notify`].

use crate::context::{State, kin, kin_of, links_of, state_of};
use crate::hands::{Hands, Kept};
use crate::notify::{Notices, Way};
use crate::spec::{self, Subject};
use lace_machine::{FileSpec, NodeHandle};
use lace_model::document::{NodeEntry, Topic};
use lace_model::{Digest, NodeId};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Changes of so long go together.
const GATHER: Duration = Duration::from_millis(200);
/// A node whose files could not be written is told again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// After a round it rests so many times as long as the round took.
const REST: u32 = 9;

/// The running nodes and what each was told.
#[derive(Default)]
pub struct Refresh {
    nodes: Mutex<HashMap<NodeId, Running>>,
    /// Nodes that could not be notified of what has changed, and why.
    remarks: Mutex<HashMap<NodeId, String>>,
    news: Notify,
}

#[derive(Clone)]
struct Running {
    node: NodeHandle,
    entry: Arc<NodeEntry>,
    /// Digest of the family that it was told last, and its own state.
    family: Option<(Digest, State)>,
    /// Digests of its files, the context aside: a file that stays equal stays untouched.
    files: HashMap<PathBuf, Digest>,
    /// Who notifies it, where its package has something for that.
    notices: Option<Arc<Notices>>,
}

/// Keeps a node told; until dropped.
pub struct Seat {
    hands: Arc<Hands>,
    id: NodeId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hands.refresh.nodes().remove(&self.id);
        self.hands.refresh.remark(self.id, None);
    }
}

impl Refresh {
    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, Running>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of the nodes that run.
    pub fn entries(&self) -> Vec<Arc<NodeEntry>> {
        self.nodes().values().map(|running| running.entry.clone()).collect()
    }

    /// Notes why a node could not be notified, or that it was. Is that news?
    pub fn remark(&self, id: NodeId, text: Option<String>) -> bool {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match text.clone() {
            Some(text) => remarks.insert(id, text),
            None => remarks.remove(&id),
        };
        before != text
    }

    /// Why a node could not be notified.
    pub fn remark_of(&self, id: NodeId) -> Option<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Begins with a node that runs. It is told once in any case: its family may have changed since its files were
    /// written.
    pub fn begin(hands: &Arc<Hands>, entry: Arc<NodeEntry>, node: NodeHandle) -> Seat {
        let id = entry.id;
        let way = entry.spec.package.as_ref().and_then(|package| Way::of(package));
        let begin = |way| Arc::new(Notices::begin(hands.clone(), entry.clone(), node.clone(), way));
        let notices = way.map(begin);
        let running = Running { node, entry, family: None, files: HashMap::new(), notices };
        hands.refresh.nodes().insert(id, running);
        hands.refresh.news.notify_one();
        Seat { hands: hands.clone(), id }
    }
}

/// Tells the nodes what changes, for ever.
pub fn keep(hands: Arc<Hands>) -> Kept {
    Kept(tokio::spawn(async move {
        let mut topics = hands.topics.subscribe();
        loop {
            tokio::select! {
                changed = topics.changed() => if changed.is_err() { return },
                () = hands.refresh.news.notified() => {}
            }
            tokio::time::sleep(GATHER).await;
            topics.mark_unchanged();
            let began = tokio::time::Instant::now();
            round(&hands).await;
            tokio::time::sleep(began.elapsed() * REST).await;
        }
    }))
}

async fn round(hands: &Arc<Hands>) {
    let nodes: Vec<_> = hands.refresh.nodes().values().cloned().collect();
    let (mut families, mut failed) = (HashMap::new(), false);
    for mut running in nodes {
        let of = (running.entry.path.family.clone(), running.entry.revision);
        let topic = hands.topic(&of.0.app);
        let own = state_of(&Subject::node(&running.entry), topic.as_deref());
        let family = families.entry(of).or_insert_with(|| family(topic.as_deref(), &running.entry));
        let family = (*family, own);
        if running.family == Some(family) {
            continue;
        }
        match tell(hands, &mut running).await {
            Ok(()) => running.family = Some(family),
            Err(cause) => {
                failed = true;
                tracing::debug!(node = %running.entry.id, cause, "its files stay as they are for now")
            }
        }
        // Not put back where it has left, or was upgraded, meanwhile.
        if let Some(place) = hands.refresh.nodes().get_mut(&running.entry.id)
            && Arc::ptr_eq(&place.entry, &running.entry)
        {
            (place.family, place.files) = (running.family, running.files);
        }
    }
    if failed {
        let hands = hands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(TRY_AGAIN).await;
            hands.refresh.news.notify_one();
        });
    }
}

fn family(topic: Option<&Topic>, entry: &NodeEntry) -> Digest {
    let subject = Subject::node(entry);
    let kin = kin(&subject, topic);
    let links = links_of(&entry.spec, topic);
    Digest::of_value(&(kin.count, kin.listed.values().collect::<Vec<_>>(), kin_of(&subject, topic), links))
}

async fn tell(hands: &Arc<Hands>, running: &mut Running) -> Result<(), String> {
    let layers = spec::layers(hands, &running.entry.spec).await?;
    let (hands, entry, node) = (hands.clone(), running.entry.clone(), running.node.clone());
    let known = std::mem::take(&mut running.files);
    let told = tokio::task::spawn_blocking(move || {
        let rendered = spec::of_peers(&hands, &Subject::node(&entry), &layers)?;
        Ok::<_, String>((write(&rendered.files, &known, &node)?, rendered.told))
    });
    let (files, news) = told.await.map_err(|e| e.to_string())??;
    running.files = files;
    if let (Some(notices), Some(news)) = (&running.notices, news) {
        notices.offer(news);
    }
    Ok(())
}

/// Writes what differs. Digests of what is there then; the context changes whenever it is asked for.
fn write(
    files: &[FileSpec],
    known: &HashMap<PathBuf, Digest>,
    node: &NodeHandle,
) -> Result<HashMap<PathBuf, Digest>, String> {
    let mut there = HashMap::new();
    for file in files {
        let digest = Digest::of(&file.content);
        if known.get(&file.path) != Some(&digest) {
            node.put(&file.path, file.mode, &file.content).map_err(|e| e.to_string())?;
        }
        if !file.path.ends_with("context.json") {
            there.insert(file.path.clone(), digest);
        }
    }
    Ok(there)
}
