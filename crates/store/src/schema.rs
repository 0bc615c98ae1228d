//! The tables, and the steps from an older schema to this one.

use crate::{Result, StoreError};
use rusqlite::Connection;

/// Each step brings the database from its index to the next schema number. A step that was released never
/// changes.
const STEPS: &[&str] = &[FIRST];

/// The schema number of this version.
pub(crate) const SCHEMA: u32 = STEPS.len() as u32;

const FIRST: &str = "
CREATE TABLE heads (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rev INTEGER NOT NULL, rev_floor INTEGER NOT NULL,
    event INTEGER NOT NULL, event_floor INTEGER NOT NULL, event_bytes INTEGER NOT NULL,
    audit INTEGER NOT NULL, audit_floor INTEGER NOT NULL, audit_hash BLOB NOT NULL
) STRICT;
INSERT INTO heads VALUES (1, 0, 0, 0, 0, 0, 0, 0, zeroblob(32));

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
    kind TEXT NOT NULL, key TEXT NOT NULL, rev INTEGER NOT NULL, schema INTEGER NOT NULL, json TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX objects_key ON objects (kind, key);

CREATE TABLE changes (
    rev INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, deleted INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    message TEXT NOT NULL, actor TEXT, bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT, action TEXT NOT NULL, subject TEXT NOT NULL,
    outcome TEXT NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;

CREATE TABLE audit_segments (
    first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, last_hash BLOB NOT NULL, blob TEXT NOT NULL
) STRICT;

CREATE TABLE secret_heads (
    app TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    app TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,
    generated INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (app, name, version),
    FOREIGN KEY (app, name) REFERENCES secret_heads (app, name)
) STRICT;
";

/// Brings a database to [`SCHEMA`], all steps in one transaction.
pub(crate) fn migrate(conn: &Connection) -> Result<()> {
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA {
        return Err(StoreError::NewerDatabase { found, known: SCHEMA });
    }
    if found == SCHEMA {
        return Ok(());
    }
    let tx = conn.unchecked_transaction()?;
    for step in &STEPS[found as usize..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", SCHEMA)?;
    Ok(tx.commit()?)
}
