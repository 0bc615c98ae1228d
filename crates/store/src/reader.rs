//! Reading: connections of their own, and views that stand still.

use crate::{AuditRow, ChangeRow, Meta, Result, Rev, Row, audit, event, limits, meta, object, open};
use lace_model::Object;
use lace_model::event::Event;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

/// The store at one moment: everything that is read through one view belongs together.
pub struct View<'a> {
    conn: &'a Connection,
}

impl<'a> View<'a> {
    pub(crate) fn new(conn: &'a Connection) -> Self {
        Self { conn }
    }

    /// The newest revision in this view: follow the change feed from here.
    pub fn rev(&self) -> Result<Rev> {
        Ok(Rev(crate::heads::Heads::load(self.conn)?.rev))
    }

    /// An object.
    pub fn get<T: Object>(&self, key: &str) -> Result<Option<Row<T>>> {
        object::get(self.conn, key)
    }

    /// Objects whose key starts with `prefix`, in the order of their keys.
    pub fn list<T: Object>(&self, prefix: &str) -> Result<Vec<Row<T>>> {
        object::list(self.conn, prefix)
    }

    /// Changes after a revision, see [`crate::Store::changes`].
    pub fn changes(&self, after: Rev, limit: usize) -> Result<Vec<ChangeRow>> {
        object::changes(self.conn, after, limit)
    }

    /// Events after a number, see [`crate::Store::events`].
    pub fn events(&self, after_seq: u64, limit: usize) -> Result<Vec<Event>> {
        event::after(self.conn, after_seq, limit)
    }

    /// Rows of the audit log after a number.
    pub fn audit(&self, after_seq: u64, limit: usize) -> Result<Vec<AuditRow>> {
        audit::after(self.conn, after_seq, limit)
    }

    /// What the state says of itself.
    pub fn meta(&self) -> Result<Meta> {
        meta::load(self.conn)
    }
}

/// A small pool of read connections, opened when first needed. More readers than connections wait.
pub(crate) struct Readers {
    file: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

struct Pool {
    idle: Vec<Connection>,
    out: usize,
}

impl Readers {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, pool: Mutex::new(Pool { idle: Vec::new(), out: 0 }), returned: Condvar::new() }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&Connection) -> Result<R>) -> Result<R> {
        let lent = Lent { readers: self, conn: self.take()? };
        // A connection is there until the loan is dropped.
        lent.conn.as_ref().map_or(Err(crate::StoreError::Closed), f)
    }

    fn take(&self) -> Result<Option<Connection>> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.idle.is_empty() && pool.out >= limits::READERS_MAX {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.out += 1;
        if let Some(conn) = pool.idle.pop() {
            return Ok(Some(conn));
        }
        drop(pool);
        open::reader(&self.file).map(Some).inspect_err(|_| self.give(None))
    }

    fn give(&self, conn: Option<Connection>) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.out -= 1;
        pool.idle.extend(conn);
        self.returned.notify_one();
    }
}

/// A connection that goes back to the pool, also when its reader panics.
struct Lent<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // One that is still inside a transaction (its reader failed half-way) is not lent again.
        self.readers.give(self.conn.take().filter(Connection::is_autocommit));
    }
}
