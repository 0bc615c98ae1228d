//! What packages want installed: layers of Debian packages, made once on this host and shared by all nodes that want the same.
//!
//! A layer holds what this host has not installed itself. So it is made anew when the host's own packages change, for nodes
//! that start from then on; where that fails (a mirror that is away), the last one still does.

use crate::config::AgentError;
use crate::identity::private_dir;
use lace_machine::debian;
use lace_model::Digest;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Time for a layer: a slow mirror and a hundred packages.
const WITHIN: Duration = Duration::from_secs(300);
/// What is installed on the host (dpkg(1)).
const INSTALLED: &str = "/var/lib/dpkg/status";
/// What is known of packages, where the host itself knows too little.
const LISTS: &str = "lists";

type Flight = Arc<OnceCell<PathBuf>>;

/// The layers of this host.
pub struct Images {
    dir: PathBuf,
    /// One lay-out per layer, whoever asks.
    flights: Mutex<HashMap<PathBuf, Flight>>,
}

/// The name of a set of packages.
pub fn name_of(packages: &[String]) -> Digest {
    Digest::of_value(&packages)
}

impl Images {
    /// Opens the store below the state directory.
    pub fn open(state_dir: &Path) -> Result<Self, AgentError> {
        let dir = state_dir.join("images");
        private_dir(&dir)?;
        Ok(Self { dir, flights: Mutex::default() })
    }

    /// The layer with these packages; none where the host has them all itself.
    pub async fn layer(&self, packages: &[String]) -> Result<Option<PathBuf>, String> {
        if packages.is_empty() {
            return Ok(None);
        }
        let of = self.dir.join(name_of(packages).to_string());
        let place = of.join(stamp());
        let flight = self
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(place.clone())
            .or_default()
            .clone();
        let made = flight.get_or_try_init(|| self.make(packages, &of, &place)).await?;
        let is_empty = std::fs::read_dir(made).is_ok_and(|mut entries| entries.next().is_none());
        Ok((!is_empty).then(|| made.clone()))
    }

    async fn make(&self, packages: &[String], of: &Path, place: &Path) -> Result<PathBuf, String> {
        if place.is_dir() {
            return Ok(place.to_owned());
        }
        std::fs::create_dir_all(of).map_err(|e| format!("{}: {e}", of.display()))?;
        let began = tokio::time::Instant::now();
        let (wanted, at, lists) = (packages.to_vec(), place.to_owned(), self.dir.join(LISTS));
        let laid = tokio::task::spawn_blocking(move || debian::lay_out(&wanted, &at, &lists, WITHIN)).await;
        match laid.map_err(|e| e.to_string())? {
            Ok(()) => {
                let took_ms = began.elapsed().as_millis() as u64;
                tracing::info!(packages = packages.join(" "), took_ms, "packages laid out");
                Ok(place.to_owned())
            }
            Err(error) => match newest(of) {
                Some(former) => {
                    tracing::warn!(%error, "the layer that was made before the host's packages changed is used");
                    Ok(former)
                }
                None => Err(error.to_string()),
            },
        }
    }

    /// Are there layers that are not named?
    pub fn has_surplus(&self, named: &HashSet<Digest>) -> bool {
        self.there().any(|(digest, _)| !named.contains(&digest))
    }

    /// Forgets layers of sets that nobody names. Asks who is named only after nobody can begin to use one any more.
    pub fn sweep(&self, named: impl FnOnce() -> HashSet<Digest>) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let named = named();
        for (_, path) in self.there().filter(|(digest, _)| !named.contains(digest)) {
            flights.retain(|place, _| !place.starts_with(&path));
            let _ = std::fs::remove_dir_all(path);
        }
    }

    fn there(&self) -> impl Iterator<Item = (Digest, PathBuf)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
    }
}

/// Changes when the host's packages change.
fn stamp() -> String {
    let meta = std::fs::metadata(INSTALLED);
    meta.map_or_else(|_| "none".to_owned(), |meta| format!("{:x}-{:x}", meta.mtime(), meta.size()))
}

fn newest(of: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(of).ok()?.flatten();
    let made = entries.filter(|entry| entry.path().extension().is_none());
    made.max_by_key(|entry| entry.metadata().and_then(|meta| meta.modified()).ok()).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_layer_is_made_once_and_the_last_one_serves_where_no_other_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let images = Images::open(dir.path()).unwrap();
        assert_eq!(images.layer(&[]).await, Ok(None));
        let wanted = ["no-such-thing-anywhere".to_owned()];
        let of = dir.path().join("images").join(name_of(&wanted).to_string());
        // The host had other packages when this one was made.
        std::fs::create_dir_all(of.join("former/usr")).unwrap();
        assert_eq!(images.layer(&wanted).await, Ok(Some(of.join("former"))));
        assert!(
            images.has_surplus(&HashSet::new()) && !images.has_surplus(&HashSet::from([name_of(&wanted)]))
        );
        images.sweep(HashSet::new);
        assert!(!of.exists());
    }
}
