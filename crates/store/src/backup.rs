//! Backups: a directory with `lace.db` and `blobs/`, without the master key; and the way back.
//!
//! A backup into the same directory again copies only blobs that are new, and its database changes at once at
//! the end: a backup that is cut short leaves the one before as it was. Blobs that were collected since then
//! stay in it.

use crate::open::{self, DATABASE};
use crate::{Batch, Blobs, Clock, MasterKey, Result, StatvfsGauge, Store, StoreError, meta, schema};
use lace_model::event::NewEvent;
use rusqlite::Connection;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

const COPY: &str = "VACUUM INTO ?1";
const CHECK: &str = "PRAGMA integrity_check(1)";

/// What a copy of blobs came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Blobs that were copied.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that are damaged where they came from, and were left out.
    pub damaged: u64,
}

impl Store {
    /// Copies the state, as it is at one moment, into the directory `to`. Writers go on meanwhile.
    pub fn backup(&self, to: &Path) -> Result<Copied> {
        open::private_dir(to)?;
        let temp = to.join(format!("{DATABASE}.making"));
        remove_if_there(&temp)?;
        open::touch(&temp)?;
        self.read(|conn| Ok(conn.execute(COPY, [path_text(&temp)?])?))?;
        let copied = copy_blobs(self.blobs(), to, self.clock())?;
        settle(&temp, to)?;
        Ok(copied)
    }

    /// Makes a state in `dir` from a backup, opens it in a new epoch, and sets adopt mode.
    ///
    /// The epoch is the larger of the backup's epoch + 1 and the clock's milliseconds: a backup that is
    /// restored twice, or one that is older than an earlier restore, never meets an epoch that hosts have
    /// seen, as long as the clock does not run backwards between restores.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where `dir` has a state, [`StoreError::WrongKey`], [`StoreError::Damaged`]. What fails
    /// half-way leaves no state in `dir`, and may be repeated.
    pub fn restore(from: &Path, dir: &Path, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Store> {
        let source = from.join(DATABASE);
        if !source.is_file() {
            return Err(StoreError::NotFound { what: format!("backup in {}", from.display()) });
        }
        open::private_dir(dir)?;
        let lock = open::lock(dir)?;
        if dir.join(DATABASE).exists() {
            return Err(StoreError::Exists { path: dir.display().to_string() });
        }
        let temp = dir.join(format!("{DATABASE}.restoring"));
        remove_if_there(&temp)?;
        open::touch(&temp)?;
        copy_file(&source, &temp)?;
        let epoch = renew(&temp, &key, clock.as_ref())?;
        let copied = bring_blobs(from, dir, &clock)?;
        settle(&temp, dir)?;
        drop(lock);
        let store = Self::open(dir, key, clock)?;
        store.commit(restored(from, epoch, copied))?;
        Ok(store)
    }
}

/// What the restored state says about it.
fn restored(from: &Path, epoch: u64, copied: Copied) -> Batch {
    let mut batch = Batch::new(None);
    let mut message = format!("restored from {} in epoch {epoch}, {} blobs", from.display(), copied.blobs);
    if copied.damaged > 0 {
        message += &format!("; {} damaged blobs were left out", copied.damaged);
    }
    batch.event(NewEvent::new("controller.restored", "controller", &message));
    batch.audit("restore", "controller", &message);
    batch
}

/// Checks a copied database and opens its new epoch.
fn renew(file: &Path, key: &MasterKey, clock: &dyn Clock) -> Result<u64> {
    let conn = Connection::open(file)?;
    let verdict: String = conn.query_row(CHECK, [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged { what: "the backup's database".into(), why: verdict });
    }
    schema::migrate(&conn)?;
    meta::check_key(&conn, key)?;
    let tx = conn.unchecked_transaction()?;
    let epoch = meta::open_epoch(&tx, clock.now_ms())?;
    tx.commit()?;
    Ok(epoch)
}

/// The content alone: the new file keeps its own mode.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let copy = || std::io::copy(&mut File::open(from)?, &mut OpenOptions::new().write(true).open(to)?);
    copy().map(drop).map_err(StoreError::io(format!("copy {}", from.display())))
}

/// The blobs of a backup, where it has any.
fn bring_blobs(from: &Path, to: &Path, clock: &Arc<dyn Clock>) -> Result<Copied> {
    let shelves = from.join("blobs");
    if !shelves.is_dir() {
        return Ok(Copied::default());
    }
    let blobs = Blobs::in_dir(&shelves, Arc::new(StatvfsGauge(from.into())), clock.clone())?;
    copy_blobs(&blobs, to, clock.clone())
}

fn copy_blobs(from: &Blobs, to: &Path, clock: Arc<dyn Clock>) -> Result<Copied> {
    let target = Blobs::in_dir(&to.join("blobs"), Arc::new(StatvfsGauge(to.into())), clock)?;
    let mut copied = Copied::default();
    for (digest, size, _) in from.list()? {
        if target.size(&digest) == Some(size) {
            continue;
        }
        match from.get(&digest) {
            Ok(Some(bytes)) => {
                target.put_unsynced(&digest, &bytes)?;
                copied.blobs += 1;
                copied.bytes += size;
            }
            // Collected meanwhile.
            Ok(None) => {}
            Err(StoreError::DamagedBlob { .. }) => copied.damaged += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(copied)
}

/// Everything so far to the disk, then the database under its name: from here on it counts.
fn settle(temp: &Path, dir: &Path) -> Result<()> {
    let failed = || StoreError::io(format!("finish the copy in {}", dir.display()));
    let handle = File::open(dir).map_err(failed())?;
    File::open(temp).and_then(|f| f.sync_all()).map_err(failed())?;
    rustix::fs::syncfs(&handle).map_err(|e| failed()(e.into()))?;
    fs::rename(temp, dir.join(DATABASE)).map_err(failed())?;
    handle.sync_all().map_err(failed())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(format!("remove {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| StoreError::Io {
        what: format!("write to {}", path.display()),
        why: "the path is not UTF-8".into(),
    })
}
