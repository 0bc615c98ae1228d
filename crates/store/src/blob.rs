//! Content by digest: chunks of files, trees, sealed audit segments.
//!
//! On disk a blob is the file `ab/<digest>` (`ab`: its first two digits). It appears whole or not at all, and
//! never changes. Its time of modification is when it was last wanted: put, or asked for. Garbage collection
//! spares what is younger than a grace age, so that a blob which is uploaded before the release that names it
//! stays.

use crate::limits::{BLOB_BYTES_MAX, BLOBS_ASKED_MAX};
use crate::{Clock, DiskGauge, Result, StoreError, disk, open};
use lace_model::{Digest, Millis, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The blobs of a store.
pub struct Blobs {
    home: Home,
    // What the store itself needs: never collected.
    pinned: Mutex<BTreeSet<Digest>>,
    gauge: Arc<dyn DiskGauge>,
    clock: Arc<dyn Clock>,
}

enum Home {
    Dir { dir: PathBuf, temps: AtomicU64 },
    Memory(Mutex<BTreeMap<Digest, Held>>),
}

struct Held {
    bytes: Arc<[u8]>,
    wanted_at: Millis,
}

/// What garbage collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that were removed.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that nothing names, spared because they are young.
    pub spared: u64,
}

impl Blobs {
    pub(crate) fn in_dir(dir: &Path, gauge: Arc<dyn DiskGauge>, clock: Arc<dyn Clock>) -> Result<Self> {
        open::private_dir(dir)?;
        Ok(Self {
            home: Home::Dir { dir: dir.into(), temps: AtomicU64::new(0) },
            pinned: Mutex::default(),
            gauge,
            clock,
        })
    }

    pub(crate) fn in_memory(gauge: Arc<dyn DiskGauge>, clock: Arc<dyn Clock>) -> Self {
        Self { home: Home::Memory(Mutex::default()), pinned: Mutex::default(), gauge, clock }
    }

