//! `why`: everything that is known about why something is as it is. The sentences are the planner's.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::room::Room;
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::TargetPath;
use lace_model::family::Service;
use lace_planner::{HostView, explain, obtaining_told};
use lace_wire::api::Explanation;

/// `GET /v1/why`.
pub(crate) async fn explain_target(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Explanation>> {
    let target = ask.required()?;
    let world = World::load(&state, Some(&target), &caller).await?;
    let room = state.store.snapshot_async(Room::read).await?;
    let hosts: Vec<HostView> = world
        .hosts
        .values()
        .map(|host| HostView {
            host: host.clone(),
            liveness: state.liveness.liveness(host.id),
            used: room.used(host.id),
            taken: room.taken(host.id),
            ports: Default::default(),
            missing: Vec::new(),
            pool: host.pool.as_ref().and_then(|pool| world.pools.get(pool)).cloned(),
        })
        .collect();
    let view = lace_planner::explain::World {
        families: &world.families,
        targets: &world.targets,
        observed: &world.observed,
        hosts: &hosts,
        now: world.now,
    };
    let mut lines = explain(&target, &view);
    lines.extend(certificates(&world, &target));
    Ok(Json(Explanation { target: target.to_string(), lines }))
}

/// What is known of certificates that the target's routes have not, or that could not be renewed.
fn certificates(world: &World, target: &TargetPath) -> Vec<String> {
    let is_meant =
        |service: &&Service| target.service.as_ref().is_none_or(|name| *name == service.path.service);
    let services = world.services.values().filter(is_meant).filter(|_| target.index.is_none());
    let mut lines: Vec<String> = services
        .flat_map(|service| service.spec.routes.iter().flatten().map(move |route| (service, route)))
        .filter_map(|(service, route)| {
            let app = world.apps.get(&service.path.app)?;
            let known = app.obtaining.iter().find(|o| Some(&o.host) == route.host.as_ref())?;
            Some(obtaining_told(known, world.now))
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}
