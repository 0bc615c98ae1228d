//! The store as others see it.

use crate::open::{self, Opened, Options};
use crate::reader::{Readers, View};
use crate::scribe::{Bells, Scribe};
use crate::writer::Writer;
use crate::{AuditReport, AuditSegment, SecretValue, audit, disk, event, secret, segment};
use crate::{
    AuditRow, Batch, Blobs, ChangeRow, Clock, Committed, DiskGauge, MasterKey, Meta, Result, Rev, Row,
};
use lace_model::event::Event;
use lace_model::secret::SecretInfo;
use lace_model::{AppName, InstallationId, Object};
use rusqlite::Connection;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The state of one controller. Cheap to clone; the last clone closes it.
///
/// Calls block for as long as the disk takes: reads some ten microseconds for one row, commits one sync. From
/// async code use [`Store::commit_async`] and [`Store::snapshot_async`] for what may take longer.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    backing: Backing,
    meta: Meta,
    key: MasterKey,
    gauge: Arc<dyn DiskGauge>,
    blobs: Arc<Blobs>,
    clock: Arc<dyn Clock>,
    bells: Bells,
    // Given back last, after the writer has ended.
    _lock: Option<File>,
}

enum Backing {
    Disk { writer: Writer, readers: Readers },
    Memory(Box<Mutex<Scribe>>),
}

