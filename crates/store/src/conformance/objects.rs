//! Objects: finding, expecting, being whole.

use super::{Make, Note, batch};
use crate::{Expect, Limits, Rev, Row, StoreError, limits};
use lace_model::event::NewEvent;
use lace_model::{AppName, Object};
use serde::{Deserialize, Serialize};

pub(super) fn found(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let keys = ["", "a", "a/", "a/1", "a/10", "a/2", "a0", "b%", "b_", "é/1", "\u{10ffff}x"];
    for key in keys.iter().rev() {
        store.commit(batch(|b| b.put(&Note::new(*key, "x"), Expect::Absent))).expect("written");
    }
    for prefix in ["", "a", "a/", "a/1", "b", "b%", "é", "\u{10ffff}", "z", "%"] {
        let expected: Vec<&str> = keys.iter().copied().filter(|k| k.starts_with(prefix)).collect();
        let rows = store.list::<Note>(prefix).expect("listed");
        let listed: Vec<&str> = rows.iter().map(|r| r.value.key.as_str()).collect();
        assert_eq!(listed, expected, "prefix {prefix:?}");
    }
    let row = store.get::<Note>("a").expect("read");
    assert_eq!(row, Some(Row { value: Note::new("a", "x"), rev: Rev(10) }));
    assert_eq!(store.get::<Note>("A").expect("read"), None);
}

pub(super) fn expectations(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let done = store.commit(batch(|b| b.put(&Note::new("there", "x"), Expect::Any)));
    let rev = done.expect("written").rev;
    let conflict = |key: &str| Err(StoreError::Conflict { kind: "note".into(), key: key.into() });
    for (key, expect, good) in [
        ("there", Expect::Any, true),
        ("there", Expect::Absent, false),
        ("there", Expect::Rev(rev), true),
        ("there", Expect::Rev(Rev(rev.0 + 1)), false),
        ("there", Expect::Rev(Rev(0)), false),
        ("gone", Expect::Any, true),
        ("gone", Expect::Absent, true),
        ("gone", Expect::Rev(rev), false),
        ("gone", Expect::Rev(Rev(0)), false),
    ] {
        let said = format!("{key} {expect:?}");
        let answer = store.commit(batch(|b| b.require("note", key, expect))).map(|_| ());
        assert_eq!(answer, if good { Ok(()) } else { conflict(key) }, "require {said}");
        // The last step fails the batch, so that each case meets the same rows.
        let fail = |b: &mut crate::Batch| b.require("note", "last", Expect::Rev(Rev(9)));
        let wanted = if good { conflict("last") } else { conflict(key) };
        let put = batch(|b| (b.put(&Note::new(key, "new"), expect), fail(b)).0);
        assert_eq!(store.commit(put).map(|_| ()), wanted, "put {said}");
        let delete = batch(|b| (b.delete::<Note>(key, expect), fail(b)).0);
        assert_eq!(store.commit(delete).map(|_| ()), wanted, "delete {said}");
    }
    assert_eq!(store.changes(Rev(0), 100).expect("feed").len(), 1, "nothing else was written");
}

pub(super) fn same(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let note = Note::new("a", "x");
    let first = store.commit(batch(|b| b.put(&note, Expect::Absent))).expect("written");
    assert_eq!(first.rev_of("note", "a"), Some(first.rev));
    let again = store.commit(batch(|b| {
        b.put(&note, Expect::Rev(first.rev));
        b.delete::<Note>("none", Expect::Any);
    }));
    let again = again.expect("accepted");
    assert_eq!((again.rev, again.changes), (first.rev, vec![]));
    let other = store.commit(batch(|b| b.put(&Note::new("a", "y"), Expect::Any))).expect("written");
    assert_eq!(other.rev, Rev(first.rev.0 + 1));
}

pub(super) fn whole(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let app = AppName::new("shop").expect("a name");
    let refused = store.commit(batch(|b| {
        b.put(&Note::new("a", "x"), Expect::Any);
        b.event(NewEvent::new("k", "a", "m"));
        b.audit("put", "a", "ok");
        b.secret_put(&app, "S", crate::SecretValue::new("v"), false);
        b.put(&Note::new("b", "x"), Expect::Rev(Rev(7)));
    }));
    assert_eq!(refused, Err(StoreError::Conflict { kind: "note".into(), key: "b".into() }));
    assert!(store.list::<Note>("").expect("listed").is_empty());
    assert!(store.changes(Rev(0), 10).expect("feed").is_empty());
    assert!(store.events(0, 10).expect("events").is_empty());
    assert!(store.audit(0, 10).expect("audit").is_empty());
    assert!(store.secret_list(None).expect("secrets").is_empty());
    let next = store.commit(batch(|b| b.put(&Note::new("a", "x"), Expect::Any))).expect("written");
    assert_eq!(next.rev, Rev(1), "no number was used up");
}

