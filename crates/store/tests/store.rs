//! The store's tests: one binary.

use lace_model::Object;
use lace_model::event::NewEvent;
use lace_store::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    key: String,
    text: String,
}
impl Object for Note {
    const KIND: &'static str = "note";
    fn key(&self) -> String {
        self.key.clone()
    }
}

#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1000));
    let key = MasterKey::from_bytes([7; 32]);
    for store in [
        Store::open(dir.path(), key.clone(), clock.clone()).unwrap(),
        Store::open_in_memory(key, clock).unwrap(),
    ] {
        let mut b = Batch::new(Some("ann".into()));
        let note = Note {
            key: "a/1".into(),
            text: "hi".into(),
        };
        b.put(&note, Expect::Absent);
        b.event(NewEvent::new("x", "a/1", "m"));
        b.audit("put", "a/1", "ok");
        let done = store.commit(b).unwrap();
        assert_eq!(done.rev, Rev(1));
        assert_eq!(
            store.get::<Note>("a/1").unwrap().unwrap(),
            Row {
                value: note.clone(),
                rev: Rev(1)
            }
        );
        let mut b = Batch::new(None);
        b.put(&note, Expect::Absent);
        assert!(matches!(store.commit(b), Err(StoreError::Conflict { .. })));
        assert_eq!(store.list::<Note>("a/").unwrap().len(), 1);
        assert_eq!(store.changes(Rev(0), 10).unwrap().len(), 1);
        assert_eq!(store.events_under("a", 0, 10).unwrap().len(), 1);
        assert_eq!(*store.watch().borrow(), Rev(1));
        let a = store.audit_verify().unwrap();
        assert!(a.is_whole() && a.rows == 1, "{a:?}");
        assert_eq!(store.snapshot(|v| v.rev()).unwrap(), Rev(1));
    }
}
