//! Secrets: sealed with XChaCha20-Poly1305 under the master key, bound to application, name and version.

use crate::heads::{Heads, int, number};
use crate::{ChangeRow, MasterKey, Result, StoreError, key, limits, object};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use lace_model::secret::{SecretInfo, TASK_PREFIX};
use lace_model::{AppName, Millis};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use zeroize::Zeroizing;

/// The kind under which secrets appear in the change feed.
pub(crate) const KIND: &str = "secret";

const NONCE_BYTES: usize = 24;
const CHECK_ABOUT: &[u8] = b"lace-key-check-v1";
const CHECK_TEXT: &[u8] = b"this key fits";

const NEXT: &str = "INSERT INTO secret_heads (app, name, version) VALUES (?1, ?2, 1) \
                    ON CONFLICT (app, name) DO UPDATE SET version = version + 1 RETURNING version";
const ADD: &str =
    "INSERT INTO secrets (app, name, version, sealed, generated, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const TRIM: &str = "DELETE FROM secrets WHERE app = ?1 AND name = ?2 AND version <= ?3";
const NEWEST: &str =
    "SELECT version, sealed FROM secrets WHERE app = ?1 AND name = ?2 ORDER BY version DESC LIMIT 1";
const VERSION: &str = "SELECT version, sealed FROM secrets WHERE app = ?1 AND name = ?2 AND version = ?3";
const LIST: &str = "SELECT app, name, version, at, generated FROM secrets AS s WHERE (?1 IS NULL OR app = ?1) \
    AND version = (SELECT max(version) FROM secrets WHERE app = s.app AND name = s.name) ORDER BY app, name";
const NAMES: &str = "SELECT DISTINCT name FROM secrets WHERE app = ?1 ORDER BY name";
const VERSIONS: &str = "SELECT version, generated, at FROM secrets WHERE app = ?1 AND name = ?2";
const COPY_HEADS: &str =
    "INSERT INTO secret_heads (app, name, version) SELECT ?2, name, version FROM secret_heads WHERE app = ?1";
const REMOVE: &str = "DELETE FROM secrets WHERE app = ?1 AND name = ?2";
const FORGET: &str = "DELETE FROM secret_heads WHERE app = ?1";
const FORGET_ONE: &str = "DELETE FROM secret_heads WHERE app = ?1 AND name = ?2";

/// A secret in the clear: wiped when dropped, and with no form that a log could show.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Hand them on to where they are needed, and nowhere else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// What a sealed value is bound to. No part of it can run into another: names of applications have no slash,
/// and the version comes last.
fn about(app: &AppName, name: &str, version: u64) -> Vec<u8> {
    format!("lace-secret-v1/{app}/{name}/{version}").into_bytes()
}

fn seal(key: &MasterKey, about: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    let mut sealed = vec![0; NONCE_BYTES];
    key::random(&mut sealed)?;
    let payload = Payload { msg: value, aad: about };
    let text = cipher(key)
        .encrypt(XNonce::from_slice(&sealed), payload)
        .map_err(|_| StoreError::Damaged { what: "a secret".into(), why: "it cannot be sealed".into() })?;
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

fn unseal(key: &MasterKey, about: &[u8], sealed: &[u8]) -> Option<SecretValue> {
    let (nonce, text) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: text, aad: about };
    cipher(key).decrypt(XNonce::from_slice(nonce), payload).ok().map(SecretValue::new)
}

/// A text that only this key opens again.
pub(crate) fn check_value(key: &MasterKey) -> Result<String> {
    Ok(seal(key, CHECK_ABOUT, CHECK_TEXT)?.iter().map(|b| format!("{b:02x}")).collect())
}

/// Does the key open the check value?
pub(crate) fn fits(key: &MasterKey, value: &str) -> bool {
    let bytes: Option<Vec<u8>> = value
        .as_bytes()
        .chunks(2)
        .map(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok())
        .collect();
    bytes.and_then(|b| unseal(key, CHECK_ABOUT, &b)).is_some_and(|v| v.expose() == CHECK_TEXT)
}

/// A secret on its way in.
pub(crate) struct Put<'a> {
    pub app: &'a AppName,
    pub name: &'a str,
    pub value: &'a SecretValue,
    pub generated: bool,
}

/// Seals the next version; answers its change and its number.
pub(crate) fn put(
    conn: &Connection,
    heads: &mut Heads,
    key: &MasterKey,
    at: Millis,
    put: &Put<'_>,
) -> Result<(ChangeRow, u64)> {
    let (app, name) = (put.app.as_str(), put.name);
    let version = number(conn.prepare_cached(NEXT)?.query_row((app, name), |row| row.get(0))?);
    let sealed = seal(key, &about(put.app, name, version), put.value.expose())?;
    conn.prepare_cached(ADD)?.execute(params![app, name, int(version), sealed, put.generated, int(at)])?;
    conn.prepare_cached(TRIM)?.execute((
        app,
        name,
        int(version.saturating_sub(limits::SECRET_VERSIONS_MAX)),
    ))?;
    Ok((object::record(conn, heads, KIND, &format!("{app}/{name}"), false)?, version))
}

