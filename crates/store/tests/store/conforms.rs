//! The suite of every backend, and what only one of them has.

use super::{in_memory, key, on_disk, open};
use lace_store::conformance::{self, Note, batch};
use lace_store::{Expect, Limits, StoreError};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_store_on_disk_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = AtomicUsize::new(0);
    let make = |limits: Limits| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        on_disk(&dir.path().join(number.to_string()), limits)
    };
    conformance::run(&make);
}

#[test]
fn a_store_in_memory_conforms() {
    conformance::run(&in_memory);
}

#[test]
fn a_store_in_memory_is_the_same_in_every_run() {
    let ids = [in_memory(Limits::default()), in_memory(Limits::default())].map(|f| f.store.installation());
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn one_process_has_it_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let again = lace_store::Store::open(dir.path(), key(), super::clock());
    assert!(matches!(again, Err(StoreError::InUse { .. })));
    drop(store);
    open(dir.path());
}

#[test]
fn what_is_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let before = (store.installation(), store.epoch());
    store.commit(batch(|b| b.put(&Note::new("a", "x"), Expect::Any))).expect("written");
    drop(store);
    let store = open(dir.path());
    assert_eq!((store.installation(), store.epoch()), before);
    assert_eq!(super::texts(&store), [("a".into(), "x".into(), 1)]);
    assert_eq!(store.watch().borrow().0, 1);
}

#[test]
fn others_cannot_read_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let store = open(&state);
    store.commit(batch(|b| b.put(&Note::new("a", "x"), Expect::Any))).expect("written");
    store.backup(&dir.path().join("copy")).expect("copied");
    store.blobs().put(b"content").expect("kept");
    let mut open_to_others = Vec::new();
    for file in walk(dir.path()) {
        let mode = std::fs::metadata(&file).expect("there").permissions().mode();
        if file != dir.path() && mode & 0o077 != 0 && !file.parent().is_some_and(is_private) {
            open_to_others.push((file, mode));
        }
    }
    assert!(open_to_others.is_empty(), "{open_to_others:?}");
}

fn is_private(dir: &std::path::Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 0o077 == 0) && dir.ends_with("blobs")
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![dir.to_path_buf()];
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => found.extend(walk(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_writers_share_a_sync() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let store = store.clone();
        let note = Note::new(format!("{n:04}"), "x");
        tasks.spawn(async move { store.commit_async(batch(|b| b.put(&note, Expect::Absent))).await });
    }
    let answers = tasks.join_all().await;
    let mut revs: Vec<u64> = answers.into_iter().map(|a| a.expect("written").changes[0].rev.0).collect();
    revs.sort_unstable();
    assert_eq!(revs, (1..=2000).collect::<Vec<_>>(), "every commit has its own revision");
    let count = store.snapshot_async(|view| Ok(view.list::<Note>("")?.len())).await;
    assert_eq!(count, Ok(2000));
}
