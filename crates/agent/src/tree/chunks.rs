//! Blobs that were fetched, named by their digests. A bounded cache: what goes is fetched again.

use crate::config::AgentError;
use crate::hands::LinkNow;
use crate::identity::private_dir;
use lace_model::Digest;
use lace_wire::link::dial::Link;
use lace_wire::link::frame::FetchRequest;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;
use tokio_stream::StreamExt;

/// Bytes of chunks that are kept for the next, nearly equal release.
const KEPT_BYTES_MAX: u64 = 2 << 30;
/// Digests in one request.
const FETCH_MAX: usize = 1_000;

/// The store.
pub struct Chunks {
    dir: PathBuf,
    link: LinkNow,
}

impl Chunks {
    /// Opens the store.
    pub fn open(dir: PathBuf, link: LinkNow) -> Result<Self, AgentError> {
        private_dir(&dir)?;
        Ok(Self { dir, link })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// Content of a chunk that is there; its bytes are checked.
    pub fn read(&self, digest: Digest) -> io::Result<Vec<u8>> {
        let bytes = std::fs::read(self.path(digest))?;
        if Digest::of(&bytes) == digest {
            return Ok(bytes);
        }
        let _ = std::fs::remove_file(self.path(digest));
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("chunk {} was damaged", digest.short())))
    }

    /// Fetches what is missing into the store.
    pub async fn ensure(&self, digests: &[Digest]) -> Result<(), String> {
        let missing: Vec<_> = digests.iter().copied().filter(|d| !self.path(*d).exists()).collect();
        for some in missing.chunks(FETCH_MAX) {
            self.each(some, |digest, bytes| self.write(digest, bytes)).await?;
        }
        Ok(())
    }

    /// Fetches blobs into memory.
    pub async fn fetch(&self, digests: &[Digest]) -> Result<HashMap<Digest, Vec<u8>>, String> {
        let mut blobs = HashMap::new();
        let keep = |digest, bytes: &[u8]| {
            blobs.insert(digest, bytes.to_vec());
            Ok(())
        };
        self.each(digests, keep).await?;
        Ok(blobs)
    }

    async fn each(
        &self,
        digests: &[Digest],
        mut take: impl FnMut(Digest, &[u8]) -> io::Result<()>,
    ) -> Result<(), String> {
        let link = self.link_now().await?;
        let asked = link.fetch(FetchRequest { digests: digests.to_vec() }).await;
        let mut blobs = asked.map_err(|status| format!("fetching: {}", status.message()))?;
        while let Some(blob) = blobs.next().await {
            let blob = blob.map_err(|status| format!("fetching: {}", status.message()))?;
            let name = blob.digest.short();
            let bytes = blob.content.map_err(|problem| format!("fetching {name}: {}", problem.message))?;
            if Digest::of(&bytes) != blob.digest {
                return Err(format!("fetching {name}: other bytes came"));
            }
            take(blob.digest, &bytes).map_err(|e| format!("keeping {name}: {e}"))?;
        }
        Ok(())
    }

    async fn link_now(&self) -> Result<Link, String> {
        let mut link = self.link.clone();
        let there = link.wait_for(Option::is_some).await;
        there.ok().and_then(|link| link.clone()).ok_or_else(|| "the agent ends".to_owned())
    }

    /// Whole or not at all. Not synced: a damaged one is fetched again.
    fn write(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, bytes)?;
        std::fs::rename(fresh, path)
    }

    /// Forgets the oldest chunks above the bound.
    pub fn trim(&self) {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let aged = |entry: std::fs::DirEntry| {
            let meta = entry.metadata().ok()?;
            Some((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), entry.path()))
        };
        let mut files: Vec<_> = entries.filter_map(aged).collect();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        files.sort();
        for (_, length, path) in files {
            if bytes <= KEPT_BYTES_MAX {
                return;
            }
            let _ = std::fs::remove_file(path);
            bytes -= length;
        }
    }
}