pub(super) fn own_steps(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let done = store.commit(batch(|b| {
        b.put(&Note::new("a", "1"), Expect::Absent);
        b.put(&Note::new("a", "2"), Expect::Rev(Rev(1)));
        b.delete::<Note>("a", Expect::Rev(Rev(2)));
        b.put(&Note::new("a", "3"), Expect::Absent);
    }));
    let done = done.expect("written");
    assert_eq!(done.changes.iter().map(|c| c.rev.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(done.rev_of("note", "a"), Some(Rev(4)));
    let row = store.get::<Note>("a").expect("read").expect("there");
    assert_eq!(row, Row { value: Note::new("a", "3"), rev: Rev(4) });
}

pub(super) fn view(make: Make<'_>) {
    let store = make(Limits::default()).store;
    store.commit(batch(|b| b.put(&Note::new("a", "1"), Expect::Any))).expect("written");
    let seen = store.snapshot(|view| {
        Ok((view.rev()?, view.get::<Note>("a")?, view.list::<Note>("")?.len(), view.changes(Rev(0), 9)?))
    });
    let (rev, note, count, changes) = seen.expect("read");
    assert_eq!((rev, count, changes.len()), (Rev(1), 1, 1));
    assert_eq!(note.expect("there").rev, rev);
}

/// Eight threads count up one number by compare-and-set: no count is lost, none is made twice.
pub(super) fn at_once(make: Make<'_>) {
    const THREADS: usize = 8;
    const COUNTS: usize = 20;
    let store = make(Limits::default()).store;
    store.commit(batch(|b| b.put(&Note::new("n", "0"), Expect::Any))).expect("written");
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..COUNTS).for_each(|_| count_up(&store)));
        }
    });
    let row = store.get::<Note>("n").expect("read").expect("there");
    assert_eq!(row.value.text, (THREADS * COUNTS).to_string());
    assert_eq!(row.rev, Rev(1 + (THREADS * COUNTS) as u64));
}

fn count_up(store: &crate::Store) {
    loop {
        let row = store.get::<Note>("n").expect("read").expect("there");
        let next = row.value.text.parse::<usize>().expect("a number") + 1;
        let put = batch(|b| b.put(&Note::new("n", next.to_string()), Expect::Rev(row.rev)));
        match store.commit(put) {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) fn too_large(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let long = "k".repeat(limits::KEY_BYTES_MAX + 1);
    let big = Note::new("a", "x".repeat(limits::OBJECT_BYTES_MAX));
    for (what, refused) in [
        ("key", batch(|b| b.put(&Note::new(long.as_str(), ""), Expect::Any))),
        ("deleted key", batch(|b| b.delete::<Note>(&long, Expect::Any))),
        ("object", batch(|b| b.put(&big, Expect::Any))),
        ("subject", batch(|b| b.event(NewEvent::new("k", &long, "m")))),
        ("steps", batch(|b| (0..=limits::BATCH_STEPS_MAX).for_each(|_| b.delete::<Note>("a", Expect::Any)))),
    ] {
        let answer = store.commit(refused);
        assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{what}: {answer:?}");
    }
    let largest = &long[1..];
    store.commit(batch(|b| b.put(&Note::new(largest, ""), Expect::Any))).expect("just fits");
}

/// A note as a later version would write it.
#[derive(Clone, Serialize, Deserialize)]
struct Later(Note);

impl Object for Later {
    const KIND: &'static str = Note::KIND;
    const SCHEMA: u32 = Note::SCHEMA + 1;
    fn key(&self) -> String {
        self.0.key.clone()
    }
}

pub(super) fn newer_schema(make: Make<'_>) {
    let store = make(Limits::default()).store;
    store.commit(batch(|b| b.put(&Later(Note::new("a", "x")), Expect::Any))).expect("written");
    let newer = StoreError::NewerSchema { kind: "note".into(), key: "a".into(), schema: 2 };
    assert_eq!(store.get::<Note>("a"), Err(newer.clone()));
    assert_eq!(store.list::<Note>(""), Err(newer.clone()));
    let put = store.commit(batch(|b| b.put(&Note::new("a", "old"), Expect::Any)));
    assert_eq!(put, Err(newer));
    store.commit(batch(|b| b.delete::<Note>("a", Expect::Any))).expect("deleting always works");
}
