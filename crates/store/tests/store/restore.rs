//! Backups and the way back.

use super::{START, clock, key, open, texts};
use lace_model::{AppName, Digest};
use lace_store::conformance::{Note, batch};
use lace_store::{Expect, ManualClock, MasterKey, SecretValue, Store, StoreError};
use std::path::Path;
use std::sync::Arc;

fn put(store: &Store, key: &str, text: &str) {
    store.commit(batch(|b| b.put(&Note::new(key, text), Expect::Any))).expect("written");
}

fn restore(from: &Path, dir: &Path, at: u64) -> Result<Store, StoreError> {
    Store::restore(from, dir, key(), Arc::new(ManualClock::at(at)))
}

#[test]
fn what_was_backed_up_comes_back_in_a_new_epoch() {
    let dir = tempfile::tempdir().expect("a directory");
    let [state, copy, again] = ["state", "copy", "again"].map(|n| dir.path().join(n));
    let store = open(&state);
    let app = AppName::new("shop").expect("a name");
    put(&store, "a", "x");
    store.secret_put(&app, "KEY", SecretValue::new("value"), false).expect("sealed");
    let digest = store.blobs().put(b"content").expect("kept");
    assert_eq!(store.backup(&copy).expect("copied").blobs, 1);
    put(&store, "a", "later");

    let back = restore(&copy, &again, START + 5).expect("restored");
    assert_eq!(texts(&back), [("a".into(), "x".into(), 1)]);
    let (value, _) = back.secret_get(&app, "KEY", None).expect("read").expect("there");
    assert_eq!(value.expose(), b"value");
    assert_eq!(back.blobs().get(&digest).expect("read").as_deref(), Some(&b"content"[..]));
    let meta = back.meta().expect("meta");
    assert_eq!((meta.epoch, meta.adopt, meta.installation), (START + 5, true, store.installation()));
    assert_eq!(back.epoch(), meta.epoch);
    assert_eq!(back.events_tail(1).expect("events")[0].kind, "controller.restored");
    assert!(back.audit_verify().expect("verified").is_whole());
    back.end_adoption(Some("ann".into())).expect("ended");
    assert!(!back.meta().expect("meta").adopt);
    drop(back);
    assert_eq!(open(&again).epoch(), START + 5, "the epoch stays");
}

/// One old backup, restored again and again, also from a restored state: no epoch comes twice, each is
/// larger.
#[test]
fn no_epoch_comes_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let old = dir.path().join("old");
    open(&dir.path().join("state")).backup(&old).expect("copied");
    let mut epochs = vec![1];
    for (n, from_old) in [true, true, false, true, false].into_iter().enumerate() {
        let [here, copy] = ["here", "copy"].map(|name| dir.path().join(format!("{name}{n}")));
        let from = if from_old { old.clone() } else { dir.path().join(format!("copy{}", n - 1)) };
        let store = restore(&from, &here, START + n as u64).expect("restored");
        store.backup(&copy).expect("copied");
        epochs.push(store.epoch());
    }
    assert!(epochs.windows(2).all(|w| w[0] < w[1]), "{epochs:?}");
    // A clock that stands still, or lies in the past, still opens an epoch above the backup's.
    let late = restore(&dir.path().join("copy4"), &dir.path().join("late"), 0).expect("restored");
    assert_eq!(late.epoch(), epochs[5] + 1);
}

#[test]
fn a_backup_into_the_same_place_brings_what_is_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy");
    let store = open(&dir.path().join("state"));
    store.blobs().put(b"one").expect("kept");
    assert_eq!(store.backup(&copy).expect("copied").blobs, 1);
    store.blobs().put(b"two").expect("kept");
    put(&store, "a", "new");
    assert_eq!(store.backup(&copy).expect("copied").blobs, 1);
    let back = restore(&copy, &dir.path().join("back"), START).expect("restored");
    assert_eq!(texts(&back).len(), 1);
    assert_eq!(back.blobs().missing(&[Digest::of(b"one"), Digest::of(b"two")]), Ok(vec![]));
}

#[test]
fn restoring_refuses_what_it_should() {
    let dir = tempfile::tempdir().expect("a directory");
    let [state, copy, fresh] = ["state", "copy", "fresh"].map(|n| dir.path().join(n));
    let store = open(&state);
    put(&store, "a", "x");
    store.backup(&copy).expect("copied");
    drop(store);
    let exists = StoreError::Exists { path: state.display().to_string() };
    assert_eq!(restore(&copy, &state, START).map(drop), Err(exists));
    let nothing = restore(&dir.path().join("none"), &fresh, START).map(drop);
    assert!(matches!(nothing, Err(StoreError::NotFound { .. })));
    let stranger = Store::restore(&copy, &fresh, MasterKey::from_bytes([9; 32]), clock());
    assert_eq!(stranger.map(drop), Err(StoreError::WrongKey));
    assert!(!fresh.join("lace.db").exists(), "a refused restore leaves no state");
    restore(&copy, &fresh, START).expect("and can be repeated");
}

#[test]
fn a_damaged_backup_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let [copy, fresh] = ["copy", "fresh"].map(|n| dir.path().join(n));
    let store = open(&dir.path().join("state"));
    (0..200).for_each(|n| put(&store, &format!("k{n}"), &"x".repeat(300)));
    let digest = store.blobs().put(b"content").expect("kept");
    store.backup(&copy).expect("copied");
    let name = digest.to_string();
    std::fs::write(copy.join("blobs").join(&name[..2]).join(&name), "bent").expect("bent");
    let back = restore(&copy, &fresh, START).expect("the rest comes back");
    let told = back.events_tail(1).expect("events").remove(0).message;
    assert!(told.contains("1 damaged blobs"), "{told}");

    let file = copy.join("lace.db");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xff);
    std::fs::write(&file, bytes).expect("bent");
    let refused = restore(&copy, &dir.path().join("third"), START).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
}

/// Writers go on while a backup is taken, and it holds one moment.
#[test]
fn a_backup_is_of_one_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy");
    let store = open(&dir.path().join("state"));
    put(&store, "a", "0");
    let writer = {
        let store = store.clone();
        std::thread::spawn(move || {
            for n in 0..300 {
                let both = |b: &mut lace_store::Batch| {
                    b.put(&Note::new("a", n.to_string()), Expect::Any);
                    b.put(&Note::new("b", n.to_string()), Expect::Any);
                };
                store.commit(batch(both)).expect("written");
            }
        })
    };
    for n in 0..5 {
        store.backup(&copy).expect("copied");
        let back = restore(&copy, &dir.path().join(format!("back{n}")), START).expect("restored");
        let rows = texts(&back);
        assert!(rows.len() < 2 || rows[0].1 == rows[1].1, "{rows:?}");
    }
    writer.join().expect("written");
}
