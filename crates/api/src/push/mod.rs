//! Releases that come by git push: which keys may send them, where to, and what becomes of what they send.
//!
//! Who connects and what git does with it is another room's. Here a key is kept with its service, and a commit becomes a
//! release of it: never put to use by its name alone, and at once only where its key says so.

mod line;
mod take;

pub use take::{PushedCode, Pushes, TakenPush, enable_push, take_push};

use crate::ask::{Ask, Doc, TargetAsk};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::family::Service;
use lace_model::push::{self, KEYS_MAX, PushKey};
use lace_model::{Code, Name, ServicePath, TargetPath};
use lace_store::{Expect, Row};
use lace_wire::api::{Accepted, KeyRequest, PushView};
use serde::Deserialize;

/// `GET /v1/pushes`.
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<PushView>> {
    let target = ask.required()?;
    caller.touches(&target.app)?;
    let row = found(&state, &service_path(&target)?)?;
    Ok(Json(view(&state, &row.value)))
}

/// `POST /v1/keys`: the same key again changes whether what it pushes is put to use at once.
pub(crate) async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<KeyRequest>,
) -> Answer<Json<PushView>> {
    caller.touches(&request.target.app)?;
    let path = service_path(&request.target)?;
    let line = line::read(&request.key)?;
    Ok(Json(again(|| add_once(&state, &caller, &path, &request, &line)).await?))
}

async fn add_once(
    state: &ApiState,
    caller: &Caller,
    path: &ServicePath,
    request: &KeyRequest,
    line: &line::KeyLine,
) -> Answer<PushView> {
    let Row { mut value, rev } = found(state, path)?;
    let fresh = || push::Pushes { repository: state.ids.id().to_string(), keys: Vec::new() };
    let mut pushes = value.pushes.take().unwrap_or_else(fresh);
    let former = pushes.keys.iter().position(|known| known.key == line.key);
    let former = former.map(|at| pushes.keys.remove(at));
    let name = match (&request.name, &former) {
        (Some(name), _) => name.clone(),
        (None, Some(former)) => former.name.clone(),
        (None, None) => free_name(&line.name(), &pushes.keys),
    };
    if let Some(other) = pushes.keys.iter().find(|known| known.name == name) {
        let text = format!("{path} has another key {name} ({})", other.fingerprint);
        return Err(Refusal::new(Code::Conflict, text).hint("give this one another name: --name NAME"));
    }
    if pushes.keys.len() >= KEYS_MAX {
        return Err(Refusal::new(Code::Conflict, format!("{path} has {KEYS_MAX} keys, which is the most"))
            .hint(format!("lace key remove {path} NAME")));
    }
    let key = PushKey {
        name,
        kind: line.kind.clone(),
        key: line.key.clone(),
        fingerprint: line.fingerprint.clone(),
        auto_enable: request.auto_enable,
        added_at: state.now(),
        added_by: caller.name.clone(),
    };
    let message = format!("key {} ({}) may push releases", key.name, key.fingerprint);
    pushes.keys.push(key);
    value.pushes = Some(pushes);
    let deed = Deed::light("key add", path);
    let mut batch = deed.batch(caller);
    batch.put(&value, Expect::Rev(rev));
    batch.event(NewEvent::new("key.added", path, message).by(&caller.name));
    deed.only(state, batch).await?;
    Ok(view(state, &value))
}

/// The name, with a number behind it where another key has it.
fn free_name(wanted: &Name, keys: &[PushKey]) -> Name {
    let free = |name: &Name| keys.iter().all(|key| key.name != *name);
    let numbered = (2..).filter_map(|n| Name::new(format!("{wanted}-{n}")).ok());
    [wanted.clone()].into_iter().chain(numbered.take(KEYS_MAX)).find(free).unwrap_or_else(|| wanted.clone())
}

/// `?target&name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyAsk {
    /// Of which service.
    target: TargetPath,
    /// Which.
    name: Name,
}

/// `DELETE /v1/keys`. With the last one goes what was pushed before; its releases stay.
pub(crate) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(KeyAsk { target, name }): Ask<KeyAsk>,
) -> Answer<Json<Accepted>> {
    caller.touches(&target.app)?;
    let path = service_path(&target)?;
    again(|| remove_once(&state, &caller, &path, &name)).await.map(Json)
}

async fn remove_once(state: &ApiState, caller: &Caller, path: &ServicePath, name: &Name) -> Answer<Accepted> {
    let Row { mut value, rev } = found(state, path)?;
    let mut pushes = value.pushes.take();
    let keys = pushes.as_mut().map(|pushes| &mut pushes.keys);
    let gone = keys.and_then(|keys| keys.iter().position(|key| key.name == *name).map(|at| keys.remove(at)));
    let gone = gone.ok_or_else(|| {
        Refusal::not_found(format_args!("key {name} of {path}")).hint(format!("lace key list {path}"))
    })?;
    value.pushes = pushes.filter(|pushes| !pushes.keys.is_empty());
    let message = format!("key {name} ({}) may push no more", gone.fingerprint);
    let deed = Deed::light("key remove", path);
    let mut batch = deed.batch(caller);
    batch.put(&value, Expect::Rev(rev));
    batch.event(NewEvent::new("key.removed", path, &message).by(&caller.name));
    deed.only(state, batch).await?;
    Ok(Accepted { operation: None, message: format!("{path}: {message}") })
}

fn view(state: &ApiState, service: &Service) -> PushView {
    let door = state.config.pushes.as_ref();
    PushView {
        url: door.map(|door| format!("{}/{}", door.url, service.path)),
        host_key: door.map(|door| door.host_key.clone()),
        keys: service.pushes.as_ref().map(|pushes| pushes.keys.clone()).unwrap_or_default(),
    }
}

fn service_path(target: &TargetPath) -> Answer<ServicePath> {
    match target {
        TargetPath { app, service: Some(service), family: None, index: None } => {
            Ok(ServicePath { app: app.clone(), service: service.clone() })
        }
        _ => Err(Refusal::usage(format!("{target} is no service: releases are pushed to one"))
            .hint("name it: APP/SERVICE")),
    }
}

fn found(state: &ApiState, path: &ServicePath) -> Answer<Row<Service>> {
    let row = state.store.get::<Service>(&path.to_string())?.filter(|row| !row.value.deleting);
    row.ok_or_else(|| Refusal::not_found(format_args!("service {path}")).hint("lace service list"))
}
