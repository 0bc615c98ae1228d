//! `why`: everything that is known about why something is as it is. The sentences are the planner's.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::room::Room;
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_planner::{HostView, explain};
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
    Ok(Json(Explanation { target: target.to_string(), lines: explain(&target, &view) }))
}
