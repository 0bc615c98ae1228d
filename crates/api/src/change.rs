//! Before nodes give way to another revision: a package may want them asked, so that nobody cuts their work off unawares.
//!
//! What people ask for waits for a yes; what Lace does by itself, such as the way back from a bad revision, does not. A node that
//! does not answer holds nobody up: else nothing could be mended that keeps it from answering.

use crate::action::{QUESTION_TIMEOUT, Turn, WITHIN, answers, refuse_busy};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::scene::Scene;
use crate::state::ApiState;
use crate::task::{Wish, none, tasks};
use lace_model::document::{ActionRun, Verb};
use lace_model::family::Service;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::object::{Object, revision_key};
use lace_model::revision::Revision;
use lace_model::task::{NodeTask, TaskState};
use lace_model::{Code, Name, Problem, TargetPath};
use lace_planner::Edit;
use lace_store::{Batch, Expect};
use std::collections::BTreeMap;

/// What the script finds in LACE_VERB.
const VERB: &str = "change";

/// Refuses an edit that gives services another revision while their nodes say no. Held until the edit is written, what it
/// returns keeps everybody else from beginning what it would cut off.
///
/// # Errors
/// A conflict, with what each of these nodes says.
pub(crate) async fn refuse_to_cut(state: &ApiState, caller: &Caller, edit: &Edit) -> Answer<Vec<Turn>> {
    let mut turns = Vec::new();
    for service in &edit.services {
        if let Some((number, question)) = question(state, service)? {
            turns.push(state.turns.take(&service.path)?);
            ask(state, caller, service, (number, question)).await?;
        }
    }
    Ok(turns)
}

/// The revision that a service has, and what its nodes are asked before another one comes.
fn question(state: &ApiState, changed: &Service) -> Answer<Option<(u64, ActionRun)>> {
    let Some(row) = state.store.get::<Service>(&changed.key())? else { return Ok(None) };
    let number = row.value.revision;
    if number == changed.revision {
        return Ok(None);
    }
    let revision = state.store.get::<Revision>(&revision_key(&changed.path, number))?;
    let Some(used) = revision.and_then(|row| row.value.spec.package) else { return Ok(None) };
    let package = crate::package::pinned(state.store.blobs(), &used.tree)?;
    let Some(file) = package.change_if_all else { return Ok(None) };
    let (name, timeout) = (Name::new(VERB)?, QUESTION_TIMEOUT);
    let (env, secrets) = (BTreeMap::new(), BTreeMap::new());
    Ok(Some((number, ActionRun { name, tree: used.tree, file, timeout, env, secrets })))
}

async fn ask(
    state: &ApiState,
    caller: &Caller,
    service: &Service,
    (number, question): (u64, ActionRun),
) -> Answer<()> {
    refuse_busy(state, &service.path)?;
    let target: TargetPath = service.path.to_string().parse()?;
    let scene = Scene::load(state, &target).await?;
    let wish = Wish { verb: Verb::Action(Box::new(question)), within: WITHIN };
    let mut asked = match tasks(state, caller, &scene, &target, &wish) {
        Ok(asked) => asked,
        // A service that is stopped has no nodes.
        Err(refusal) if refusal == none(&target) => return Ok(()),
        Err(refusal) => return Err(refusal),
    };
    let mut runs = Vec::new();
    for task in &asked {
        let status = state.store.get::<NodeStatus>(&task.node.to_string())?.map(|row| row.value);
        runs.push(status.is_some_and(|s| s.phase == NodePhase::Running && s.revision == number));
    }
    let mut runs = runs.into_iter();
    asked.retain(|_| runs.next().unwrap_or_default());
    if asked.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new(Some(caller.name.clone()));
    for task in &asked {
        batch.put(task, Expect::Absent);
    }
    state.store.commit_async(batch).await?;
    judge(&answers(state, &asked).await?, service)
}

fn judge(answers: &[NodeTask], service: &Service) -> Answer<()> {
    let no = answers.iter().filter(|task| task.state == TaskState::Failed);
    let said = |task: &NodeTask| {
        format!("{}: {}", task.path.short(), task.cause.as_deref().unwrap_or("it gives no reason"))
    };
    let lines: Vec<String> = no.map(said).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let text = format!("{} cannot change now: {} of its nodes say no", service.path, lines.len());
    Err(Problem::new(Code::Conflict, text).hint("try again when what they say is done").details(lines).into())
}
