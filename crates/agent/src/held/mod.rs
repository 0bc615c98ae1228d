//! What the agent holds: entries, topics, sealed secrets, and how far jobs and tasks came. All of it is on disk, so
//! that nodes run again without a controller.

mod journal;
mod record;

pub use record::{Readiness, Record, State, Verdict, certificate_keys, judge};

use crate::config::AgentError;
use crate::secret::Seal;
use bytes::Bytes;
use journal::Journal;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A power cut may take this much of the last words; the controller says them again.
const SYNC_AFTER: Duration = Duration::from_millis(50);

/// The state in memory and its journal.
pub struct Held {
    inner: Mutex<(State, Journal)>,
    seal: Seal,
    written: Notify,
}

impl Held {
    /// Reads what is there; a torn end is cut off.
    pub fn open(state_dir: &Path) -> Result<Self, AgentError> {
        let seal = Seal::open(&state_dir.join("host.key"))?;
        let path = state_dir.join("journal");
        let (journal, records) = Journal::open(&path).map_err(AgentError::state("open", &path))?;
        let mut state = State::default();
        records.into_iter().for_each(|record| state.take(record));
        Ok(Self { inner: Mutex::new((state, journal)), seal, written: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, (State, Journal)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().0)
    }

    /// Writes records down, then believes them. A disk that refuses is no reason not to: the words are still true.
    pub fn commit(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let (state, journal) = &mut *inner;
        if let Err(error) = journal.append(&records) {
            tracing::error!(%error, "cannot write the journal: a restart of the agent would forget this");
        }
        state.statements += u64::from(records.iter().any(Record::is_statement));
        records.into_iter().for_each(|record| state.take(record));
        if journal.is_overgrown()
            && let Err(error) = journal.rewrite(state.records())
        {
            tracing::error!(%error, "cannot compact the journal");
        }
        self.written.notify_one();
    }

    /// Keeps secrets, sealed.
    pub fn keep_secrets(&self, values: Vec<(String, Bytes)>) {
        let sealed = |(key, value): (String, Bytes)| match self.seal.close(&key, &value) {
            Ok(sealed) => Some(Record::Secret(key, sealed)),
            Err(error) => {
                tracing::error!(key, %error, "secret not kept");
                None
            }
        };
        self.commit(values.into_iter().filter_map(sealed).collect());
    }

    /// The value of a secret by `APP/NAME@VERSION`.
    pub fn secret(&self, key: &str) -> Option<Vec<u8>> {
        let sealed = self.read(|state| state.secrets.get(key).cloned())?;
        self.seal.open_value(key, &sealed)
    }

    /// Forgets secrets that no entry names. Only between sessions: a controller sends a value once per session.
    pub fn drop_unused_secrets(&self) {
        let unused = self.read(State::unused_secrets);
        self.commit(unused.into_iter().map(Record::SecretGone).collect());
    }
}

/// Brings the journal to the disk a little after it was written, away from whoever wrote.
pub fn keep_synced(held: Arc<Held>) -> crate::hands::Kept {
    crate::hands::Kept(tokio::spawn(async move {
        loop {
            held.written.notified().await;
            tokio::time::sleep(SYNC_AFTER).await;
            let held = held.clone();
            let synced = tokio::task::spawn_blocking(move || {
                let file = held.lock().1.file();
                file.and_then(|file| file.sync_data())
            });
            if let Ok(Err(error)) = synced.await {
                tracing::error!(%error, "cannot sync the journal");
            }
        }
    }))
}
