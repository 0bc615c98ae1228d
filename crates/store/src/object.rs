//! Objects and the feed of their changes.

use crate::batch::Expect;
use crate::heads::{Heads, int, number};
use crate::text::prefix_end;
use crate::{Result, StoreError, limits};
use lace_model::Object;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use std::fmt;

const FIND: &str = "SELECT rev, schema, json FROM objects WHERE kind = ?1 AND key = ?2";
const FIND_REV: &str = "SELECT rev FROM objects WHERE kind = ?1 AND key = ?2";
const PUT: &str = "INSERT INTO objects (kind, key, rev, schema, json) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (kind, key) DO UPDATE SET rev = excluded.rev, schema = excluded.schema, \
                   json = excluded.json";
const DELETE: &str = "DELETE FROM objects WHERE kind = ?1 AND key = ?2";
const LIST: &str = "SELECT rev, schema, json, key FROM objects WHERE kind = ?1 AND key >= ?2 ORDER BY key";
const LIST_TO: &str = "SELECT rev, schema, json, key FROM objects WHERE kind = ?1 AND key >= ?2 AND key < ?3 \
                       ORDER BY key";
const CHANGE: &str = "INSERT INTO changes (rev, kind, key, deleted) VALUES (?1, ?2, ?3, ?4)";
const CHANGES: &str = "SELECT rev, kind, key, deleted FROM changes WHERE rev > ?1 ORDER BY rev LIMIT ?2";

/// A revision: the place of a change in the order of all changes, from 1. `Rev(0)` is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rev(pub u64);

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<T> {
    /// The object.
    pub value: T,
    /// The revision that wrote it: what [`Expect::Rev`] takes.
    pub rev: Rev,
}

/// One change of the feed. The content is not part of it: readers read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// Its revision.
    pub rev: Rev,
    /// Kind of the object; `secret` for secrets (key `APP/NAME`).
    pub kind: String,
    /// Its key.
    pub key: String,
    /// It is gone.
    pub deleted: bool,
}

fn decode<T: Object>(key: &str, schema: u32, json: &str) -> Result<T> {
    if schema > T::SCHEMA {
        return Err(StoreError::NewerSchema { kind: T::KIND.into(), key: key.into(), schema });
    }
    serde_json::from_str(json)
        .map_err(|e| StoreError::Damaged { what: format!("{} {key}", T::KIND), why: e.to_string() })
}

// The text is parsed where SQLite keeps it, without a copy.
fn decode_row<T: Object>(key: &str, row: &SqlRow<'_>) -> Result<Row<T>> {
    let json = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(Row { value: decode(key, row.get(1)?, json)?, rev: Rev(number(row.get(0)?)) })
}

pub(crate) fn get<T: Object>(conn: &Connection, key: &str) -> Result<Option<Row<T>>> {
    let mut statement = conn.prepare_cached(FIND)?;
    let mut rows = statement.query((T::KIND, key))?;
    rows.next()?.map(|row| decode_row(key, row)).transpose()
}

pub(crate) fn list<T: Object>(conn: &Connection, prefix: &str) -> Result<Vec<Row<T>>> {
    let end = prefix_end(prefix);
    let mut statement = conn.prepare_cached(if end.is_some() { LIST_TO } else { LIST })?;
    let mut rows = match &end {
        Some(end) => statement.query((T::KIND, prefix, end))?,
        None => statement.query((T::KIND, prefix))?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        found.push(decode_row(key, row)?);
    }
    Ok(found)
}

/// Refuses the batch unless the row is as expected.
pub(crate) fn require(conn: &Connection, kind: &str, key: &str, expect: Expect) -> Result<()> {
    if expect == Expect::Any {
        return Ok(());
    }
    let found: Option<i64> =
        conn.prepare_cached(FIND_REV)?.query_row((kind, key), |r| r.get(0)).optional()?;
    meet(kind, key, expect, found.map(|n| Rev(number(n))))
}

fn meet(kind: &str, key: &str, expect: Expect, found: Option<Rev>) -> Result<()> {
    if expect.admits(found) {
        return Ok(());
    }
    Err(StoreError::Conflict { kind: kind.into(), key: key.into() })
}

/// An object as text, on its way in.
pub(crate) struct Put<'a> {
    pub kind: &'static str,
    pub key: &'a str,
    pub schema: u32,
    pub json: &'a str,
    pub expect: Expect,
}

/// Writes an object; answers the change, or none where it was so already.
pub(crate) fn put(conn: &Connection, heads: &mut Heads, put: &Put<'_>) -> Result<Option<ChangeRow>> {
    let (found, same) = look(conn, put)?;
    meet(put.kind, put.key, put.expect, found)?;
    if same {
        return Ok(None);
    }
    let change = record(conn, heads, put.kind, put.key, false)?;
    conn.prepare_cached(PUT)?.execute(params![put.kind, put.key, int(change.rev.0), put.schema, put.json])?;
    Ok(Some(change))
}

/// The revision of the row that is there, and whether its content is the new one already.
fn look(conn: &Connection, put: &Put<'_>) -> Result<(Option<Rev>, bool)> {
    let mut statement = conn.prepare_cached(FIND)?;
    let mut rows = statement.query((put.kind, put.key))?;
    let Some(row) = rows.next()? else {
        return Ok((None, false));
    };
    let schema: u32 = row.get(1)?;
    if schema > put.schema {
        return Err(StoreError::NewerSchema { kind: put.kind.into(), key: put.key.into(), schema });
    }
    let json = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
    Ok((Some(Rev(number(row.get(0)?))), schema == put.schema && json == put.json))
}

/// Deletes an object; answers the change, or none where there was none.
pub(crate) fn delete(
    conn: &Connection,
    heads: &mut Heads,
    (kind, key): (&str, &str),
    expect: Expect,
) -> Result<Option<ChangeRow>> {
    require(conn, kind, key, expect)?;
    match conn.prepare_cached(DELETE)?.execute((kind, key))? {
        0 => Ok(None),
        _ => record(conn, heads, kind, key, true).map(Some),
    }
}

/// Takes the next revision and writes the change into the feed.
pub(crate) fn record(
    conn: &Connection,
    heads: &mut Heads,
    kind: &str,
    key: &str,
    deleted: bool,
) -> Result<ChangeRow> {
    heads.rev += 1;
    conn.prepare_cached(CHANGE)?.execute((int(heads.rev), kind, key, deleted))?;
    Ok(ChangeRow { rev: Rev(heads.rev), kind: kind.into(), key: key.into(), deleted })
}

/// The changes after a revision, in order.
pub(crate) fn changes(conn: &Connection, after: Rev, limit: usize) -> Result<Vec<ChangeRow>> {
    let limit = int(limit.min(limits::PAGE_ROWS_MAX) as u64);
    let mut statement = conn.prepare_cached(CHANGES)?;
    let rows = statement.query_map((int(after.0), limit), |row| {
        Ok(ChangeRow {
            rev: Rev(number(row.get(0)?)),
            kind: row.get(1)?,
            key: row.get(2)?,
            deleted: row.get(3)?,
        })
    })?;
    let found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if after.0 < Heads::load(conn)?.rev_floor { Err(StoreError::Compacted) } else { Ok(found) }
}