impl Store {
    /// Opens the state in `dir`, and makes it where there is none: `lace.db` (WAL, synchronous FULL) and
    /// `blobs/`.
    ///
    /// # Errors
    /// [`crate::StoreError::InUse`] where another process has it open, [`crate::StoreError::WrongKey`],
    /// [`crate::StoreError::NewerDatabase`] after a downgrade.
    pub fn open(dir: &Path, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Store> {
        Self::open_with(dir, key, clock, Options::default())
    }

    /// [`Store::open`] with other bounds, or another measure of the disk.
    pub fn open_with(dir: &Path, key: MasterKey, clock: Arc<dyn Clock>, options: Options) -> Result<Store> {
        open::private_dir(dir)?;
        let lock = open::lock(dir)?;
        let opened = open::on_disk(dir, key.clone(), clock, options)?;
        let readers = Readers::new(dir.join(open::DATABASE));
        Self::assemble(opened, key, Some(lock), |scribe| {
            Ok(Backing::Disk { writer: Writer::start(scribe)?, readers })
        })
    }

    /// A state in memory: no thread, no file, everything inline. For the simulated world and for tests.
    pub fn open_in_memory(key: MasterKey, clock: Arc<dyn Clock>) -> Result<Store> {
        Self::open_in_memory_with(key, clock, Options::default())
    }

    /// [`Store::open_in_memory`] with other bounds, or another measure of the disk.
    pub fn open_in_memory_with(key: MasterKey, clock: Arc<dyn Clock>, options: Options) -> Result<Store> {
        let opened = open::in_memory(key.clone(), clock, options)?;
        Self::assemble(opened, key, None, |scribe| Ok(Backing::Memory(Box::new(Mutex::new(scribe)))))
    }

    fn assemble(
        opened: Opened,
        key: MasterKey,
        lock: Option<File>,
        backing: impl FnOnce(Scribe) -> Result<Backing>,
    ) -> Result<Store> {
        let Opened { scribe, meta, gauge, blobs, bells } = opened;
        let clock = scribe.clock.clone();
        let inner = Inner { backing: backing(scribe)?, meta, key, gauge, blobs, clock, bells, _lock: lock };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// An object, with the revision that wrote it.
    pub fn get<T: Object>(&self, key: &str) -> Result<Option<Row<T>>> {
        self.read(|conn| View::new(conn).get(key))
    }

    /// Objects whose key starts with exactly this text, in the order of their keys.
    pub fn list<T: Object>(&self, prefix: &str) -> Result<Vec<Row<T>>> {
        self.read(|conn| View::new(conn).list(prefix))
    }

    /// Reads several things that belong together, as they are at one moment.
    ///
    /// Ask only the view inside: a state in memory is locked meanwhile.
    pub fn snapshot<R>(&self, f: impl FnOnce(&View<'_>) -> Result<R>) -> Result<R> {
        self.read(|conn| {
            let tx = conn.unchecked_transaction()?;
            f(&View::new(&tx))
        })
    }

    /// [`Store::snapshot`] on a thread that may block; inline for a state in memory.
    pub async fn snapshot_async<R: Send + 'static>(
        &self,
        f: impl FnOnce(&View<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        if matches!(self.inner.backing, Backing::Memory(_)) {
            return self.snapshot(f);
        }
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.snapshot(f)).await.map_err(crate::scribe::gone)?
    }

    /// Writes a batch as a whole or not at all. When it answers, the batch is on the disk.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] where a row is not as expected, [`crate::StoreError::DiskFull`] for new work
    /// on a full disk, [`crate::StoreError::TooLarge`]. After [`crate::StoreError::Database`] the batch may turn out
    /// to be there after a restart.
    pub fn commit(&self, batch: Batch) -> Result<Committed> {
        self.admit(&batch)?;
        match &self.inner.backing {
            Backing::Disk { writer, .. } => writer.commit(batch),
            Backing::Memory(scribe) => commit_inline(scribe, batch),
        }
    }

    /// [`Store::commit`] for async code. Once polled the batch may be written, also where the future is
    /// dropped.
    pub async fn commit_async(&self, batch: Batch) -> Result<Committed> {
        self.admit(&batch)?;
        match &self.inner.backing {
            Backing::Disk { writer, .. } => writer.commit_async(batch).await,
            Backing::Memory(scribe) => commit_inline(scribe, batch),
        }
    }

    fn admit(&self, batch: &Batch) -> Result<()> {
        batch.sound()?;
        if batch.new_work { self.admit_new_work() } else { Ok(()) }
    }

    /// Refuses with [`crate::StoreError::DiskFull`] at 90 % of used/(used + available) of the state's disk.
    pub fn admit_new_work(&self) -> Result<()> {
        disk::admit(self.inner.gauge.as_ref())
    }

    /// Changes after a revision, in order, at most `limit` (and [`crate::limits::PAGE_ROWS_MAX`]).
    ///
    /// # Errors
    /// [`crate::StoreError::Compacted`] where the feed no longer reaches back so far: list again.
    pub fn changes(&self, after: Rev, limit: usize) -> Result<Vec<ChangeRow>> {
        self.read(|conn| View::new(conn).changes(after, limit))
    }

    /// The newest committed revision, and a wake-up when there is a newer one.
    pub fn watch(&self) -> watch::Receiver<Rev> {
        self.inner.bells.rev.subscribe()
    }

    /// Events after a number, oldest first, at most `limit` (and [`crate::limits::PAGE_ROWS_MAX`]). Where
    /// older ones are no longer kept the answer begins with the first that is.
    pub fn events(&self, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        self.read(|conn| event::after(conn, after_seq, limit))
    }

    /// The last `n` events, oldest first.
    pub fn events_tail(&self, n: usize) -> Result<Vec<Event>> {
        self.read(|conn| event::tail(conn, n))
    }

    /// Events after a number about a subject and what lies under it: `shop` covers `shop/game/2`, not
    /// `shopping`.
    pub fn events_under(&self, subject: &str, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        self.read(|conn| event::after_under(conn, subject, after_seq, limit))
    }

    /// The last `n` events about a subject and what lies under it, oldest first.
    pub fn events_tail_under(&self, subject: &str, n: usize) -> Result<Vec<Event>> {
        self.read(|conn| event::tail_under(conn, subject, n))
    }

    /// The number of the newest event, and a wake-up when there is a newer one.
    pub fn watch_events(&self) -> watch::Receiver<u64> {
        self.inner.bells.event.subscribe()
    }

    /// Rows of the audit log after a number, oldest first.
    pub fn audit(&self, after_seq: u64, limit: usize) -> Result<Vec<AuditRow>> {
        self.read(|conn| View::new(conn).audit(after_seq, limit))
    }

    /// Where the oldest rows of the audit log went, oldest first; pinned among the blobs.
    pub fn audit_segments(&self) -> Result<Vec<AuditSegment>> {
        self.read(segment::list)
    }

    /// Looks whether the audit log is as it was written.
    pub fn audit_verify(&self) -> Result<AuditReport> {
        self.read(|conn| audit::verify(&*conn.unchecked_transaction()?, self.blobs()))
    }

    /// Seals a new version of a secret; answers its number. With other writes: [`Batch::secret_put`].
    pub fn secret_put(&self, app: &AppName, name: &str, value: SecretValue, generated: bool) -> Result<u64> {
        let mut batch = Batch::new(None);
        batch.secret_put(app, name, value, generated);
        let done = self.commit(batch)?;
        done.secrets.first().map(|s| s.2).ok_or(crate::StoreError::Closed)
    }

    /// A version of a secret (the newest where none is named) in the clear, and its number.
    pub fn secret_get(
        &self,
        app: &AppName,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<(SecretValue, u64)>> {
        self.read(|conn| secret::get(conn, &self.inner.key, app, name, version))
    }

    /// What may be shown of secrets: all, or those of an application.
    pub fn secret_list(&self, app: Option<&AppName>) -> Result<Vec<SecretInfo>> {
        self.read(|conn| secret::list(conn, app))
    }

    /// Removes a secret with all its versions; answers whether there was one.
    pub fn secret_remove(&self, app: &AppName, name: &str) -> Result<bool> {
        let mut batch = Batch::new(None);
        batch.secret_remove(app, name);
        Ok(!self.commit(batch)?.changes.is_empty())
    }

    /// What the state says of itself, now.
    pub fn meta(&self) -> Result<Meta> {
        self.read(|conn| View::new(conn).meta())
    }

    /// First part of every generation; stays while the store is open.
    pub fn epoch(&self) -> u64 {
        self.inner.meta.epoch
    }

    /// This installation.
    pub fn installation(&self) -> InstallationId {
        self.inner.meta.installation
    }

    /// Ends adopt mode: a person has looked at what the restored state does not know.
    pub fn end_adoption(&self, actor: Option<String>) -> Result<()> {
        let mut batch = Batch::new(actor);
        batch.adopted();
        batch.audit("adopt", "controller", "ended");
        self.commit(batch).map(drop)
    }

    /// Content by digest: chunks of releases, trees.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock.clone()
    }

    pub(crate) fn read<R>(&self, f: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        match &self.inner.backing {
            Backing::Disk { readers, .. } => readers.with(f),
            Backing::Memory(scribe) => f(&scribe.lock().unwrap_or_else(PoisonError::into_inner).conn),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rev = *self.inner.bells.rev.borrow();
        f.debug_struct("Store").field("epoch", &self.epoch()).field("rev", &rev).finish_non_exhaustive()
    }
}

fn commit_inline(scribe: &Mutex<Scribe>, batch: Batch) -> Result<Committed> {
    let mut scribe = scribe.lock().unwrap_or_else(PoisonError::into_inner);
    scribe.commit_group(std::slice::from_ref(&batch)).pop().unwrap_or(Err(crate::StoreError::Closed))
}
