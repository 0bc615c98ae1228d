//! Verbs on nodes: asked for here, carried to hosts as tasks by the engine.

use crate::ask::{Ask, At};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::document::Verb;
use lace_model::node::NodeStatus;
use lace_model::target::Want;
use lace_model::task::{NewTask, NodeTask};
use lace_model::{Code, OperationId, Span, TargetPath, TaskId};
use lace_planner::RESTART_WITHIN;
use lace_wire::api::Accepted;
use serde::Deserialize;

/// A signal that was not sent within this time is not sent later: nobody expects it any more.
const SIGNAL_WITHIN: Span = Span::secs(10);
/// Tasks of one answer, the newest.
const LISTED_MAX: usize = 500;

/// `?target=` and `?operation=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskAsk {
    pub target: Option<TargetPath>,
    pub operation: Option<OperationId>,
}

/// `GET /v1/tasks`: the newest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TaskAsk>,
) -> Answer<Json<Vec<NodeTask>>> {
    if let Some(target) = &ask.target {
        caller.touches(&target.app)?;
    }
    let rows = state.store.snapshot_async(|view| view.list::<NodeTask>("")).await?;
    let asked = |task: &NodeTask| {
        caller.sees(&task.path.family.app)
            && ask.target.as_ref().is_none_or(|t| t.covers_node(&task.path))
            && ask.operation.is_none_or(|id| task.operation == Some(id))
    };
    let mut found: Vec<_> = rows.into_iter().map(|row| row.value).filter(asked).collect();
    found.sort_by_key(|task| std::cmp::Reverse((task.created_at, task.id)));
    found.truncate(LISTED_MAX);
    Ok(Json(found))
}

/// `GET /v1/tasks/{id}`.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    At(id): At<TaskId>,
) -> Answer<Json<NodeTask>> {
    let row = state.store.get::<NodeTask>(&id.to_string())?;
    let task = row.ok_or_else(|| Refusal::not_found(format_args!("task {id}")).hint("lace op list"))?.value;
    caller.touches(&task.path.family.app)?;
    Ok(Json(task))
}

/// The process of one node, in place. Of a family it is the planner who restarts, some at a time.
pub(crate) async fn restart(state: &ApiState, caller: &Caller, target: &TargetPath) -> Answer<Accepted> {
    order(state, caller, target, Deed::new("restart", target), Verb::Restart).await
}

/// A signal to every running process under a target.
pub(crate) async fn signal(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    name: &str,
) -> Answer<Accepted> {
    let Some(signal) = lace_model::signal::number(name) else {
        let known: Vec<_> = lace_model::signal::SIGNALS.iter().map(|(name, _)| *name).collect();
        let hint = format!("write one of {}", known.join(", "));
        return Err(Refusal::usage(format!("there is no signal {name:?}")).hint(hint));
    };
    order(state, caller, target, Deed::light("signal", target), Verb::Signal { signal }).await
}

async fn order(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    deed: Deed,
    verb: Verb,
) -> Answer<Accepted> {
    let scene = Scene::load(state, target).await?;
    if target.index.is_some() {
        scene.one_family(target)?;
    }
    let within = if verb == Verb::Restart { RESTART_WITHIN } else { SIGNAL_WITHIN };
    let tasks = tasks(state, caller, &scene, target, &Wish { verb, within })?;
    let batch = deed.held(caller, &scene.reads);
    Ok(deed.order(state, caller, tasks, batch).await?)
}

/// What nodes are to do, and within what time they have to begin.
pub(crate) struct Wish {
    pub verb: Verb,
    pub within: Span,
}

/// A task for each running node under a target, in the order of their places.
///
/// # Errors
/// Where no node is there.
pub(crate) fn tasks(
    state: &ApiState,
    caller: &Caller,
    scene: &Scene,
    target: &TargetPath,
    wish: &Wish,
) -> Answer<Vec<NodeTask>> {
    let now = state.now();
    let families = scene.families(target).map(|(_, family)| &family.path);
    let mut tasks = Vec::new();
    for family in families.filter_map(|path| scene.targets.get(path)) {
        for node in family.nodes.iter().filter(|n| n.want == Want::Run) {
            let path = family.family.node(node.index);
            if !target.covers_node(&path) {
                continue;
            }
            let status = state.store.get::<NodeStatus>(&node.id.to_string())?;
            let task = NewTask {
                id: TaskId(state.ids.id()),
                path,
                node: node.id,
                host: node.host,
                verb: wish.verb.clone(),
                within: wish.within,
                restarts: status.map_or(0, |row| row.value.restarts),
                actor: caller.name.clone(),
            };
            tasks.push(task.queued(now));
        }
    }
    if tasks.is_empty() {
        return Err(none(target));
    }
    tasks.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tasks)
}

pub(crate) fn none(target: &TargetPath) -> Refusal {
    match target.index {
        Some(_) => Refusal::not_found(format_args!("node {target}")).hint("lace node list"),
        None => Refusal::new(Code::Conflict, format!("no node of {target} is there"))
            .hint(format!("lace why {target}")),
    }
}
