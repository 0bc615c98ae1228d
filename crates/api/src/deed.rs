//! Deeds: what a person asked for, written in one commit with its operation, its events and its audit row.

use crate::caller::Caller;
use crate::reads::Reads;
use crate::refusal::Answer;
use crate::state::ApiState;
use lace_model::operation::{Goal, Operation, OperationState};
use lace_model::release::Release;
use lace_model::task::NodeTask;
use lace_model::{Object, OperationId, Span};
use lace_planner::Edit;
use lace_store::{Batch, Committed, Expect, StoreError};
use lace_wire::api::Accepted;
use std::collections::BTreeSet;

/// How often a verb is decided again where its rows changed between reading and writing.
const TRIES: u32 = 5;

/// What was asked, by whom, to what.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    /// `apply`, `scale`, ...: the operation's verb and the audit row's action.
    pub verb: String,
    /// To what.
    pub subject: String,
    /// It makes or enlarges something: refused on a disk that is 90 % full.
    pub new_work: bool,
    /// Lines that the operation shall show from its beginning.
    pub details: Vec<String>,
}

impl Deed {
    /// A deed that is new work.
    pub fn new(verb: impl Into<String>, subject: impl ToString) -> Self {
        Self { verb: verb.into(), subject: subject.to_string(), new_work: true, details: Vec::new() }
    }

    /// A deed that makes room, or takes none.
    pub fn light(verb: impl Into<String>, subject: impl ToString) -> Self {
        Self { new_work: false, ..Self::new(verb, subject) }
    }

    /// An empty batch for it.
    pub fn batch(&self, caller: &Caller) -> Batch {
        let batch = Batch::new(Some(caller.name.clone()));
        if self.new_work { batch.new_work() } else { batch }
    }

    /// The same, which holds only if all that was read is still so.
    pub fn held(&self, caller: &Caller, reads: &Reads) -> Batch {
        let mut batch = self.batch(caller);
        reads.require(&mut batch, &BTreeSet::new());
        batch
    }

    /// Writes what the planner decided. The batch may hold more that belongs to it.
    pub async fn done(
        self,
        state: &ApiState,
        caller: &Caller,
        edit: Edit,
        reads: &Reads,
        mut batch: Batch,
    ) -> Result<Accepted, StoreError> {
        let idle = edit.is_empty() && batch.is_empty();
        let operation = self.operation(state, caller, &edit);
        put_edit(&mut batch, &edit, reads);
        hold_releases(state, &mut batch, &edit)?;
        if let Some(operation) = &operation {
            batch.put(operation, Expect::Absent);
        }
        batch.audit(&self.verb, &self.subject, if idle { "nothing changes" } else { "done" });
        state.store.commit_async(batch).await?;
        let message = if idle {
            format!("{}: nothing changes", self.subject)
        } else {
            format!("{} of {} is under way", self.verb, self.subject)
        };
        Ok(Accepted { operation: operation.map(|o| o.id), message })
    }

    /// The operation to watch; none where nothing is to be waited for.
    fn operation(&self, state: &ApiState, caller: &Caller, edit: &Edit) -> Option<Operation> {
        (!edit.goals.is_empty()).then(|| self.begin(state, caller, &edit.goals))
    }

    fn begin(&self, state: &ApiState, caller: &Caller, waits: &[Goal]) -> Operation {
        Operation {
            id: OperationId(state.ids.id()),
            verb: self.verb.clone(),
            subject: self.subject.clone(),
            actor: caller.name.clone(),
            waits: waits.to_vec(),
            state: OperationState::Running,
            code: None,
            message: String::new(),
            details: self.details.clone(),
            started_at: state.now(),
            ended_at: None,
            held_until: None,
        }
    }

    /// Writes an operation at which the controller works itself. The batch may hold more that belongs to it.
    pub async fn hold(
        self,
        state: &ApiState,
        caller: &Caller,
        within: Span,
        mut batch: Batch,
    ) -> Result<Operation, StoreError> {
        let operation = self.begin(state, caller, &[]);
        let held_until = Some(operation.started_at + within.ms());
        let operation = Operation { held_until, ..operation };
        batch.put(&operation, Expect::Absent);
        batch.audit(&self.verb, &self.subject, "done");
        state.store.commit_async(batch).await?;
        Ok(operation)
    }

    /// Writes tasks, and the operation that ends with them. The batch may hold more that belongs to it.
    pub async fn order(
        self,
        state: &ApiState,
        caller: &Caller,
        tasks: Vec<NodeTask>,
        mut batch: Batch,
    ) -> Result<Accepted, StoreError> {
        let operation = self.begin(state, caller, &[]);
        batch.put(&operation, Expect::Absent);
        for task in tasks {
            batch.put(&NodeTask { operation: Some(operation.id), ..task }, Expect::Absent);
        }
        batch.audit(&self.verb, &self.subject, "done");
        state.store.commit_async(batch).await?;
        let message = format!("{} of {} is under way", self.verb, self.subject);
        Ok(Accepted { operation: Some(operation.id), message })
    }

    /// Notes in the audit log, and does nothing else.
    pub async fn only(self, state: &ApiState, mut batch: Batch) -> Answer<Committed> {
        batch.audit(&self.verb, &self.subject, "done");
        Ok(state.store.commit_async(batch).await?)
    }
}

/// Does it again, where another writer came between reading and writing.
pub(crate) async fn again<T, F>(mut once: impl FnMut() -> F) -> Answer<T>
where
    F: Future<Output = Answer<T>>,
{
    for _ in 1..TRIES {
        match once().await {
            Err(refusal) if refusal.is_overtaken() => {}
            answer => return answer,
        }
    }
    once().await
}

/// None of the releases that new revisions have goes meanwhile.
fn hold_releases(state: &ApiState, batch: &mut Batch, edit: &Edit) -> Result<(), StoreError> {
    for key in edit.revisions.iter().map(|revision| &revision.spec.release).filter(|key| !key.is_empty()) {
        let row = state.store.get::<Release>(key)?;
        let gone = || StoreError::Conflict { kind: Release::KIND.into(), key: key.clone() };
        batch.require(Release::KIND, key, Expect::Rev(row.ok_or_else(gone)?.rev));
    }
    Ok(())
}

fn put_edit(batch: &mut Batch, edit: &Edit, reads: &Reads) {
    let mut written = BTreeSet::new();
    put_all(batch, edit.application.as_slice(), reads, &mut written);
    put_all(batch, &edit.services, reads, &mut written);
    put_all(batch, &edit.families, reads, &mut written);
    put_all(batch, &edit.revisions, reads, &mut written);
    reads.require(batch, &written);
    for event in &edit.events {
        batch.event(event.clone());
    }
}

// Of two statements about one row, the later one holds.
fn put_all<T: Object>(
    batch: &mut Batch,
    values: &[T],
    reads: &Reads,
    written: &mut BTreeSet<(&'static str, String)>,
) {
    for value in values.iter().rev() {
        if written.insert((T::KIND, value.key())) {
            batch.put(value, reads.expect(value));
        }
    }
}
