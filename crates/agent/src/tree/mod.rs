//! Releases and packages on this host: chunks as they came, trees laid out once and shared by all nodes that run them.

mod chunks;

use crate::config::AgentError;
use crate::hands::LinkNow;
use crate::identity::private_dir;
use chunks::Chunks;
use lace_model::Digest;
use lace_model::release::Tree;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// The release's directory within the layer.
const APP: &str = "app";
/// The package's directory within the layer: see [`lace_model::package::PACKAGE_HOME`].
const PACKAGE: &str = "package";

/// What is being forgotten.
const GONE: &str = "gone";
/// Trees that are kept though nobody names them.
const UNNAMED_KEPT: usize = 4;

/// A tree that is there: since when, which, where.
type Laid = (SystemTime, Digest, PathBuf);
type Flight = Arc<OnceCell<PathBuf>>;

/// The trees of this host.
pub struct Trees {
    dir: PathBuf,
    /// What a tree is in its layer.
    within: &'static str,
    chunks: Arc<Chunks>,
    /// One lay-out per digest, whoever asks.
    flights: Mutex<HashMap<Digest, Flight>>,
}

impl Trees {
    /// Opens the stores of releases and of packages below the state directory.
    pub fn open(state_dir: &Path, link: LinkNow) -> Result<(Self, Self), AgentError> {
        let chunks = Arc::new(Chunks::open(state_dir.join("chunks"), link)?);
        let releases = Self::of(state_dir.join("trees"), APP, chunks.clone())?;
        Ok((releases, Self::of(state_dir.join("packages"), PACKAGE, chunks)?))
    }

    fn of(dir: PathBuf, within: &'static str, chunks: Arc<Chunks>) -> Result<Self, AgentError> {
        private_dir(&dir)?;
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == GONE) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(Self { dir, within, chunks, flights: Mutex::default() })
    }

    /// The directory of a tree, as a layer: what a release holds lies in `app` below it, a package in `package`.
    pub async fn layer(&self, digest: Digest) -> Result<PathBuf, String> {
        let flight =
            self.flights.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default().clone();
        flight.get_or_try_init(|| self.lay_out(digest)).await.cloned()
    }

    /// Forgets trees that nobody names, but for the last few: a rollback wants them again. Asks who is named only after
    /// nobody can begin to use one any more.
    pub fn sweep(&self, named: impl FnOnce() -> HashSet<Digest>) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        for (digest, path) in surplus(self.there(), &named()) {
            flights.remove(&digest);
            let aside = path.with_extension(GONE);
            if std::fs::rename(&path, &aside).is_ok() {
                tracing::info!(tree = digest.short(), "forgotten");
                let _ = std::fs::remove_dir_all(aside);
            }
        }
    }

    /// Are there more trees than those that are kept in any case?
    pub fn is_crowded(&self, named: usize) -> bool {
        self.there().len() > named + UNNAMED_KEPT
    }

    fn there(&self) -> Vec<Laid> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let laid = |entry: std::fs::DirEntry| {
            let digest = entry.file_name().to_str()?.parse().ok()?;
            let at = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            Some((at, digest, entry.path()))
        };
        entries.filter_map(laid).collect()
    }

    async fn lay_out(&self, digest: Digest) -> Result<PathBuf, String> {
        let place = self.dir.join(digest.to_string());
        if place.join(self.within).is_dir() {
            return Ok(place);
        }
        let bytes = self.chunks.fetch(&[digest]).await?.remove(&digest).ok_or("the tree did not come")?;
        let tree: Tree = serde_json::from_slice(&bytes)
            .map_err(|e| format!("tree {} is unreadable: {e}", digest.short()))?;
        let tree = Arc::new(tree);
        let needed: Vec<_> = lace_release::needed(&tree).into_iter().collect();
        self.chunks.ensure(&needed).await?;
        let (chunks, made) = (self.chunks.clone(), place.join(self.within));
        let laid = tokio::task::spawn_blocking(move || lay_out(&tree, &chunks, &made)).await;
        laid.map_err(|e| e.to_string())?.map_err(|e| format!("laying out {}: {e}", digest.short()))?;
        self.chunks.trim();
        Ok(place)
    }
}

/// The trees to forget: unnamed, and not among the youngest of those.
fn surplus(mut there: Vec<Laid>, named: &HashSet<Digest>) -> Vec<(Digest, PathBuf)> {
    there.retain(|(_, digest, _)| !named.contains(digest));
    there.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    there.into_iter().skip(UNNAMED_KEPT).map(|(_, digest, path)| (digest, path)).collect()
}

fn lay_out(tree: &Tree, chunks: &Chunks, place: &Path) -> Result<(), String> {
    let layer = place.parent().ok_or("it has no place")?;
    std::fs::create_dir_all(layer).map_err(|e| e.to_string())?;
    // What a crash left half written; nobody else works here.
    lace_release::sweep(layer).map_err(|e| e.to_string())?;
    lace_release::materialise(tree, place, |digest| chunks.read(*digest)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn named_trees_and_the_youngest_others_stay() {
        let digest = |n: u8| Digest::of(&[n]);
        let at = |n: u8| SystemTime::UNIX_EPOCH + Duration::from_secs(n.into());
        let there: Vec<Laid> = (0..8).map(|n| (at(n), digest(n), PathBuf::from(n.to_string()))).collect();
        let gone = surplus(there, &HashSet::from([digest(0), digest(7)]));
        assert_eq!(gone.iter().map(|(d, _)| *d).collect::<Vec<_>>(), [digest(2), digest(1)]);
    }
}
