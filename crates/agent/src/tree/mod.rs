//! Releases on this host: chunks as they came, trees laid out once and shared by all nodes that run them.

mod chunks;

use crate::config::AgentError;
use crate::hands::LinkNow;
use chunks::Chunks;
use lace_model::Digest;
use lace_model::release::Tree;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The release's directory within the layer.
const APP: &str = "app";

type Flight = Arc<OnceCell<PathBuf>>;

/// The trees of this host.
pub struct Trees {
    dir: PathBuf,
    chunks: Arc<Chunks>,
    /// One lay-out per digest, whoever asks.
    flights: Mutex<HashMap<Digest, Flight>>,
}

impl Trees {
    /// Opens the stores below the state directory.
    pub fn open(state_dir: &Path, link: LinkNow) -> Result<Self, AgentError> {
        let dir = state_dir.join("trees");
        std::fs::create_dir_all(&dir).map_err(AgentError::state("make", &dir))?;
        let chunks = Arc::new(Chunks::open(state_dir.join("chunks"), link)?);
        Ok(Self { dir, chunks, flights: Mutex::default() })
    }

    /// The directory of a tree, as a layer: what the release holds lies in `app` below it.
    pub async fn layer(&self, digest: Digest) -> Result<PathBuf, String> {
        let flight =
            self.flights.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default().clone();
        flight.get_or_try_init(|| self.lay_out(digest)).await.cloned()
    }

    async fn lay_out(&self, digest: Digest) -> Result<PathBuf, String> {
        let place = self.dir.join(digest.to_string());
        if place.join(APP).is_dir() {
            return Ok(place);
        }
        let bytes = self.chunks.fetch(&[digest]).await?.remove(&digest).ok_or("the tree did not come")?;
        let tree: Tree = serde_json::from_slice(&bytes)
            .map_err(|e| format!("tree {} is unreadable: {e}", digest.short()))?;
        let tree = Arc::new(tree);
        let needed: Vec<_> = lace_release::needed(&tree).into_iter().collect();
        self.chunks.ensure(&needed).await?;
        let (chunks, made) = (self.chunks.clone(), place.clone());
        let laid = tokio::task::spawn_blocking(move || lay_out(&tree, &chunks, &made)).await;
        laid.map_err(|e| e.to_string())?.map_err(|e| format!("laying out {}: {e}", digest.short()))?;
        self.chunks.trim();
        Ok(place)
    }
}

fn lay_out(tree: &Tree, chunks: &Chunks, place: &Path) -> Result<(), String> {
    std::fs::create_dir_all(place).map_err(|e| e.to_string())?;
    // What a crash left half written; nobody else works here.
    lace_release::sweep(place).map_err(|e| e.to_string())?;
    lace_release::materialise(tree, &place.join(APP), |digest| chunks.read(*digest))
        .map_err(|e| e.to_string())
}
