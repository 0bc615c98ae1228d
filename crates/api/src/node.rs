//! Nodes: where they are, how they are, what they use.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::target::Want;
use lace_model::{FamilyPath, Millis, NodePath, TargetPath};
use lace_wire::api::{NodeView, UsageHistory, UsageView};
use serde::Deserialize;

/// `?target=&host=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodesAsk {
    target: Option<TargetPath>,
    host: Option<String>,
}

/// `GET /v1/nodes`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<NodesAsk>,
) -> Answer<Json<Vec<NodeView>>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    let all = world.families.keys().flat_map(|path| world.views(&state, path));
    let there = |view: &NodeView| {
        is_asked(ask.target.as_ref(), &view.status.path)
            && ask.host.as_ref().is_none_or(|host| view.host == *host)
    };
    Ok(Json(all.filter(there).collect()))
}

fn is_asked(target: Option<&TargetPath>, path: &NodePath) -> bool {
    target.is_none_or(|t| t.covers_node(path))
}

/// `GET /v1/usage`: nodes that were heard of, with their age.
pub(crate) async fn usage(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<UsageView>>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    let limits = |family: &FamilyPath| {
        let revision = world.revisions.get(&family.service_path());
        revision.map(|r| r.spec.limits_of(&family.family).clone()).unwrap_or_default()
    };
    let mut views = Vec::new();
    for (path, node) in
        world.planned().filter(|(p, n)| n.want == Want::Run && is_asked(ask.target.as_ref(), p))
    {
        let Some(sample) = state.liveness.usage(node.id) else { continue };
        views.push(UsageView {
            node: node.id,
            host: world.host_name(node.host),
            cpu_millis: sample.cpu_millis,
            memory: sample.usage.memory,
            pids: sample.usage.pids,
            restarts: world.observed.get(&node.id).map_or(0, |s| s.restarts),
            limits: limits(&path.family),
            age_ms: sample.age_ms,
            path,
        });
    }
    Ok(Json(views))
}

/// `?target=&since=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryAsk {
    target: TargetPath,
    #[serde(default)]
    since: Millis,
}

/// `GET /v1/usage/history`.
pub(crate) async fn usage_history(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<HistoryAsk>,
) -> Answer<Json<UsageHistory>> {
    if ask.target.index.is_none() {
        return Err(Refusal::usage(format!("{} is not a node", ask.target)).hint("write APP/SERVICE/N"));
    }
    let world = World::load(&state, Some(&ask.target), &caller).await?;
    let found = world.planned().find(|(p, n)| n.want == Want::Run && ask.target.covers_node(p));
    let (path, node) = found
        .ok_or_else(|| Refusal::not_found(format_args!("node {}", ask.target)).hint("lace node list"))?;
    let mut points = state.liveness.usage_history(node.id);
    points.retain(|point| point.at > ask.since);
    Ok(Json(UsageHistory { path, node: node.id, points }))
}
