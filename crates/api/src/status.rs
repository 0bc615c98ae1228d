//! `status`: how applications, families and nodes are, with the age of each fact.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::state::ApiState;
use crate::world::{World, health};
use axum::Json;
use axum::extract::State;
use lace_model::application::{ApplicationSpec, ApplyRequest, ServiceSpec};
use lace_model::change::Action;
use lace_model::family::{Application, Family};
use lace_model::{AppName, ServiceName};
use lace_planner::{ApplyFacts, HealthLine, LiveApplication, LiveService};
use lace_wire::api::{AppStatus, FamilyStatus, Status};
use std::collections::BTreeMap;

/// Differences from what was applied, by service.
type Drift = BTreeMap<ServiceName, Vec<(String, String)>>;

/// `GET /v1/status`.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Status>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    let apps = world.apps.values().map(|app| app_status(&state, &world, app)).collect();
    let connected = |id| state.liveness.liveness(id).connected;
    Ok(Json(Status {
        now: world.now,
        apps,
        hosts_connected: world.hosts.keys().filter(|id| connected(**id)).count(),
        hosts: world.hosts.len(),
        adopt: world.adopt,
    }))
}

fn app_status(state: &ApiState, world: &World, app: &Application) -> AppStatus {
    let drift = drift(state, world, &app.name);
    let families = world.families.values().filter(|f| f.path.app == app.name);
    let (lines, families): (Vec<_>, Vec<_>) = families
        .map(|family| {
            let line = world.line(family);
            (line.clone(), family_status(state, world, family, line, &drift))
        })
        .unzip();
    AppStatus { name: app.name.clone(), health: world.health_of(&lines), families }
}

fn family_status(
    state: &ApiState,
    world: &World,
    family: &Family,
    line: HealthLine,
    drift: &Drift,
) -> FamilyStatus {
    let target = world.targets.get(&family.path);
    let nodes: Vec<_> = world.views(state, &family.path).collect();
    let made_at = target.map_or(0, |t| t.made_at);
    let field = format!("family.{}.", family.path.family);
    let of_service = drift.get(&family.path.service).into_iter().flatten();
    let mine = of_service.filter(|(at, _)| !at.starts_with("family.") || at.starts_with(&field));
    FamilyStatus {
        path: family.path.clone(),
        health: health(line.health),
        message: line.sentence,
        wanted: line.wanted,
        ready: line.ready,
        revision: family.revision,
        release: world.revisions.get(&family.path.service_path()).map(|r| r.spec.title()).unwrap_or_default(),
        running: world.running.get(&family.path).cloned(),
        since: nodes.iter().map(|n| n.status.since).max().unwrap_or(made_at),
        rollout: target.and_then(|t| t.rollout.clone()),
        nodes,
        drift: mine.map(|(_, text)| text.clone()).collect(),
    }
}

/// What the planner calls drift when nothing new is wanted.
fn drift(state: &ApiState, world: &World, app: &AppName) -> Drift {
    let live = live(world, app);
    let services = live.services.keys().map(|name| (name.clone(), ServiceSpec::default())).collect();
    let request = ApplyRequest {
        app: app.clone(),
        spec: ApplicationSpec { services },
        prune: false,
        delete_data: false,
        plan: None,
    };
    let facts = ApplyFacts { now: world.now, seed: state.seed(), may_isolate: true, ..Default::default() };
    // An application that cannot be planned (it is being deleted, say) has no drift to tell.
    let Ok(outcome) = lace_planner::apply(&live, &request, &facts) else { return Drift::new() };
    let mut drift = Drift::new();
    for change in outcome.plan.changes.into_iter().filter(|c| c.action == Action::Drift) {
        let Some(service) = change.service else { continue };
        let (applied, now) = (change.from.unwrap_or_default(), change.to.unwrap_or_default());
        let text = format!("{}: {now} live, {applied} applied", change.field);
        drift.entry(service).or_default().push((change.field, text));
    }
    drift
}

fn live(world: &World, app: &AppName) -> LiveApplication {
    let mut live = LiveApplication { app: world.apps.get(app).cloned(), ..Default::default() };
    for service in world.services.values().filter(|s| s.path.app == *app) {
        let revisions =
            world.revisions.get(&service.path).map(|r| (r.number, r.clone())).into_iter().collect();
        let families = world.families.values().filter(|f| f.path.service_path() == service.path);
        let families = families.map(|f| (f.path.family.clone(), f.clone())).collect();
        let name = service.path.service.clone();
        live.services.insert(name, LiveService { service: service.clone(), families, revisions });
    }
    live
}
