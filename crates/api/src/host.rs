//! Hosts: listed, drained, removed.

use crate::ask::{Ask, At, Doc};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::room::Room;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::event::NewEvent;
use lace_model::host::Host;
use lace_model::machine::{Machine, MachineState};
use lace_model::target::Target;
use lace_model::{Code, Name};
use lace_store::{Expect, Row};
use lace_wire::api::{Accepted, HostRequest, HostView};
use serde::Deserialize;

/// `?force`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForceAsk {
    /// Although it carries nodes.
    #[serde(default)]
    pub force: bool,
}

/// `GET /v1/hosts`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<HostView>>> {
    let read = |view: &lace_store::View<'_>| Ok((view.list::<Host>("")?, Room::read(view)?));
    let (mut rows, room) = state.store.snapshot_async(read).await?;
    rows.sort_by(|a, b| a.value.name.cmp(&b.value.name));
    let view = |host: Host| {
        let used = room.used(host.id);
        HostView {
            liveness: state.liveness.liveness(host.id),
            nodes: used.nodes,
            cpu_used: used.cpu.0,
            memory_used: used.memory.0,
            host,
        }
    };
    Ok(Json(rows.into_iter().map(|row| view(row.value)).collect()))
}

/// `POST /v1/hosts/{name}/drain`.
pub(crate) async fn drain(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<Accepted>> {
    let told = "no new nodes; those that are here move away";
    again(|| change(&state, &caller, &name, ("drain", told), |host| host.draining = true)).await
}

/// `POST /v1/hosts/{name}/undrain`.
pub(crate) async fn undrain(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<Accepted>> {
    let told = "it takes nodes again";
    again(|| change(&state, &caller, &name, ("undrain", told), |host| host.draining = false)).await
}

/// `PUT /v1/hosts/{name}`.
pub(crate) async fn set(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<HostRequest>,
) -> Answer<Json<Accepted>> {
    let Some(said) = request.pool else {
        return Err(Refusal::usage(format!("nothing is said of host {name}")).hint("--pool NAME"));
    };
    let pool = match said.as_str() {
        "" => None,
        text => {
            let pool = Name::new(text).map_err(|e| Refusal::usage(e.to_string()))?;
            Some(crate::pool::by_name(&state, &pool)?.value.name)
        }
    };
    let told = pool.as_ref().map_or_else(|| "in no pool".to_owned(), |pool| format!("in pool {pool}"));
    again(|| change(&state, &caller, &name, ("set", &told), |host| host.pool.clone_from(&pool))).await
}

/// `DELETE /v1/hosts/{name}`.
pub(crate) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Ask(ask): Ask<ForceAsk>,
) -> Answer<Json<Accepted>> {
    let host = by_name(&state, &name)?.value;
    let carries = state.store.list::<Target>("")?;
    let carries = carries.iter().flat_map(|t| &t.value.nodes).filter(|n| n.host == host.id).count();
    if carries > 0 && !ask.force {
        return Err(Refusal::new(Code::Conflict, format!("host {name} carries {carries} nodes"))
            .hint(format!("move them first: lace host drain {name}; or remove it with --force")));
    }
    if ask.force && !state.liveness.liveness(host.id).connected {
        return again(|| forget(&state, &caller, &name, carries)).await;
    }
    let told = if carries > 0 { "being removed; its nodes are replaced elsewhere" } else { "being removed" };
    again(|| {
        change(&state, &caller, &name, ("remove", told), |host| {
            (host.draining, host.removing) = (true, true);
        })
    })
    .await
}

/// A host that does not answer is forgotten at once; the planner takes its nodes for lost. Where it was had from a pool, its
/// machine goes back: nothing is paid for that nobody sees any more.
async fn forget(state: &ApiState, caller: &Caller, name: &Name, carries: usize) -> Answer<Json<Accepted>> {
    let row = by_name(state, name)?;
    let subject = format!("host/{name}");
    let id = row.value.id.to_string();
    let mut told = format!("removed without an answer from it; {carries} nodes on it are abandoned");
    let deed = Deed::light("remove --force", &subject);
    let mut batch = deed.batch(caller);
    batch.delete::<Host>(&id, Expect::Rev(row.rev));
    if let Some(Row { value, rev }) = state.store.get::<Machine>(&id)? {
        told.push_str(&format!("; its machine goes back to pool {}", value.pool));
        batch.put(&value.now(MachineState::Leaving, state.now()), Expect::Rev(rev));
    }
    batch.event(NewEvent::new("host.removed", &subject, &told));
    deed.only(state, batch).await?;
    Ok(Json(Accepted { operation: None, message: format!("host {name}: {told}") }))
}

fn by_name(state: &ApiState, name: &Name) -> Answer<Row<Host>> {
    let found = state.store.list::<Host>("")?.into_iter().find(|row| row.value.name == *name);
    found.ok_or_else(|| Refusal::not_found(format_args!("host {name}")).hint("lace host list"))
}

async fn change(
    state: &ApiState,
    caller: &Caller,
    name: &Name,
    (verb, told): (&str, &str),
    set: impl Fn(&mut Host),
) -> Answer<Json<Accepted>> {
    let Row { value: mut host, rev } = by_name(state, name)?;
    set(&mut host);
    let subject = format!("host/{name}");
    let deed = Deed::light(verb, &subject);
    let mut batch = deed.batch(caller);
    batch.put(&host, Expect::Rev(rev));
    batch.event(NewEvent::new(format!("host.{verb}"), &subject, told));
    deed.only(state, batch).await?;
    Ok(Json(Accepted { operation: None, message: format!("host {name}: {told}") }))
}
