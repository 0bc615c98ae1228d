//! Changes, events, the audit log, followers, the disk.

use super::{Make, Note, batch};
use crate::{Batch, Expect, Limits, Rev, Store, StoreError, limits};
use lace_model::event::NewEvent;
use lace_model::{Code, Problem, Span};
use std::collections::BTreeSet;

fn put(store: &Store, key: &str, text: impl ToString) -> Rev {
    let batch = batch(|b| b.put(&Note::new(key, text.to_string()), Expect::Any));
    store.commit(batch).expect("written").rev
}

pub(super) fn changes(make: Make<'_>) {
    let store = make(Limits::default()).store;
    assert_eq!(store.changes(Rev(0), 10).expect("feed"), []);
    let mut expected = Vec::new();
    for n in 0..10 {
        put(&store, &format!("k{}", n % 3), n);
        expected.push((n + 1, format!("k{}", n % 3), false));
    }
    store.commit(batch(|b| b.delete::<Note>("k1", Expect::Any))).expect("deleted");
    expected.push((11, "k1".into(), true));
    let mut seen = Vec::new();
    let mut after = Rev(0);
    loop {
        let page = store.changes(after, 4).expect("feed");
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = last.rev;
        assert!(page.iter().all(|c| c.kind == "note"));
        seen.extend(page.into_iter().map(|c| (c.rev.0, c.key, c.deleted)));
    }
    assert_eq!(seen, expected);
    assert_eq!(store.changes(Rev(99), 10).expect("the future is empty"), []);
}

pub(super) fn compaction(make: Make<'_>) {
    let small = Limits { changes_rows: 20, compact_step: 5, ..Limits::default() };
    let store = make(small).store;
    for n in 0..100 {
        let rev = put(&store, "k", n);
        // Who follows closely never meets the end of the feed.
        let near = store.changes(Rev(rev.0.saturating_sub(20)), 100).expect("feed");
        assert_eq!(near.len() as u64, rev.0.min(20));
    }
    assert_eq!(store.changes(Rev(0), 10), Err(StoreError::Compacted));
    assert_eq!(store.changes(Rev(70), 10), Err(StoreError::Compacted));
    let all: Vec<u64> = store.changes(Rev(80), 100).expect("feed").iter().map(|c| c.rev.0).collect();
    assert_eq!(all, (81..=100).collect::<Vec<_>>());
    assert_eq!(Problem::from(StoreError::Compacted).code, Code::Conflict);
}

pub(super) fn events(make: Make<'_>) {
    let fixture = make(Limits::default());
    let store = &fixture.store;
    let subjects = ["shop", "shop/game/1", "shopping", "shop/game/2", "host/a"];
    for (n, subject) in subjects.iter().enumerate() {
        let mut batch = Batch::new(Some("ann".into()));
        let event = NewEvent::new("k", subject, format!("m{n}"));
        batch.event(if n == 0 { event.by("bob") } else { event });
        let done = store.commit(batch).expect("written");
        assert_eq!((done.event, done.rev), (n as u64 + 1, Rev(0)));
        fixture.clock.advance(5);
    }
    let all = store.events(0, 100).expect("events");
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(all[1].at, all[0].at + 5);
    assert_eq!((all[0].actor.as_deref(), all[1].actor.as_deref()), (Some("bob"), Some("ann")));
    let numbers = |found: crate::Result<Vec<lace_model::event::Event>>| {
        found.expect("events").iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(store.events(2, 2)), [3, 4]);
    assert_eq!(numbers(store.events_tail(2)), [4, 5]);
    assert_eq!(numbers(store.events_under("shop", 0, 100)), [1, 2, 4]);
    assert_eq!(numbers(store.events_under("shop/", 0, 100)), [2, 4]);
    assert_eq!(numbers(store.events_under("shop", 1, 1)), [2]);
    assert_eq!(numbers(store.events_tail_under("shop", 2)), [2, 4]);
    assert_eq!(numbers(store.events_tail_under("host/b", 2)), [0; 0]);
    let long = batch(|b| b.event(NewEvent::new("k", "s", "é".repeat(limits::MESSAGE_BYTES_MAX))));
    store.commit(long).expect("a long message is cut");
    let cut = store.events_tail(1).expect("events").remove(0).message;
    assert_eq!(cut.len(), limits::MESSAGE_BYTES_MAX);
}

