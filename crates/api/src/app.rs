//! Applications: made empty, listed, deleted.

pub(crate) use crate::rename::rename;

use crate::ask::{Ask, At};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::verb;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::authority::INSTALLATION;
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::{AppName, Code, TargetPath};
use lace_store::Expect;
use lace_wire::api::{Accepted, AppSummary};
use serde::Deserialize;

/// `?force&delete_data`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteAsk {
    /// End even if hosts do not answer.
    #[serde(default)]
    pub force: bool,
    /// Volumes too.
    #[serde(default)]
    pub delete_data: bool,
}

/// `GET /v1/apps`.
pub(crate) async fn list(State(state): State<ApiState>, caller: Caller) -> Answer<Json<Vec<AppSummary>>> {
    let world = World::load(&state, None, &caller).await?;
    Ok(Json(world.apps.values().map(|app| summary(&world, app)).collect()))
}

fn summary(world: &World, app: &Application) -> AppSummary {
    let lines = world.lines_of(&app.name);
    AppSummary {
        name: app.name.clone(),
        health: world.health_of(&lines),
        services: world.services.keys().filter(|s| s.app == app.name).count(),
        ready: lines.iter().map(|l| l.ready).sum(),
        wanted: lines.iter().map(|l| l.wanted).sum(),
        created_at: app.created_at,
    }
}

/// `POST /v1/apps/{app}`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    At(app): At<AppName>,
) -> Answer<Json<Application>> {
    crate::provider::refuse_reserved(&app)?;
    may_be_called(&app)?;
    if let Some(row) = state.store.get::<Application>(app.as_str())? {
        let refusal = Refusal::new(Code::Conflict, format!("there is an application {app} already"));
        let hint = if row.value.deleting {
            "it is being deleted: wait until it is gone"
        } else {
            "choose another name"
        };
        return Err(refusal.hint(hint));
    }
    let made = Application::new(app.clone(), state.now());
    let deed = Deed::new("create", &app);
    let mut batch = deed.batch(&caller);
    batch.put(&made, Expect::Absent);
    batch.event(NewEvent::new("app.created", &app, "made").by(caller.name));
    deed.only(&state, batch).await?;
    Ok(Json(made))
}

/// One name is the installation's own.
pub(crate) fn may_be_called(app: &AppName) -> Answer<()> {
    if app.as_str() == INSTALLATION {
        let message = format!("no application can be called {app}: that is the installation's own name");
        return Err(Refusal::usage(message).hint("choose another name"));
    }
    Ok(())
}

/// `DELETE /v1/apps/{app}`.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(app): At<AppName>,
    Ask(ask): Ask<DeleteAsk>,
) -> Answer<Json<Accepted>> {
    let target = TargetPath { app, service: None, family: None, index: None };
    let how = verb::Delete { force: ask.force, delete_data: ask.delete_data };
    Ok(Json(again(|| verb::delete(&state, &caller, &target, how)).await?))
}
