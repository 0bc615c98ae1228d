//! What the state says of itself: which installation, which epoch.

use crate::heads::int;
use crate::schema::SCHEMA;
use crate::{MasterKey, Result, StoreError, secret};
use lace_model::{InstallationId, Millis};
use rusqlite::{Connection, OptionalExtension};

const READ: &str = "SELECT value FROM meta WHERE name = ?1";
const WRITE: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value";

const INSTALLATION: &str = "installation";
const EPOCH: &str = "epoch";
const ADOPT: &str = "adopt";
const CREATED_AT: &str = "created_at";
const KEY_CHECK: &str = "key_check";

/// The epoch of a state that was never restored.
const FIRST_EPOCH: u64 = 1;

/// What the state says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// This installation: stays through restores.
    pub installation: InstallationId,
    /// First part of every generation: goes up with each restore.
    pub epoch: u64,
    /// Restored and not yet looked over by a person: what is unknown is shown, not deleted.
    pub adopt: bool,
    /// When the state was first made.
    pub created_at: Millis,
    /// Schema number of the tables.
    pub schema: u32,
}

fn read(conn: &Connection, name: &str) -> Result<Option<String>> {
    Ok(conn.prepare_cached(READ)?.query_row([name], |row| row.get(0)).optional()?)
}

fn write(conn: &Connection, name: &str, value: &str) -> Result<()> {
    conn.prepare_cached(WRITE)?.execute((name, value))?;
    Ok(())
}

fn parse<T: std::str::FromStr>(conn: &Connection, name: &str) -> Result<T> {
    let text = read(conn, name)?.ok_or_else(|| damaged(name, "missing"))?;
    text.parse().map_err(|_| damaged(name, "not readable"))
}

fn damaged(name: &str, why: &str) -> StoreError {
    StoreError::Damaged { what: format!("the state's {name}"), why: why.into() }
}

/// Reads it.
pub(crate) fn load(conn: &Connection) -> Result<Meta> {
    Ok(Meta {
        installation: parse(conn, INSTALLATION)?,
        epoch: parse(conn, EPOCH)?,
        adopt: parse(conn, ADOPT)?,
        created_at: parse(conn, CREATED_AT)?,
        schema: SCHEMA,
    })
}

/// Writes it into a new state, together with the check value of the key.
pub(crate) fn found(
    conn: &Connection,
    key: &MasterKey,
    installation: InstallationId,
    now: Millis,
) -> Result<()> {
    write(conn, INSTALLATION, &installation.to_string())?;
    write(conn, EPOCH, &FIRST_EPOCH.to_string())?;
    write(conn, ADOPT, "false")?;
    write(conn, CREATED_AT, &int(now).to_string())?;
    write(conn, KEY_CHECK, &secret::check_value(key)?)
}

/// Is this a state that was founded?
pub(crate) fn is_founded(conn: &Connection) -> Result<bool> {
    Ok(read(conn, INSTALLATION)?.is_some())
}

/// Refuses a key that did not seal this state.
pub(crate) fn check_key(conn: &Connection, key: &MasterKey) -> Result<()> {
    let value = read(conn, KEY_CHECK)?.ok_or_else(|| damaged(KEY_CHECK, "missing"))?;
    if secret::fits(key, &value) { Ok(()) } else { Err(StoreError::WrongKey) }
}

/// Opens a new epoch, in adopt mode.
///
/// The number is above the one in the state, and not below the time in milliseconds: a second restore of the
/// same old backup takes a later one, although the backup knows nothing of the first.
pub(crate) fn open_epoch(conn: &Connection, now: Millis) -> Result<u64> {
    let epoch = (load(conn)?.epoch + 1).max(now);
    write(conn, EPOCH, &epoch.to_string())?;
    write(conn, ADOPT, "true")?;
    Ok(epoch)
}

/// A person has looked: adopt mode ends.
pub(crate) fn adopted(conn: &Connection) -> Result<()> {
    write(conn, ADOPT, "false")
}
