//! Random batches against a map: what is answered, what is kept, what the feed says.

use super::{in_memory, on_disk};
use lace_store::conformance::{Fixture, Note};
use lace_store::{Batch, ChangeRow, Expect, Limits, Rev, StoreError};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One step, with keys and texts small enough to meet again and again.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, Guess),
    Delete(u8, Guess),
    Require(u8, Guess),
    Event(u8),
    Audit(u8),
}

/// What a caller believes of a row.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    /// The row as it is.
    Right,
    /// Some revision.
    Old(u64),
}

fn guesses() -> impl Strategy<Value = Guess> {
    prop_oneof![
        4 => Just(Guess::Any),
        2 => Just(Guess::Absent),
        4 => Just(Guess::Right),
        1 => (0..40_u64).prop_map(Guess::Old),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u8, 0..3_u8, guesses()).prop_map(|(k, t, g)| Step::Put(k, t, g)),
        2 => (0..6_u8, guesses()).prop_map(|(k, g)| Step::Delete(k, g)),
        1 => (0..6_u8, guesses()).prop_map(|(k, g)| Step::Require(k, g)),
        1 => any::<u8>().prop_map(Step::Event),
        1 => any::<u8>().prop_map(Step::Audit),
    ]
}

#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<String, (String, u64)>,
    changes: Vec<ChangeRow>,
    events: Vec<String>,
    audit: Vec<String>,
}

impl Model {
    fn expect(&self, key: &str, guess: Guess) -> Expect {
        match (guess, self.rows.get(key)) {
            (Guess::Any, _) => Expect::Any,
            (Guess::Absent, _) | (Guess::Right, None) => Expect::Absent,
            (Guess::Right, Some(row)) => Expect::Rev(Rev(row.1)),
            (Guess::Old(rev), _) => Expect::Rev(Rev(rev)),
        }
    }

    fn meets(&self, key: &str, expect: Expect) -> Result<(), String> {
        let found = self.rows.get(key).map(|row| Rev(row.1));
        if expect.admits(found) { Ok(()) } else { Err(key.to_owned()) }
    }

    fn change(&mut self, key: &str, deleted: bool) -> u64 {
        let rev = self.changes.len() as u64 + 1;
        self.changes.push(ChangeRow { rev: Rev(rev), kind: "note".into(), key: key.into(), deleted });
        rev
    }

    /// Does one step here and adds it to the batch; says which key stopped it.
    fn step(&mut self, step: &Step, before: &Model, batch: &mut Batch) -> Result<(), String> {
        match step {
            Step::Put(key, text, guess) => {
                let note = Note::new(format!("k{key}"), format!("t{text}"));
                let expect = before.expect(&note.key, *guess);
                batch.put(&note, expect);
                self.meets(&note.key, expect)?;
                if self.rows.get(&note.key).is_none_or(|row| row.0 != note.text) {
                    let rev = self.change(&note.key, false);
                    self.rows.insert(note.key, (note.text, rev));
                }
            }
            Step::Delete(key, guess) => {
                let key = format!("k{key}");
                let expect = before.expect(&key, *guess);
                batch.delete::<Note>(&key, expect);
                self.meets(&key, expect)?;
                if self.rows.remove(&key).is_some() {
                    self.change(&key, true);
                }
            }
            Step::Require(key, guess) => {
                let key = format!("k{key}");
                let expect = before.expect(&key, *guess);
                batch.require("note", &key, expect);
                self.meets(&key, expect)?;
            }
            Step::Event(n) => {
                batch.event(lace_model::event::NewEvent::new("k", n, format!("m{n}")));
                self.events.push(format!("m{n}"));
            }
            Step::Audit(n) => {
                batch.audit("a", &format!("s{n}"), "ok");
                self.audit.push(format!("s{n}"));
            }
        }
        Ok(())
    }

    /// What a batch answers, and the model after it.
    fn apply(&mut self, steps: &[Step]) -> (Batch, Result<usize, StoreError>) {
        let (before, mut after) = (self.clone(), self.clone());
        let mut batch = Batch::new(None);
        let mut stopped = None;
        for step in steps {
            // After the step that stops it the rest is still part of the batch, and counts for nothing.
            let result = after.step(step, &before, &mut batch);
            stopped = stopped.or(result.err());
        }
        if let Some(key) = stopped {
            return (batch, Err(StoreError::Conflict { kind: "note".into(), key }));
        }
        let changed = after.changes.len() - before.changes.len();
        *self = after;
        (batch, Ok(changed))
    }

    fn check(&self, fixture: &Fixture) -> Result<(), TestCaseError> {
        let store = &fixture.store;
        let rows: Vec<_> = self.rows.iter().map(|(k, (t, rev))| (k.clone(), t.clone(), *rev)).collect();
        prop_assert_eq!(super::texts(store), rows);
        prop_assert_eq!(&store.changes(Rev(0), 10_000).expect("feed"), &self.changes);
        prop_assert_eq!(store.watch().borrow().0, self.changes.len() as u64);
        let events = store.events(0, 10_000).expect("events");
        prop_assert!(events.iter().map(|e| &e.message).eq(&self.events));
        prop_assert!(events.iter().map(|e| e.seq).eq(1..=self.events.len() as u64));
        let audit = store.audit(0, 10_000).expect("audit");
        prop_assert!(audit.iter().map(|a| &a.subject).eq(&self.audit));
        prop_assert!(store.audit_verify().expect("verified").is_whole());
        Ok(())
    }

    /// A follower that starts anywhere and reads the feed knows the newest revision of every row.
    fn follow(&self, fixture: &Fixture, from: u64) -> Result<(), TestCaseError> {
        let mut after = Rev(from.min(self.changes.len() as u64));
        let mut seen = BTreeMap::new();
        loop {
            let page = fixture.store.changes(after, 3).expect("feed");
            let Some(last) = page.last() else { break };
            after = last.rev;
            seen.extend(page.into_iter().map(|c| (c.key, (c.rev.0, c.deleted))));
        }
        for (key, (rev, deleted)) in seen {
            let row = self.rows.get(&key);
            prop_assert_eq!(row.is_none(), deleted);
            prop_assert!(row.is_none_or(|row| row.1 == rev));
        }
        Ok(())
    }
}

fn play(fixture: &Fixture, batches: &[Vec<Step>], from: u64) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for steps in batches {
        let (batch, expected) = model.apply(steps);
        let answer = fixture.store.commit(batch);
        prop_assert_eq!(answer.map(|done| done.changes.len()), expected);
    }
    model.check(fixture)?;
    model.follow(fixture, from)
}

fn batches() -> impl Strategy<Value = Vec<Vec<Step>>> {
    prop::collection::vec(prop::collection::vec(steps(), 0..6), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_in_memory(batches in batches(), from in 0..40_u64) {
        play(&in_memory(Limits::default()), &batches, from)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_on_disk(batches in batches(), from in 0..40_u64) {
        let dir = tempfile::tempdir().expect("a directory");
        play(&on_disk(dir.path(), Limits::default()), &batches, from)?;
    }
}