    /// Keeps a blob and answers its digest; on the disk when it answers. Doing it twice does nothing new, and
    /// mends a damaged one.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] over [`BLOB_BYTES_MAX`], [`StoreError::DiskFull`] at 90 %.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        disk::admit(self.gauge.as_ref())?;
        self.put_always(bytes)
    }

    /// [`Blobs::put`] for the store itself: also on a nearly full disk, and never collected.
    pub(crate) fn put_pinned(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = self.put_always(bytes)?;
        self.pin([digest]);
        Ok(digest)
    }

    pub(crate) fn pin(&self, digests: impl IntoIterator<Item = Digest>) {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).extend(digests);
    }

    /// Part of a copy: the caller syncs the file system at the end.
    pub(crate) fn put_unsynced(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        match &self.home {
            Home::Dir { dir, temps } => write_file(dir, temps, digest, bytes, Sync::Later),
            Home::Memory(_) => self.put_always(bytes).map(drop),
        }
    }

    /// Size of a blob in bytes, where it is there.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        match &self.home {
            Home::Dir { dir, .. } => fs::metadata(file_of(dir, digest)).ok().map(|m| m.len()),
            Home::Memory(held) => locked(held).get(digest).map(|h| h.bytes.len() as u64),
        }
    }

    fn put_always(&self, bytes: &[u8]) -> Result<Digest> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(StoreError::TooLarge {
                what: "a blob".into(),
                bytes: bytes.len(),
                limit: BLOB_BYTES_MAX,
            });
        }
        let digest = Digest::of(bytes);
        match &self.home {
            Home::Dir { dir, temps } => {
                let good = matches!(read_file(dir, &digest), Ok(Some(found)) if found == bytes);
                if !good {
                    write_file(dir, temps, &digest, bytes, Sync::Now)?;
                }
                self.touch(&digest)?;
            }
            Home::Memory(held) => {
                let wanted_at = self.clock.now_ms();
                locked(held).insert(digest, Held { bytes: bytes.into(), wanted_at });
            }
        }
        Ok(digest)
    }

    /// The content of a blob, checked against its digest; none where there is no such blob.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] where the content is not what it was.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let found = match &self.home {
            Home::Dir { dir, .. } => read_file(dir, digest)?,
            Home::Memory(held) => locked(held).get(digest).map(|h| h.bytes.to_vec()),
        };
        match found {
            Some(bytes) if Digest::of(&bytes) != *digest => Err(StoreError::DamagedBlob { digest: *digest }),
            found => Ok(found),
        }
    }

    /// Which of these are missing, each once, in the order asked. Those that are there are safe from garbage
    /// collection for the grace age from now.
    pub fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>> {
        if digests.len() > BLOBS_ASKED_MAX {
            let (what, bytes) = ("a list of digests".to_owned(), digests.len());
            return Err(StoreError::TooLarge { what, bytes, limit: BLOBS_ASKED_MAX });
        }
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for digest in digests.iter().filter(|d| seen.insert(**d)) {
            if !self.touch(digest)? {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    /// Removes a blob; answers whether it was there.
    pub fn remove(&self, digest: &Digest) -> Result<bool> {
        match &self.home {
            Home::Dir { dir, .. } => match fs::remove_file(file_of(dir, digest)) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
                Err(e) => Err(StoreError::io(format!("remove blob {digest}"))(e)),
            },
            Home::Memory(held) => Ok(locked(held).remove(digest).is_some()),
        }
    }

    /// Every blob with its size in bytes and the time when it was last wanted. What is no blob is left out.
    pub fn list(&self) -> Result<Vec<(Digest, u64, Millis)>> {
        match &self.home {
            Home::Dir { dir, .. } => list_files(dir),
            Home::Memory(held) => {
                Ok(locked(held).iter().map(|(d, h)| (*d, h.bytes.len() as u64, h.wanted_at)).collect())
            }
        }
    }

    /// Removes what is not in `live` and was last wanted longer than `grace` ago.
    ///
    /// Work out `live` from the store before calling; what is put, or asked for, meanwhile is young.
    pub fn collect(&self, live: &BTreeSet<Digest>, grace: Span) -> Result<Collected> {
        let now = self.clock.now_ms();
        let mut done = Collected::default();
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (digest, bytes, wanted_at) in self.list()? {
            if live.contains(&digest) || pinned.contains(&digest) {
                continue;
            }
            if wanted_at.saturating_add(grace.0) > now {
                done.spared += 1;
            } else if self.remove(&digest)? {
                done.removed += 1;
                done.bytes += bytes;
            }
        }
        self.sweep_temps(now, grace);
        Ok(done)
    }

    /// Marks a blob as wanted now; false where it is not there.
    fn touch(&self, digest: &Digest) -> Result<bool> {
        let now = self.clock.now_ms();
        match &self.home {
            Home::Memory(held) => {
                let mut held = locked(held);
                Ok(held.get_mut(digest).map(|h| h.wanted_at = now).is_some())
            }
            Home::Dir { dir, .. } => {
                let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_millis(now));
                match File::open(file_of(dir, digest)).and_then(|f| f.set_times(times)) {
                    Ok(()) => Ok(true),
                    Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
                    Err(e) => Err(StoreError::io(format!("mark blob {digest}"))(e)),
                }
            }
        }
    }

    /// Removes what a crash left half written.
    fn sweep_temps(&self, now: Millis, grace: Span) {
        let Home::Dir { dir, .. } = &self.home else {
            return;
        };
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(TEMP)) {
            let age = entry.metadata().map(|m| now.saturating_sub(modified(&m)));
            if age.is_ok_and(|age| age >= grace.0) {
                // The next collection tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

const TEMP: &str = ".temp-";

fn locked(held: &Mutex<BTreeMap<Digest, Held>>) -> MutexGuard<'_, BTreeMap<Digest, Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file_of(dir: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    dir.join(&name[..2]).join(name)
}

fn modified(meta: &fs::Metadata) -> Millis {
    let since =
        meta.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn read_file(dir: &Path, digest: &Digest) -> Result<Option<Vec<u8>>> {
    let failed = || StoreError::io(format!("read blob {digest}"));
    let file = match File::open(file_of(dir, digest)) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed()(e)),
    };
    let mut bytes =
        Vec::with_capacity(file.metadata().map_or(0, |m| m.len().min(BLOB_BYTES_MAX as u64) as usize));
    // One more than the limit, so that a file which grew is seen as damaged and not read to its end.
    file.take(BLOB_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed())?;
    Ok(Some(bytes))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

fn write_file(dir: &Path, temps: &AtomicU64, digest: &Digest, bytes: &[u8], sync: Sync) -> Result<()> {
    let number = temps.fetch_add(1, Ordering::Relaxed);
    let temp = dir.join(format!("{TEMP}{}-{number}", std::process::id()));
    let shelf = dir.join(&digest.to_string()[..2]);
    let written = write_new(&temp, bytes, sync)
        .and_then(|()| make_shelf(dir, &shelf, sync))
        .and_then(|()| fs::rename(&temp, file_of(dir, digest)))
        .and_then(|()| sync_dir(&shelf, sync));
    written.map_err(|error| {
        // It failed already; what is left over goes with the next collection.
        let _ = fs::remove_file(&temp);
        StoreError::io(format!("write blob {digest}"))(error)
    })
}

fn write_new(path: &Path, bytes: &[u8], sync: Sync) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if sync == Sync::Now { file.sync_all() } else { Ok(()) }
}

fn make_shelf(dir: &Path, shelf: &Path, sync: Sync) -> std::io::Result<()> {
    if shelf.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(shelf)?;
    sync_dir(dir, sync)
}

fn sync_dir(dir: &Path, sync: Sync) -> std::io::Result<()> {
    if sync == Sync::Now { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn list_files(dir: &Path) -> Result<Vec<(Digest, u64, Millis)>> {
    let failed = |e| StoreError::io("list the blobs")(e);
    let mut found = Vec::new();
    for shelf in fs::read_dir(dir).map_err(failed)?.flatten().filter(|s| s.path().is_dir()) {
        for entry in fs::read_dir(shelf.path()).map_err(failed)?.flatten() {
            let Ok(digest) = entry.file_name().to_string_lossy().parse::<Digest>() else {
                continue;
            };
            // It may have been removed meanwhile.
            if let Ok(meta) = entry.metadata() {
                found.push((digest, meta.len(), modified(&meta)));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