pub(super) fn events_bounded(make: Make<'_>) {
    let by_rows = Limits { events_rows: 30, compact_step: 5, ..Limits::default() };
    let by_bytes = Limits { events_bytes: 4000, ..Limits::default() };
    for (small, most) in [(by_rows, 34), (by_bytes, 40)] {
        let store = make(small).store;
        for n in 0..200_u64 {
            let text = "x".repeat(60 + n as usize % 10);
            store.commit(batch(|b| b.event(NewEvent::new("k", "s", text)))).expect("written");
            let kept = store.events(0, 1000).expect("events");
            assert!(kept.len() <= most, "{} events at {n}", kept.len());
            assert!(kept.len() as u64 >= 20.min(n + 1), "{} events at {n}", kept.len());
            assert_eq!(kept.last().map(|e| e.seq), Some(n + 1));
            assert!(kept.windows(2).all(|w| w[0].seq + 1 == w[1].seq), "no gap");
        }
    }
}

pub(super) fn audit(make: Make<'_>) {
    let small = Limits { audit_rows: 10, compact_step: 4, ..Limits::default() };
    let fixture = make(small);
    let store = &fixture.store;
    for n in 1..=50_u64 {
        let mut batch = Batch::new((n % 2 == 0).then(|| "ann".to_owned()));
        batch.audit("apply", &format!("app{n}"), "done");
        store.commit(batch).expect("written");
        let report = store.audit_verify().expect("verified");
        assert!(report.is_whole() && report.rows == n, "{report:?}");
    }
    let rows = store.audit(0, 100).expect("rows");
    assert!(rows.len() < 14, "{} rows in the database", rows.len());
    let segments = store.audit_segments().expect("segments");
    let mut seen: Vec<u64> = Vec::new();
    for segment in &segments {
        let rows = segment.read(store.blobs()).expect("a segment");
        seen.extend(rows.iter().map(|r| r.seq));
    }
    seen.extend(rows.iter().map(|r| r.seq));
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    fixture.clock.advance(1_000_000);
    let collected = store.blobs().collect(&BTreeSet::new(), Span::secs(1)).expect("collected");
    assert_eq!(collected.removed, 0, "segments are no garbage");
    store.blobs().remove(&segments[1].blob).expect("removed by hand");
    let report = store.audit_verify().expect("verified");
    assert_eq!(report.broken.map(|b| b.0), Some(segments[1].first));
}

pub(super) fn watch(make: Make<'_>) {
    let store = make(Limits::default()).store;
    let (mut revs, mut events) = (store.watch(), store.watch_events());
    assert_eq!((*revs.borrow_and_update(), *events.borrow_and_update()), (Rev(0), 0));
    let rev = put(&store, "a", 1);
    assert!(revs.has_changed().expect("open") && !events.has_changed().expect("open"));
    assert_eq!(*revs.borrow_and_update(), rev);
    store.commit(batch(|b| b.event(NewEvent::new("k", "s", "m")))).expect("written");
    assert!(!revs.has_changed().expect("open") && events.has_changed().expect("open"));
    put(&store, "a", 1);
    assert!(!revs.has_changed().expect("open"), "nothing changed, nobody is woken");
    drop(store);
    assert!(revs.has_changed().is_err(), "followers hear that the store is closed");
}

pub(super) fn full_disk(make: Make<'_>) {
    let fixture = make(Limits::default());
    let store = &fixture.store;
    put(store, "old", 1);
    fixture.gauge.set(899);
    store.admit_new_work().expect("below the bound");
    fixture.gauge.set(900);
    let full = StoreError::DiskFull { used_permille: 900 };
    assert_eq!(store.admit_new_work(), Err(full.clone()));
    let mut work = Batch::new(None).new_work();
    work.put(&Note::new("new", "x"), Expect::Any);
    assert_eq!(store.commit(work), Err(full.clone()));
    assert_eq!(store.blobs().put(b"content"), Err(full.clone()));
    let problem = Problem::from(full);
    assert_eq!(problem.code, Code::DiskFull);
    assert!(problem.message.contains("90 %") && problem.hint.is_some(), "{problem:?}");
    put(store, "status", "reports go on");
    let gone = batch(|b| b.delete::<Note>("old", Expect::Any));
    store.commit(gone).expect("deleting works");
    fixture.gauge.set(100);
    store.blobs().put(b"content").expect("room again");
}

pub(super) fn meta(make: Make<'_>) {
    let fixture = make(Limits::default());
    let store = &fixture.store;
    let meta = store.meta().expect("meta");
    assert_eq!((meta.epoch, meta.adopt), (1, false));
    assert_eq!((meta.epoch, meta.installation), (store.epoch(), store.installation()));
    store.end_adoption(Some("ann".into())).expect("harmless");
    assert_eq!(store.audit(0, 9).expect("audit").len(), 1);
}
