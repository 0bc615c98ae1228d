//! Keeps the feeds within their bounds, oldest first, inside the writer's transaction.

use crate::heads::{Heads, int, number};
use crate::{Blobs, Limits, Result, segment};
use rusqlite::Connection;

const DROP_CHANGES: &str = "DELETE FROM changes WHERE rev <= ?1";
const DROP_EVENTS: &str = "DELETE FROM events WHERE seq <= ?1";
const BYTES_TO: &str = "SELECT coalesce(sum(bytes), 0) FROM events WHERE seq <= ?1";
const BYTES_OF: &str = "SELECT seq, bytes FROM events WHERE seq > ?1 ORDER BY seq";

/// Compacts what is over its bound by a whole step (events also by bytes, with an eighth to spare).
pub(crate) fn compact(conn: &Connection, heads: &mut Heads, limits: &Limits, blobs: &Blobs) -> Result<()> {
    segment::seal(conn, heads, limits, blobs)?;
    if heads.rev - heads.rev_floor >= limits.changes_rows + limits.compact_step {
        heads.rev_floor = heads.rev - limits.changes_rows;
        conn.prepare_cached(DROP_CHANGES)?.execute([int(heads.rev_floor)])?;
    }
    if heads.event - heads.event_floor >= limits.events_rows + limits.compact_step {
        let floor = heads.event - limits.events_rows;
        drop_events(conn, heads, floor)?;
    }
    if heads.event_bytes > limits.events_bytes {
        let floor = floor_for_bytes(conn, heads, limits.events_bytes - limits.events_bytes / 8)?;
        drop_events(conn, heads, floor)?;
    }
    Ok(())
}

fn drop_events(conn: &Connection, heads: &mut Heads, floor: u64) -> Result<()> {
    let bytes = number(conn.prepare_cached(BYTES_TO)?.query_row([int(floor)], |row| row.get(0))?);
    conn.prepare_cached(DROP_EVENTS)?.execute([int(floor)])?;
    heads.event_floor = floor;
    heads.event_bytes = heads.event_bytes.saturating_sub(bytes);
    Ok(())
}

/// The number of the last event that must go for the rest to have at most `keep` bytes.
fn floor_for_bytes(conn: &Connection, heads: &Heads, keep: u64) -> Result<u64> {
    let mut statement = conn.prepare_cached(BYTES_OF)?;
    let mut rows = statement.query([int(heads.event_floor)])?;
    let (mut floor, mut left) = (heads.event_floor, heads.event_bytes);
    while left > keep
        && let Some(row) = rows.next()?
    {
        floor = number(row.get(0)?);
        left = left.saturating_sub(number(row.get(1)?));
    }
    Ok(floor)
}
