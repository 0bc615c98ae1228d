//! Old rows of the audit log, moved to blobs one sealed segment at a time.
//!
//! A segment is the JSON of its rows, one a line. Its digest is in the database, and its last hash is what
//! the next row continues: nothing in it can be changed, and none can be left out, without being seen.

use crate::audit::{self, AuditRow, Walk};
use crate::heads::{Heads, int, number};
use crate::{Blobs, Limits, Result, StoreError};
use lace_model::Digest;
use rusqlite::{Connection, params};

const ADD: &str = "INSERT INTO audit_segments (first_seq, last_seq, last_hash, blob) \
                   VALUES (?1, ?2, ?3, ?4)";
const LIST: &str = "SELECT first_seq, last_seq, last_hash, blob FROM audit_segments ORDER BY first_seq";
const DROP: &str = "DELETE FROM audit WHERE seq <= ?1";

/// Where some rows of the audit log went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSegment {
    /// Number of its first row.
    pub first: u64,
    /// Number of its last row.
    pub last: u64,
    /// Hash of its last row.
    pub hash: [u8; 32],
    /// Its content.
    pub blob: Digest,
}

impl AuditSegment {
    /// Its rows.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::DamagedBlob`] where the blob is not as it was.
    pub fn read(&self, blobs: &Blobs) -> Result<Vec<AuditRow>> {
        let what = || format!("audit segment {}-{}", self.first, self.last);
        let bytes = blobs.get(&self.blob)?.ok_or_else(|| StoreError::NotFound { what: what() })?;
        serde_json::Deserializer::from_slice(&bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|e| StoreError::Damaged { what: what(), why: e.to_string() })
    }

    /// Walks the chain through it, from the row before its first.
    pub(crate) fn walk(&self, blobs: &Blobs, walk: &mut Walk) -> Result<(), String> {
        let rows = self.read(blobs).map_err(|e| e.to_string())?;
        rows.iter().try_for_each(|row| walk.step(row))?;
        if (walk.seq, walk.hash) == (self.last, self.hash) {
            return Ok(());
        }
        Err(format!("its segment ended at row {}", self.last))
    }
}

/// All segments, oldest first.
pub(crate) fn list(conn: &Connection) -> Result<Vec<AuditSegment>> {
    let mut statement = conn.prepare_cached(LIST)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let blob: String = row.get(3)?;
        let blob = blob.parse().map_err(|_| StoreError::Damaged {
            what: "the list of audit segments".into(),
            why: format!("{blob:?} is not a digest"),
        })?;
        let (first, last) = (number(row.get(0)?), number(row.get(1)?));
        found.push(AuditSegment { first, last, hash: row.get(2)?, blob });
    }
    Ok(found)
}

/// Moves the oldest rows to a blob where there are more than the bound by a whole step.
///
/// The blob is on the disk before the rows are gone. Where the transaction fails afterwards it is a stray
/// one, which the next try finds again under the same digest.
pub(crate) fn seal(conn: &Connection, heads: &mut Heads, limits: &Limits, blobs: &Blobs) -> Result<()> {
    let rows = heads.audit - heads.audit_floor;
    if rows < limits.audit_rows + limits.compact_step {
        return Ok(());
    }
    // A step at a time keeps a segment small, also where a long batch brought many rows at once.
    let oldest = audit::after(conn, heads.audit_floor, limits.compact_step as usize)?;
    let Some(last) = oldest.last() else {
        return Ok(());
    };
    let mut text = Vec::new();
    for row in &oldest {
        serde_json::to_writer(&mut text, row)
            .map_err(|e| StoreError::Damaged { what: "the audit log".into(), why: e.to_string() })?;
        text.push(b'\n');
    }
    let blob = blobs.put_pinned(&text)?;
    let first = int(heads.audit_floor + 1);
    conn.prepare_cached(ADD)?.execute(params![first, int(last.seq), last.hash, blob.to_string()])?;
    conn.prepare_cached(DROP)?.execute([int(last.seq)])?;
    heads.audit_floor = last.seq;
    Ok(())
}
