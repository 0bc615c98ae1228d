//! The one who writes: takes a group of batches and commits them with one sync.
//!
//! On disk it lives in the writer thread; in memory it is called inline. Both run this code.

use crate::apply::{Bench, apply};
use crate::heads::Heads;
use crate::reserve::Reserve;
use crate::{Batch, Blobs, Clock, Committed, Limits, MasterKey, Result, Rev, StoreError, compact};
use rusqlite::Connection;
use std::sync::Arc;
use tokio::sync::watch;

/// Where followers hear that there is something new.
#[derive(Clone)]
pub(crate) struct Bells {
    pub rev: watch::Sender<Rev>,
    pub event: watch::Sender<u64>,
}

/// The writing side of a store.
pub(crate) struct Scribe {
    pub conn: Connection,
    pub heads: Heads,
    pub key: MasterKey,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
    pub blobs: Arc<Blobs>,
    pub bells: Bells,
    /// None in memory.
    pub reserve: Option<Reserve>,
}

impl Scribe {
    /// [`Scribe::commit_group`], and once more from the reserve for what met the end of the disk and is no new work.
    pub(crate) fn commit(&mut self, batches: &[Batch]) -> Vec<Result<Committed>> {
        let mut answers = self.commit_group(batches);
        for (answer, batch) in answers.iter_mut().zip(batches) {
            let full = matches!(answer, Err(StoreError::DiskFull { .. })) && !batch.new_work;
            if full && self.reserve.as_mut().is_some_and(Reserve::release) {
                *answer =
                    self.commit_group(std::slice::from_ref(batch)).pop().unwrap_or(Err(StoreError::Closed));
            }
        }
        if let Some(reserve) = &mut self.reserve {
            reserve.refill();
        }
        answers
    }

    /// Commits all batches that can be, each whole or not at all; one answer for each, in their order.
    ///
    /// Followers are told before the callers: who has its answer finds the feed at least as new. Where a
    /// group fails as a whole each batch is tried alone, so that one which the disk has no room for stops
    /// nobody else.
    pub(crate) fn commit_group(&mut self, batches: &[Batch]) -> Vec<Result<Committed>> {
        let before = self.heads.clone();
        match self.try_group(batches) {
            Ok(answers) => {
                self.ring(&before);
                answers
            }
            Err(error) => {
                self.abandon(before);
                match batches {
                    [_] => vec![Err(error)],
                    _ => batches.chunks(1).flat_map(|one| self.commit_group(one)).collect(),
                }
            }
        }
    }

    fn try_group(&mut self, batches: &[Batch]) -> Result<Vec<Result<Committed>>> {
        let before = self.heads.clone();
        self.run("BEGIN IMMEDIATE")?;
        let answers = batches.iter().map(|batch| self.try_batch(batch)).collect::<Result<Vec<_>>>()?;
        compact::compact(&self.conn, &mut self.heads, &self.limits, &self.blobs)?;
        if self.heads != before {
            self.heads.save(&self.conn)?;
        }
        self.run("COMMIT")?;
        Ok(answers)
    }

    /// The outer error ends the group, the inner one only this batch.
    fn try_batch(&mut self, batch: &Batch) -> Result<Result<Committed>> {
        let before = self.heads.clone();
        self.run("SAVEPOINT batch")?;
        let now = self.clock.now_ms();
        let mut bench = Bench { conn: &self.conn, heads: &mut self.heads, key: &self.key, now };
        match apply(&mut bench, batch) {
            Ok(done) => {
                self.run("RELEASE batch")?;
                Ok(Ok(done))
            }
            // After some failures (a full disk) SQLite has rolled everything back by itself.
            Err(error) if self.conn.is_autocommit() => Err(error),
            Err(error) => {
                self.run("ROLLBACK TO batch")?;
                self.run("RELEASE batch")?;
                self.heads = before;
                Ok(Err(error))
            }
        }
    }

    fn run(&self, sql: &'static str) -> Result<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn abandon(&mut self, before: Heads) {
        if !self.conn.is_autocommit() {
            // Where even this fails the next BEGIN says so.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        // A failed commit may still be there: what the database says counts.
        self.heads = Heads::load(&self.conn).unwrap_or(before);
    }

    fn ring(&self, before: &Heads) {
        if self.heads.rev != before.rev {
            self.bells.rev.send_replace(Rev(self.heads.rev));
        }
        if self.heads.event != before.event {
            self.bells.event.send_replace(self.heads.event);
        }
    }
}

impl From<&Heads> for Bells {
    fn from(heads: &Heads) -> Self {
        Self { rev: watch::Sender::new(Rev(heads.rev)), event: watch::Sender::new(heads.event) }
    }
}

/// The answer for a writer that has gone.
pub(crate) fn gone<T>(_: T) -> StoreError {
    StoreError::Closed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expect, ManualClock, Options, open};
    use lace_model::Object;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize)]
    struct Note(String, String);

    impl Object for Note {
        const KIND: &'static str = "note";
        fn key(&self) -> String {
            self.0.clone()
        }
    }

    fn put(key: &str, bytes: usize) -> Batch {
        let mut batch = Batch::new(None);
        batch.put(&Note(key.into(), "x".repeat(bytes)), Expect::Any);
        batch
    }

    fn delete(key: &str) -> Batch {
        let mut batch = Batch::new(None);
        batch.delete::<Note>(key, Expect::Any);
        batch
    }

    /// A database that may not grow any more: the batch that is too big for it fails, deleting frees room.
    #[test]
    fn the_end_of_the_disk_stops_one_batch_only() {
        let clock = Arc::new(ManualClock::at(1));
        let opened = open::in_memory(MasterKey::from_bytes([1; 32]), clock, Options::default());
        let mut scribe = opened.expect("opened").scribe;
        assert!(scribe.commit_group(&[put("old", 50_000)])[0].is_ok());
        let pages: u32 = scribe.conn.query_row("PRAGMA page_count", [], |r| r.get(0)).expect("pages");
        scribe.conn.pragma_update(None, "max_page_count", pages).expect("bounded");
        let full = Err(StoreError::DiskFull { used_permille: 1000 });
        let before = scribe.heads.clone();
        assert_eq!(scribe.commit_group(&[put("big", 90_000)]).first(), Some(&full));
        assert_eq!(scribe.heads, before);
        let answers = scribe.commit_group(&[put("big", 90_000), delete("old"), put("small", 9)]);
        assert_eq!(answers[0], full);
        assert!(answers[1].is_ok() && answers[2].is_ok(), "{answers:?}");
        assert_eq!(scribe.heads.rev, before.rev + 2);
        assert_eq!(Heads::load(&scribe.conn).expect("loaded"), scribe.heads);
    }
}