/// A version of a secret in the clear, or the newest one.
pub(crate) fn get(
    conn: &Connection,
    key: &MasterKey,
    app: &AppName,
    name: &str,
    version: Option<u64>,
) -> Result<Option<(SecretValue, u64)>> {
    let decode = |row: &SqlRow<'_>| Ok((number(row.get(0)?), row.get::<_, Vec<u8>>(1)?));
    let found = match version {
        Some(v) => {
            conn.prepare_cached(VERSION)?.query_row((app.as_str(), name, int(v)), decode).optional()?
        }
        None => conn.prepare_cached(NEWEST)?.query_row((app.as_str(), name), decode).optional()?,
    };
    let Some((version, sealed)) = found else {
        return Ok(None);
    };
    let value = unseal(key, &about(app, name, version), &sealed).ok_or_else(|| StoreError::Damaged {
        what: format!("secret {app}/{name} version {version}"),
        why: "it does not open with the master key".into(),
    })?;
    Ok(Some((value, version)))
}

/// The newest version of each secret, values aside, in the order of their names.
pub(crate) fn list(conn: &Connection, app: Option<&AppName>) -> Result<Vec<SecretInfo>> {
    let mut statement = conn.prepare_cached(LIST)?;
    let mut rows = statement.query([app.map(AppName::as_str)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let app = AppName::new(name)
            .map_err(|e| StoreError::Damaged { what: "a secret's application".into(), why: e.to_string() })?;
        found.push(SecretInfo {
            app,
            name: row.get(1)?,
            version: number(row.get(2)?),
            updated_at: number(row.get(3)?),
            generated: row.get(4)?,
        });
    }
    Ok(found)
}

/// Removes a secret, or all of an application; answers the changes.
///
/// The last number of a removed secret is kept, so that an old revision never finds another value under a
/// version that it names; it goes with the application.
pub(crate) fn remove(
    conn: &Connection,
    heads: &mut Heads,
    app: &AppName,
    name: Option<&str>,
) -> Result<Vec<ChangeRow>> {
    let mut changes = Vec::new();
    for name in names(conn, app, name)? {
        if conn.prepare_cached(REMOVE)?.execute((app.as_str(), &name))? > 0 {
            changes.push(object::record(conn, heads, KIND, &format!("{app}/{name}"), true)?);
        }
    }
    // What a task was told has a name that nobody uses again.
    if let Some(name) = name.filter(|name| name.starts_with(TASK_PREFIX)) {
        conn.prepare_cached(FORGET_ONE)?.execute((app.as_str(), name))?;
    }
    if name.is_none() {
        conn.prepare_cached(FORGET)?.execute([app.as_str()])?;
    }
    Ok(changes)
}

/// Seals all secrets of one application for another one; the numbers of its versions stay. Answers the changes.
pub(crate) fn copy(
    conn: &Connection,
    heads: &mut Heads,
    key: &MasterKey,
    from: &AppName,
    to: &AppName,
) -> Result<Vec<ChangeRow>> {
    conn.prepare_cached(COPY_HEADS)?.execute((from.as_str(), to.as_str()))?;
    let mut changes = Vec::new();
    for name in names(conn, from, None)? {
        let mut statement = conn.prepare_cached(VERSIONS)?;
        let decode = |row: &SqlRow<'_>| Ok((number(row.get(0)?), row.get(1)?, row.get(2)?));
        let versions: Vec<(u64, bool, i64)> =
            statement.query_map((from.as_str(), &name), decode)?.collect::<rusqlite::Result<_>>()?;
        for (version, generated, at) in versions {
            let Some((value, _)) = get(conn, key, from, &name, Some(version))? else { continue };
            let sealed = seal(key, &about(to, &name, version), value.expose())?;
            let row = params![to.as_str(), name, int(version), sealed, generated, at];
            conn.prepare_cached(ADD)?.execute(row)?;
        }
        changes.push(object::record(conn, heads, KIND, &format!("{to}/{name}"), false)?);
    }
    Ok(changes)
}

fn names(conn: &Connection, app: &AppName, name: Option<&str>) -> Result<Vec<String>> {
    if let Some(name) = name {
        return Ok(vec![name.into()]);
    }
    let mut statement = conn.prepare_cached(NAMES)?;
    Ok(statement.query_map([app.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_where_it_belongs() {
        let (key, other) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
        let app = AppName::new("shop").expect("a name");
        let here = about(&app, "TOKEN", 1);
        let sealed = seal(&key, &here, b"hidden").expect("sealed");
        assert_eq!(unseal(&key, &here, &sealed).expect("opens").expose(), b"hidden");
        assert!(unseal(&other, &here, &sealed).is_none());
        assert!(unseal(&key, &about(&app, "TOKEN", 2), &sealed).is_none());
        assert!(unseal(&key, &about(&app, "OTHER", 1), &sealed).is_none());
        assert!(unseal(&key, &here, &sealed[..20]).is_none());
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert!(unseal(&key, &here, &bent).is_none(), "byte {i}");
        }
    }

    #[test]
    fn the_check_value_knows_its_key() {
        let (key, other) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
        let value = check_value(&key).expect("sealed");
        assert!(fits(&key, &value) && !fits(&other, &value) && !fits(&key, "") && !fits(&key, "zz"));
    }
}
