//! What was changed behind our back, and what must never lie in the clear.

use super::{clock, key, open};
use lace_model::{AppName, Digest};
use lace_store::conformance::{Note, batch};
use lace_store::{Batch, Expect, MasterKey, SecretValue, Store, StoreError};
use std::path::Path;

fn sql(dir: &Path, text: &str) {
    let conn = rusqlite::Connection::open(dir.join("lace.db")).expect("opened");
    conn.pragma_update(None, "foreign_keys", false).expect("off");
    conn.execute_batch(text).expect("changed");
}

/// A state with ten audit rows, changed by `text` behind its back: the first broken row.
fn broken_after(text: &str) -> Option<u64> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for n in 1..=10 {
        let mut batch = Batch::new((n % 2 == 0).then(|| "ann".into()));
        batch.audit("apply", &format!("app{n}"), "done");
        store.commit(batch).expect("written");
    }
    drop(store);
    sql(dir.path(), text);
    open(dir.path()).audit_verify().expect("verified").broken.map(|b| b.0)
}

#[test]
fn a_changed_audit_log_shows() {
    for (text, broken) in [
        ("", None),
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 4", Some(4)),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", Some(1)),
        ("UPDATE audit SET actor = NULL WHERE seq = 6", Some(6)),
        ("UPDATE audit SET actor = '' WHERE seq = 7", Some(7)),
        ("UPDATE audit SET action = 'applyapp', subject = '8' WHERE seq = 8", Some(8)),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 5", Some(5)),
        ("DELETE FROM audit WHERE seq = 3", Some(3)),
        ("DELETE FROM audit WHERE seq = 1", Some(1)),
        ("DELETE FROM audit WHERE seq = 10", Some(10)),
        ("DELETE FROM audit", Some(1)),
        (
            "INSERT INTO audit SELECT 11, at, actor, action, subject, outcome, hash, hash FROM audit WHERE seq = 10",
            Some(11),
        ),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 99",
            Some(2),
        ),
    ] {
        assert_eq!(broken_after(text), broken, "{text}");
    }
}

#[test]
fn secrets_are_never_in_the_clear() {
    const SECRET: &str = "correct-horse-battery-staple";
    let dir = tempfile::tempdir().expect("a directory");
    let (state, copy) = (dir.path().join("state"), dir.path().join("copy"));
    let store = open(&state);
    let app = AppName::new("shop").expect("a name");
    for n in 0..50 {
        let value = SecretValue::new(format!("{SECRET}-{n}"));
        store.secret_put(&app, &format!("KEY{n}"), value, false).expect("sealed");
    }
    assert!(store.secret_remove(&app, "KEY0").expect("removed"));
    store.backup(&copy).expect("copied");
    assert_files_lack(&state, SECRET);
    drop(store);
    assert_files_lack(&state, SECRET);
    assert_files_lack(&copy, SECRET);
}

fn assert_files_lack(dir: &Path, text: &str) {
    let mut read = 0;
    for entry in std::fs::read_dir(dir).expect("a directory").flatten().filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).expect("read");
        let there = bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!there, "{} has the secret", entry.path().display());
        read += bytes.len();
    }
    assert!(read > 4096, "there was something to look at");
}

#[test]
fn a_moved_sealed_value_does_not_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let app = AppName::new("shop").expect("a name");
    for name in ["MINE", "YOURS"] {
        store.secret_put(&app, name, SecretValue::new(name), false).expect("sealed");
    }
    drop(store);
    sql(
        dir.path(),
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'YOURS') WHERE name = 'MINE'",
    );
    let found = open(dir.path()).secret_get(&app, "MINE", None);
    assert!(matches!(found.map(drop), Err(StoreError::Damaged { .. })));
}

#[test]
fn another_key_is_refused_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    let other = Store::open(dir.path(), MasterKey::from_bytes([8; 32]), clock());
    assert_eq!(other.map(drop), Err(StoreError::WrongKey));
    drop(open(dir.path()));
}

#[test]
fn a_newer_database_is_not_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    sql(dir.path(), "PRAGMA user_version = 99");
    let found = Store::open(dir.path(), key(), clock()).map(drop);
    assert_eq!(found, Err(StoreError::NewerDatabase { found: 99, known: 1 }));
}

#[test]
fn a_value_that_cannot_be_read_says_which() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    store.commit(batch(|b| b.put(&Note::new("a", "x"), Expect::Any))).expect("written");
    drop(store);
    sql(dir.path(), "UPDATE objects SET json = '{'");
    let store = open(dir.path());
    let found = store.get::<Note>("a");
    assert!(matches!(&found, Err(StoreError::Damaged { what, .. }) if what == "note a"), "{found:?}");
    store.commit(batch(|b| b.delete::<Note>("a", Expect::Any))).expect("it can be deleted");
}

#[test]
fn a_damaged_blob_is_not_handed_out_and_mends() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let digest = store.blobs().put(b"content").expect("kept");
    let name = digest.to_string();
    let file = dir.path().join("blobs").join(&name[..2]).join(&name);
    for bent in [&b"c0ntent"[..], b"", b"content and more"] {
        std::fs::write(&file, bent).expect("bent");
        assert_eq!(store.blobs().get(&digest), Err(StoreError::DamagedBlob { digest }));
        store.blobs().put(b"content").expect("kept");
        assert_eq!(store.blobs().get(&digest).expect("read").as_deref(), Some(&b"content"[..]));
    }
    assert_eq!(store.blobs().list().expect("listed").len(), 1, "nothing half is left");
    assert_eq!(Digest::of(b"content"), digest);
}
