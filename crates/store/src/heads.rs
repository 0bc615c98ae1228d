//! The counters: where revisions, events and the audit chain stand.

use crate::Result;
use rusqlite::Connection;

const LOAD: &str = "SELECT rev, rev_floor, event, event_floor, event_bytes, audit, audit_floor, audit_hash \
                    FROM heads WHERE id = 1";
const SAVE: &str = "UPDATE heads SET rev = ?1, rev_floor = ?2, event = ?3, event_floor = ?4, event_bytes = ?5, \
                    audit = ?6, audit_floor = ?7, audit_hash = ?8 WHERE id = 1";

/// The one row of counters. Only the writer changes it, in the transaction that it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Newest revision.
    pub rev: u64,
    /// Newest revision that the change feed no longer has.
    pub rev_floor: u64,
    /// Newest event.
    pub event: u64,
    /// Newest event that is no longer kept.
    pub event_floor: u64,
    /// Bytes of the kept events.
    pub event_bytes: u64,
    /// Newest audit row.
    pub audit: u64,
    /// Newest audit row that was moved to a blob.
    pub audit_floor: u64,
    /// Its hash.
    pub audit_hash: [u8; 32],
}

impl Heads {
    pub(crate) fn load(conn: &Connection) -> Result<Self> {
        Ok(conn.prepare_cached(LOAD)?.query_row([], |row| {
            Ok(Self {
                rev: number(row.get(0)?),
                rev_floor: number(row.get(1)?),
                event: number(row.get(2)?),
                event_floor: number(row.get(3)?),
                event_bytes: number(row.get(4)?),
                audit: number(row.get(5)?),
                audit_floor: number(row.get(6)?),
                audit_hash: row.get(7)?,
            })
        })?)
    }

    pub(crate) fn save(&self, conn: &Connection) -> Result<()> {
        conn.prepare_cached(SAVE)?.execute((
            int(self.rev),
            int(self.rev_floor),
            int(self.event),
            int(self.event_floor),
            int(self.event_bytes),
            int(self.audit),
            int(self.audit_floor),
            self.audit_hash,
        ))?;
        Ok(())
    }
}

/// A counter as the database keeps it; what is above its range counts as its end.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A counter as the database gave it.
pub(crate) fn number(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
