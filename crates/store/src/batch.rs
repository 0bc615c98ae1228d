//! What shall be written, all of it or nothing.

use crate::secret::SecretValue;
use crate::{ChangeRow, Result, Rev, StoreError, limits};
use lace_model::event::NewEvent;
use lace_model::{AppName, Object};

/// What a row must be for the batch to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// It is not there.
    Absent,
    /// It is there, at this revision.
    Rev(Rev),
}

impl Expect {
    /// Is a row at revision `found` (or none) as expected?
    pub fn admits(self, found: Option<Rev>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Rev(rev) => found == Some(rev),
        }
    }
}

/// One step of a batch, in the order in which it was added.
pub(crate) enum Step {
    Require {
        kind: String,
        key: String,
        expect: Expect,
    },
    Put {
        kind: &'static str,
        key: String,
        schema: u32,
        json: String,
        expect: Expect,
    },
    Delete {
        kind: &'static str,
        key: String,
        expect: Expect,
    },
    Event(NewEvent),
    Audit {
        action: String,
        subject: String,
        outcome: String,
    },
    SecretPut {
        app: AppName,
        name: String,
        value: SecretValue,
        generated: bool,
    },
    SecretRemove {
        app: AppName,
        name: Option<String>,
    },
    SecretCopy {
        from: AppName,
        to: AppName,
    },
    /// Internal: the installation is no longer in adopt mode.
    Adopted,
}

/// A list of writes that happen together.
///
/// Steps are done in the order in which they were added, and each sees those before it: the second put of a
/// row in one batch expects the revision `Any`, or nothing will do.
pub struct Batch {
    pub(crate) actor: Option<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) new_work: bool,
    bytes: usize,
    fault: Option<StoreError>,
}

impl Batch {
    /// An empty batch; `actor` is the person behind it, named in its events and audit rows.
    pub fn new(actor: Option<String>) -> Self {
        Self { actor, steps: Vec::new(), new_work: false, bytes: 0, fault: None }
    }

    /// Marks it as new work: refused with [`StoreError::DiskFull`] on a disk that is 90 % full.
    #[must_use]
    pub fn new_work(mut self) -> Self {
        self.new_work = true;
        self
    }

    /// How many steps it has, of at most [`limits::BATCH_STEPS_MAX`].
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Nothing to do?
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.fault.is_none()
    }

    /// Writes an object. Where the row has the same content already, nothing happens and no revision is
    /// taken.
    pub fn put<T: Object>(&mut self, value: &T, expect: Expect) {
        let key = value.key();
        match serde_json::to_string(value) {
            Ok(json) => {
                self.check(|| format!("{} {key}", T::KIND), json.len(), limits::OBJECT_BYTES_MAX);
                self.push(json.len(), Step::Put { kind: T::KIND, key, schema: T::SCHEMA, json, expect });
            }
            Err(e) => self.fail(StoreError::Unwritable { kind: T::KIND.into(), key, why: e.to_string() }),
        }
    }

    /// Deletes an object. Where there is none (and that is expected), nothing happens.
    pub fn delete<T: Object>(&mut self, key: &str, expect: Expect) {
        self.push(0, Step::Delete { kind: T::KIND, key: key.into(), expect });
    }

    /// Writes nothing, but the batch is refused unless the row is as expected: for what a decision was read
    /// from.
    pub fn require(&mut self, kind: &str, key: &str, expect: Expect) {
        self.push(0, Step::Require { kind: kind.into(), key: key.into(), expect });
    }

    /// Records that something happened. A message over [`limits::MESSAGE_BYTES_MAX`] is cut.
    pub fn event(&mut self, event: NewEvent) {
        self.check(|| "the subject of an event".into(), event.subject.len(), limits::KEY_BYTES_MAX);
        self.check(|| "the kind of an event".into(), event.kind.len(), limits::KEY_BYTES_MAX);
        self.push(event.message.len(), Step::Event(event));
    }

    /// Adds a row to the audit log.
    pub fn audit(&mut self, action: &str, subject: &str, outcome: &str) {
        let cut = |text| crate::text::cut(text, limits::MESSAGE_BYTES_MAX).to_owned();
        let step = Step::Audit { action: cut(action), subject: cut(subject), outcome: cut(outcome) };
        self.push(action.len() + subject.len() + outcome.len(), step);
    }

    /// Seals a new version of a secret; its number is in [`Committed::secrets`].
    pub fn secret_put(&mut self, app: &AppName, name: &str, value: SecretValue, generated: bool) {
        let len = value.expose().len();
        self.check(|| format!("secret {app}/{name}"), len, lace_model::secret::SECRET_BYTES_MAX);
        self.check(|| "the name of a secret".into(), name.len(), limits::KEY_BYTES_MAX / 2);
        self.push(len, Step::SecretPut { app: app.clone(), name: name.into(), value, generated });
    }

    /// Removes a secret with all its versions. Its numbers are not used again while the application lives.
    pub fn secret_remove(&mut self, app: &AppName, name: &str) {
        self.push(0, Step::SecretRemove { app: app.clone(), name: Some(name.into()) });
    }

    /// Removes all secrets of an application that is deleted.
    pub fn secret_remove_all(&mut self, app: &AppName) {
        self.push(0, Step::SecretRemove { app: app.clone(), name: None });
    }

    /// Seals every version of every secret of one application for another one too, under the same numbers. That one has
    /// none of these names.
    pub fn secret_copy_all(&mut self, from: &AppName, to: &AppName) {
        self.push(0, Step::SecretCopy { from: from.clone(), to: to.clone() });
    }

    pub(crate) fn adopted(&mut self) {
        self.push(0, Step::Adopted);
    }

    fn push(&mut self, bytes: usize, step: Step) {
        if let Step::Put { key, .. } | Step::Delete { key, .. } | Step::Require { key, .. } = &step {
            self.check(
                || format!("the key {}…", crate::text::cut(key, 60)),
                key.len(),
                limits::KEY_BYTES_MAX,
            );
        }
        self.bytes += bytes;
        self.steps.push(step);
        self.check(|| "a batch".into(), self.bytes, limits::BATCH_BYTES_MAX);
        self.check(|| "a batch (in steps)".into(), self.steps.len(), limits::BATCH_STEPS_MAX);
    }

    fn check(&mut self, what: impl FnOnce() -> String, bytes: usize, limit: usize) {
        if bytes > limit {
            self.fail(StoreError::TooLarge { what: what(), bytes, limit });
        }
    }

    fn fail(&mut self, error: StoreError) {
        self.fault.get_or_insert(error);
    }

    /// The first mistake that was made while the batch was put together.
    pub(crate) fn sound(&self) -> Result<()> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The newest revision of the store after this batch.
    pub rev: Rev,
    /// The rows that changed, in order; empty where everything was so already.
    pub changes: Vec<ChangeRow>,
    /// The number of the newest event after this batch.
    pub event: u64,
    /// Application, name and version of the secrets that were sealed, in order.
    pub secrets: Vec<(AppName, String, u64)>,
}

impl Committed {
    /// The revision that this batch gave to a row, if it changed it.
    pub fn rev_of(&self, kind: &str, key: &str) -> Option<Rev> {
        self.changes.iter().rev().find(|c| c.kind == kind && c.key == key).map(|c| c.rev)
    }
}
