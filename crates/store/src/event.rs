//! Events: facts that happened, in their order.

use crate::heads::{Heads, int, number};
use crate::text::{cut, prefix_end};
use crate::{Result, limits};
use lace_model::Millis;
use lace_model::event::{Event, NewEvent};
use rusqlite::{Connection, Row as SqlRow, params};

const ADD: &str = "INSERT INTO events (seq, at, kind, subject, message, actor, bytes) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const AFTER: &str =
    "SELECT seq, at, kind, subject, message, actor FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const TAIL: &str = "SELECT seq, at, kind, subject, message, actor FROM events ORDER BY seq DESC LIMIT ?1";
const AFTER_UNDER: &str = "SELECT seq, at, kind, subject, message, actor FROM events \
    WHERE seq > ?1 AND (subject = ?3 OR (subject >= ?4 AND subject < ?5)) ORDER BY seq LIMIT ?2";
const TAIL_UNDER: &str = "SELECT seq, at, kind, subject, message, actor FROM events \
    WHERE subject = ?2 OR (subject >= ?3 AND subject < ?4) ORDER BY seq DESC LIMIT ?1";

/// What a row takes beside its texts, about: numbers, lengths, its place in the tree.
const ROW_BYTES: usize = 32;

/// Writes an event with the next number.
pub(crate) fn add(
    conn: &Connection,
    heads: &mut Heads,
    at: Millis,
    event: &NewEvent,
    actor: Option<&str>,
) -> Result<()> {
    let message = cut(&event.message, limits::MESSAGE_BYTES_MAX);
    let actor = event.actor.as_deref().or(actor);
    let texts = event.kind.len() + event.subject.len() + message.len() + actor.map_or(0, str::len);
    let bytes = (texts + ROW_BYTES) as u64;
    heads.event += 1;
    heads.event_bytes += bytes;
    conn.prepare_cached(ADD)?.execute(params![
        int(heads.event),
        int(at),
        event.kind,
        event.subject,
        message,
        actor,
        int(bytes)
    ])?;
    Ok(())
}

fn decode(row: &SqlRow<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: number(row.get(0)?),
        at: number(row.get(1)?),
        kind: row.get(2)?,
        subject: row.get(3)?,
        message: row.get(4)?,
        actor: row.get(5)?,
    })
}

fn page(limit: usize) -> i64 {
    int(limit.min(limits::PAGE_ROWS_MAX) as u64)
}

/// `shop` covers `shop` and `shop/...`, not `shopping`.
fn below(subject: &str) -> (String, String) {
    let from = format!("{}/", subject.trim_end_matches('/'));
    let to = prefix_end(&from).unwrap_or_default();
    (from, to)
}

/// Events after a number, oldest first.
pub(crate) fn after(conn: &Connection, seq: u64, limit: usize) -> Result<Vec<Event>> {
    let mut statement = conn.prepare_cached(AFTER)?;
    Ok(statement.query_map((int(seq), page(limit)), decode)?.collect::<rusqlite::Result<_>>()?)
}

/// The last `n` events, oldest first.
pub(crate) fn tail(conn: &Connection, n: usize) -> Result<Vec<Event>> {
    let mut statement = conn.prepare_cached(TAIL)?;
    let mut found = statement.query_map([page(n)], decode)?.collect::<rusqlite::Result<Vec<_>>>()?;
    found.reverse();
    Ok(found)
}

/// Events after a number about a subject and what lies under it, oldest first.
pub(crate) fn after_under(conn: &Connection, subject: &str, seq: u64, limit: usize) -> Result<Vec<Event>> {
    let (from, to) = below(subject);
    let mut statement = conn.prepare_cached(AFTER_UNDER)?;
    let rows = statement.query_map(params![int(seq), page(limit), subject, from, to], decode)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last `n` events about a subject and what lies under it, oldest first.
pub(crate) fn tail_under(conn: &Connection, subject: &str, n: usize) -> Result<Vec<Event>> {
    let (from, to) = below(subject);
    let mut statement = conn.prepare_cached(TAIL_UNDER)?;
    let rows = statement.query_map(params![page(n), subject, from, to], decode)?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    found.reverse();
    Ok(found)
}
