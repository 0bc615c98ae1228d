//! The audit log: who did what, chained so that a change of any row shows.
//!
//! The hash of a row is SHA-256 (FIPS 180-4) over the hash before it and its fields, each with its length;
//! see [`AuditRow::digest`]. The newest hash is also in the counters, so that a cut-off end shows too.

use crate::heads::{Heads, int, number};
use crate::{Blobs, Result, limits, segment};
use lace_model::Millis;
use rusqlite::{Connection, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const ADD: &str = "INSERT INTO audit (seq, at, actor, action, subject, outcome, prev_hash, hash) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const AFTER: &str = "SELECT seq, at, actor, action, subject, outcome, prev_hash, hash FROM audit \
                     WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// Who; none where Lace did it by itself.
    pub actor: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it ended.
    pub outcome: String,
    /// Hash of the row before; 32 zeros before the first.
    #[serde(with = "hex")]
    pub prev_hash: [u8; 32],
    /// Hash of this row.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
}

impl AuditRow {
    /// What the hash must be: SHA-256 over `lace-audit-v1`, the hash before, number and time as 8 bytes
    /// (big-endian), one byte 1 and the actor or one byte 0, then action, subject and outcome; a text is its
    /// length as 8 bytes and its UTF-8.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"lace-audit-v1");
        hash.update(self.prev_hash);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        hash.update([u8::from(self.actor.is_some())]);
        for text in self.actor.iter().chain([&self.action, &self.subject, &self.outcome]) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

/// What an inspection of the chain found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Rows that are as they were written, from the first.
    pub rows: u64,
    /// The first row that is not as it was written (or missing, or after the recorded end), and in which way.
    pub broken: Option<(u64, String)>,
}

impl AuditReport {
    /// Is the chain whole?
    pub fn is_whole(&self) -> bool {
        self.broken.is_none()
    }
}

/// What a batch says about a row.
pub(crate) struct Entry<'a> {
    pub at: Millis,
    pub actor: Option<&'a str>,
    pub action: &'a str,
    pub subject: &'a str,
    pub outcome: &'a str,
}

/// Adds a row to the end of the chain.
pub(crate) fn add(conn: &Connection, heads: &mut Heads, entry: &Entry<'_>) -> Result<()> {
    let mut row = AuditRow {
        seq: heads.audit + 1,
        at: entry.at,
        actor: entry.actor.map(str::to_owned),
        action: entry.action.into(),
        subject: entry.subject.into(),
        outcome: entry.outcome.into(),
        prev_hash: heads.audit_hash,
        hash: [0; 32],
    };
    row.hash = row.digest();
    conn.prepare_cached(ADD)?.execute(params![
        int(row.seq),
        int(row.at),
        row.actor,
        row.action,
        row.subject,
        row.outcome,
        row.prev_hash,
        row.hash
    ])?;
    (heads.audit, heads.audit_hash) = (row.seq, row.hash);
    Ok(())
}

fn decode(row: &SqlRow<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        seq: number(row.get(0)?),
        at: number(row.get(1)?),
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        outcome: row.get(5)?,
        prev_hash: row.get(6)?,
        hash: row.get(7)?,
    })
}

/// Rows after a number, oldest first.
pub(crate) fn after(conn: &Connection, seq: u64, limit: usize) -> Result<Vec<AuditRow>> {
    let limit = int(limit.min(limits::PAGE_ROWS_MAX) as u64);
    let mut statement = conn.prepare_cached(AFTER)?;
    Ok(statement.query_map((int(seq), limit), decode)?.collect::<rusqlite::Result<_>>()?)
}

/// Walks the whole chain, segments first, to its recorded end, and says where it first breaks.
pub(crate) fn verify(conn: &Connection, blobs: &Blobs) -> Result<AuditReport> {
    let heads = Heads::load(conn)?;
    let mut walk = Walk { seq: 0, hash: [0; 32] };
    for part in segment::list(conn)? {
        if let Err(why) = part.walk(blobs, &mut walk) {
            return Ok(walk.broken(why));
        }
    }
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut rows = statement.query((0, -1))?;
    while let Some(row) = rows.next()? {
        if let Err(why) = walk.step(&decode(row)?) {
            return Ok(walk.broken(why));
        }
    }
    if (walk.seq, walk.hash) == (heads.audit, heads.audit_hash) {
        return Ok(AuditReport { rows: walk.seq, broken: None });
    }
    Ok(walk.broken(format!("the log ended at row {}", heads.audit)))
}

/// Where an inspection stands: the last row that was good.
pub(crate) struct Walk {
    pub seq: u64,
    pub hash: [u8; 32],
}

impl Walk {
    fn broken(&self, why: String) -> AuditReport {
        AuditReport { rows: self.seq, broken: Some((self.seq + 1, why)) }
    }

    pub(crate) fn step(&mut self, row: &AuditRow) -> Result<(), String> {
        if row.seq != self.seq + 1 {
            return Err(format!("row {} follows row {}", row.seq, self.seq));
        }
        if row.prev_hash != self.hash {
            return Err("it does not continue the row before".into());
        }
        if row.digest() != row.hash {
            return Err("its content is not what was written".into());
        }
        (self.seq, self.hash) = (row.seq, row.hash);
        Ok(())
    }
}

/// A hash as 64 hexadecimal digits.
mod hex {
    use lace_model::Digest;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // The text form is the one of digests; what it is a hash of is the audit log's business.
    pub fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        Digest(*hash).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        Digest::deserialize(from).map(|digest| digest.0)
    }
}
