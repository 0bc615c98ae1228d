//! The work of one backup, or of one way back, until its operation ends.

use super::Asked;
use super::copy::{self, Copy};
use crate::release::put_tree;
use crate::state::ApiState;
use lace_model::backup::{BACKUP_FILE, Backup};
use lace_model::event::NewEvent;
use lace_model::operation::{Operation, OperationState};
use lace_model::release::{Tree, TreeEntry, TreeNode};
use lace_model::{BackupId, ByteSize, Code, Problem, Span};
use lace_store::{Batch, Expect, StoreError};
use std::pin::Pin;
use std::time::Duration;

/// Between two looks whether somebody cancelled it.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// What the work came to: a sentence, and a backup that shall be kept.
pub(super) struct Made {
    said: String,
    backup: Option<Backup>,
}

type Work = Pin<Box<dyn Future<Output = Result<Made, Problem>> + Send>>;

/// Works until the work, the time or the wish for it ends.
pub(super) fn begin(
    state: ApiState,
    held: Operation,
    within: Span,
    work: impl FnOnce(ApiState, Operation) -> Work,
) {
    let work = work(state.clone(), held.clone());
    tokio::spawn(async move {
        let late = || Problem::new(Code::Error, format!("it took longer than {within}"));
        let ended = tokio::select! {
            made = work => made,
            () = tokio::time::sleep(Duration::from_millis(within.0)) => Err(late()),
            () = cancelled(&state, &held) => return,
        };
        if let Err(error) = end(&state, &held, ended).await {
            tracing::warn!(%error, operation = %held.id, "the end of a copy could not be written");
        }
    });
}

/// Returns when the operation is no longer there to be worked at.
async fn cancelled(state: &ApiState, held: &Operation) {
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        let row = state.store.get::<Operation>(&held.id.to_string());
        if row.is_ok_and(|row| row.is_none_or(|row| row.value.state != OperationState::Running)) {
            return;
        }
    }
}

/// Writes how it ended; one that was cancelled meanwhile leaves nothing.
async fn end(state: &ApiState, held: &Operation, ended: Result<Made, Problem>) -> Result<(), StoreError> {
    let Some(row) = state.store.get::<Operation>(&held.id.to_string())? else { return Ok(()) };
    if row.value.state != OperationState::Running {
        return Ok(());
    }
    let mut batch = Batch::new(Some(held.actor.clone()));
    let mut operation = row.value;
    operation.ended_at = Some(state.now());
    let kind = match ended {
        Ok(made) => {
            if let Some(backup) = &made.backup {
                batch.put(backup, Expect::Absent);
            }
            (operation.state, operation.message) = (OperationState::Done, made.said);
            "operation.done"
        }
        Err(problem) => {
            (operation.state, operation.code) = (OperationState::Failed, Some(problem.code));
            operation.message = problem.message;
            operation.details.extend(problem.details);
            "operation.failed"
        }
    };
    let told = format!("{}: {}", operation.verb, operation.message);
    batch.event(NewEvent::new(kind, &operation.subject, told).by(&operation.actor));
    batch.put(&operation, Expect::Rev(row.rev));
    state.store.commit_async(batch).await.map(drop)
}

/// The service's script writes, the controller keeps.
pub(super) async fn backup(state: ApiState, held: Operation, all: Vec<Asked>) -> Result<Made, Problem> {
    let mark = state.ids.secret().map_err(|e| Problem::new(Code::Error, format!("no random mark: {e}")))?;
    let mark = lace_model::Digest(mark).to_string();
    let mut last = None;
    for asked in all {
        match copy::out(&state, &asked, &mark).await {
            Ok(copy) => return kept(&state, held, asked, copy).await,
            Err(fault) if fault.elsewhere => last = Some(fault.problem),
            Err(fault) => return Err(fault.problem),
        }
    }
    Err(last.unwrap_or_else(nobody))
}

fn nobody() -> Problem {
    Problem::new(Code::Conflict, "no node can be asked now")
}

async fn kept(state: &ApiState, held: Operation, asked: Asked, copy: Copy) -> Result<Made, Problem> {
    let Copy { chunks, bytes } = copy;
    if bytes == 0 {
        let text = format!("{} wrote nothing", asked.script.file);
        return Err(Problem::new(Code::Error, text).hint("its script has to write the copy to its output"));
    }
    let node = TreeNode::File { size: bytes, executable: false, chunks };
    let tree = Tree { entries: vec![TreeEntry { path: BACKUP_FILE.into(), node }] };
    let store = state.store.clone();
    let tree = tokio::task::spawn_blocking(move || put_tree(store.blobs(), &tree)).await;
    let tree = tree.map_err(|e| Problem::new(Code::Error, e.to_string()))?;
    let tree = tree.map_err(|refusal| refusal.problem().clone())?;
    let backup = Backup {
        id: BackupId(held.id.0),
        service: asked.service,
        package: asked.used.name,
        version: asked.used.version,
        tree,
        bytes,
        made_at: state.now(),
        made_by: held.actor,
        node: asked.path,
    };
    let size = ByteSize(bytes).human();
    let said = format!("backup {} holds {size}, written by {}", backup.id, backup.node.short());
    Ok(Made { said, backup: Some(backup) })
}

/// The controller sends, the service's script takes.
pub(super) async fn restore(state: ApiState, all: Vec<Asked>, backup: Backup) -> Result<Made, Problem> {
    let mut last = None;
    for asked in all {
        match copy::back(&state, &asked, &backup).await {
            Ok(()) => {
                let (size, node) = (ByteSize(backup.bytes).human(), asked.path.short());
                return Ok(Made {
                    said: format!("{node} has taken backup {} ({size})", backup.id),
                    backup: None,
                });
            }
            Err(fault) if fault.elsewhere => last = Some(fault.problem),
            Err(fault) => return Err(fault.problem),
        }
    }
    Err(last.unwrap_or_else(nobody))
}
