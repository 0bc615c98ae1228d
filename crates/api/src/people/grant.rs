//! Grants: what users and teams may do.

use super::{kind_of, team, user};
use crate::ask::{Ask, Doc};
use crate::caller::{Caller, role_text};
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::people::{GRANTS_MAX, Grant, Grantee, Team, User};
use lace_model::{Code, Object};
use lace_store::{Expect, Row};
use lace_wire::api::GrantLine;
use std::collections::BTreeSet;

/// `GET /v1/grants`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<GrantLine>>> {
    let (teams, users) =
        state.store.snapshot_async(|view| Ok((view.list::<Team>("")?, view.list::<User>("")?))).await?;
    let of_users = users.into_iter().map(|row| (Grantee::User(row.value.name), row.value.grants));
    let of_teams = teams.into_iter().map(|row| (Grantee::Team(row.value.name), row.value.grants));
    let lines = of_users.chain(of_teams).flat_map(|(to, grants)| {
        grants.into_iter().map(move |Grant { role, app }| GrantLine { to: to.clone(), role, app })
    });
    Ok(Json(lines.collect()))
}

/// `POST /v1/grants`.
pub(crate) async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(line): Doc<GrantLine>,
) -> Answer<StatusCode> {
    again(|| change(&state, &caller, &line, true)).await
}

/// `DELETE /v1/grants?to&role&app`.
pub(crate) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(line): Ask<GrantLine>,
) -> Answer<StatusCode> {
    again(|| change(&state, &caller, &line, false)).await
}

async fn change(state: &ApiState, caller: &Caller, line: &GrantLine, adds: bool) -> Answer<StatusCode> {
    match &line.to {
        Grantee::User(name) => {
            set(state, caller, line, adds, user(state, name)?, |user: &mut User| &mut user.grants).await
        }
        Grantee::Team(name) => {
            set(state, caller, line, adds, team(state, name)?, |team: &mut Team| &mut team.grants).await
        }
    }
}

async fn set<T: Object>(
    state: &ApiState,
    caller: &Caller,
    line: &GrantLine,
    adds: bool,
    mut row: Row<T>,
    of: impl Fn(&mut T) -> &mut BTreeSet<Grant>,
) -> Answer<StatusCode> {
    let GrantLine { to, role, app } = line;
    let grant = Grant { role: *role, app: app.clone() };
    let grants = of(&mut row.value);
    if adds && !grants.insert(grant.clone()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    if !adds && !grants.remove(&grant) {
        return Err(Refusal::not_found(format_args!("such grant of {to}")).hint("lace grant list"));
    }
    if grants.len() > GRANTS_MAX {
        return Err(Refusal::new(Code::TooLarge, format!("{to} has {GRANTS_MAX} grants already")));
    }
    let deed = Deed::light(if adds { "grant added" } else { "grant removed" }, to);
    let mut batch = deed.batch(caller);
    batch.put(&row.value, Expect::Rev(row.rev));
    let what = app.as_ref().map_or_else(|| "everything".to_owned(), ToString::to_string);
    let told = format!("{} of {what}", role_text(*role));
    batch.event(NewEvent::new(kind_of(&deed), to, told).by(&caller.name));
    deed.only(state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}
