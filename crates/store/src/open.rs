//! Opening a state: files, locks, settings of the database.

use crate::blob::Blobs;
use crate::heads::Heads;
use crate::reserve::Reserve;
use crate::scribe::{Bells, Scribe};
use crate::{
    Clock, DiskGauge, FixedGauge, Limits, MasterKey, Meta, Result, StatvfsGauge, StoreError, limits,
};
use crate::{key, meta, schema, segment};
use lace_model::InstallationId;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Name of the database in the state directory.
pub(crate) const DATABASE: &str = "lace.db";
const LOCK: &str = "lace.lock";

/// How long a connection waits for a lock. Writers are one and readers never block, so only a checkpoint or a
/// person with an SQL shell can make it wait.
const BUSY: Duration = Duration::from_secs(10);

/// Statements that a connection keeps prepared: all of them.
const STATEMENTS: usize = 64;

/// What may be set for tests and odd places.
#[derive(Clone, Default)]
pub struct Options {
    /// Bounds of the feeds.
    pub limits: Limits,
    /// Measures the disk; that of the state directory where none is given (an empty one in memory).
    pub gauge: Option<Arc<dyn DiskGauge>>,
}

/// The parts of an open state.
pub(crate) struct Opened {
    pub scribe: Scribe,
    pub meta: Meta,
    pub gauge: Arc<dyn DiskGauge>,
    pub blobs: Arc<Blobs>,
    pub bells: Bells,
}

/// Makes a directory that only its owner may enter.
pub(crate) fn private_dir(dir: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(StoreError::io(format!("make the directory {}", dir.display())))
}

/// Takes the lock that one process at a time holds; the system gives it back when the process ends.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let what = format!("open {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io(what))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.display().to_string() }),
        Err(TryLockError::Error(e)) => Err(StoreError::io(format!("lock {}", path.display()))(e)),
    }
}

/// Makes a file that only its owner may read, whatever the umask; SQLite's files beside it take its mode.
pub(crate) fn touch(file: &Path) -> Result<()> {
    let what = || StoreError::io(format!("open {}", file.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(file).map_err(what()).map(drop)
}

/// The writing connection of a state on disk.
pub(crate) fn writer(file: &Path) -> Result<Connection> {
    touch(file)?;
    let conn = Connection::open(file)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "wal_autocheckpoint", limits::WAL_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", limits::WAL_FILE_BYTES_MAX as i64)?;
    settle(&conn)?;
    Ok(conn)
}

/// A reading connection of a state on disk.
pub(crate) fn reader(file: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&conn)?;
    Ok(conn)
}

fn settle(conn: &Connection) -> Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

pub(crate) fn on_disk(dir: &Path, key: MasterKey, clock: Arc<dyn Clock>, options: Options) -> Result<Opened> {
    let conn = writer(&dir.join(DATABASE))?;
    let mut id = [0; 16];
    key::random(&mut id)?;
    let id = InstallationId(uuid::Builder::from_random_bytes(id).into_uuid());
    let gauge = options.gauge.unwrap_or_else(|| Arc::new(StatvfsGauge(dir.into())));
    let blobs = Arc::new(Blobs::in_dir(&dir.join("blobs"), gauge.clone(), clock.clone())?);
    let reserve = Reserve::open(dir, gauge.clone());
    let mut opened = found((conn, id), key, clock, options.limits, (gauge, blobs))?;
    opened.scribe.reserve = Some(reserve);
    Ok(opened)
}

/// The installation's id is derived from the key: a simulated world has the same one in every run.
pub(crate) fn in_memory(key: MasterKey, clock: Arc<dyn Clock>, options: Options) -> Result<Opened> {
    let conn = Connection::open_in_memory()?;
    conn.pragma_update(None, "foreign_keys", true)?;
    settle(&conn)?;
    let id = InstallationId::derive(key.bytes(), "a state in memory");
    let gauge = options.gauge.unwrap_or_else(|| Arc::new(FixedGauge::default()));
    let blobs = Arc::new(Blobs::in_memory(gauge.clone(), clock.clone()));
    found((conn, id), key, clock, options.limits, (gauge, blobs))
}

fn found(
    (conn, id): (Connection, InstallationId),
    key: MasterKey,
    clock: Arc<dyn Clock>,
    limits: Limits,
    (gauge, blobs): (Arc<dyn DiskGauge>, Arc<Blobs>),
) -> Result<Opened> {
    schema::migrate(&conn)?;
    if !meta::is_founded(&conn)? {
        let tx = conn.unchecked_transaction()?;
        meta::found(&tx, &key, id, clock.now_ms())?;
        tx.commit()?;
    }
    meta::check_key(&conn, &key)?;
    let (meta, heads) = (meta::load(&conn)?, Heads::load(&conn)?);
    blobs.pin(segment::list(&conn)?.into_iter().map(|part| part.blob));
    let bells = Bells::from(&heads);
    let scribe =
        Scribe { conn, heads, key, clock, limits, blobs: blobs.clone(), bells: bells.clone(), reserve: None };
    Ok(Opened { scribe, meta, gauge, blobs, bells })
}
