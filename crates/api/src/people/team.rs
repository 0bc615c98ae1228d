//! Teams: their members are written at the users, so that a request reads as many rows as its user has teams.

use super::{is_room, kind_of, sign_up, team, user, write};
use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::people::{TEAMS_MAX, Team, User};
use lace_model::{Code, Name};
use lace_store::Expect;
use lace_wire::api::{TeamInfo, TeamRequest};
use std::collections::{BTreeMap, BTreeSet};

/// `GET /v1/teams`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<TeamInfo>>> {
    let (teams, users) =
        state.store.snapshot_async(|view| Ok((view.list::<Team>("")?, view.list::<User>("")?))).await?;
    let mut members: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for user in users.into_iter().map(|row| row.value) {
        for team in user.teams {
            members.entry(team).or_default().push(user.name.clone());
        }
    }
    let shown = |Team { name, grants, created_at }: Team| TeamInfo {
        members: members.remove(&name).unwrap_or_default(),
        grants: grants.into_iter().collect(),
        name,
        created_at,
    };
    Ok(Json(teams.into_iter().map(|row| row.value).map(shown).collect()))
}

/// `POST /v1/teams`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(TeamRequest { name }): Doc<TeamRequest>,
) -> Answer<Json<TeamInfo>> {
    is_room::<Team>(&state, "teams")?;
    let team = Team { name, grants: BTreeSet::new(), created_at: state.now() };
    let deed = Deed::new("team added", format!("team/{}", team.name));
    write(&state, &caller, deed, &team, Expect::Absent).await.map_err(|refusal| {
        let message = format!("there is a team {} already", team.name);
        if refusal.is_overtaken() { Refusal::new(Code::Conflict, message) } else { refusal }
    })?;
    let Team { name, created_at, .. } = team;
    Ok(Json(TeamInfo { name, grants: Vec::new(), members: Vec::new(), created_at }))
}

/// `DELETE /v1/teams/{team}`: of one that has no members, so that nobody loses rights unseen.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<StatusCode> {
    let row = team(&state, &name)?;
    let users = state.store.snapshot_async(|view| view.list::<User>("")).await?;
    let members = users.iter().filter(|row| row.value.teams.contains(&name)).count();
    if members > 0 {
        let message = format!("members of team {name} would lose what it is granted: it has {members}");
        return Err(Refusal::new(Code::Conflict, message).hint(format!("lace team leave {name} USER")));
    }
    if sign_up(&state)?.is_some_and(|row| row.value.team.as_ref() == Some(&name)) {
        let message = format!("team {name} is the one that newcomers come into");
        return Err(Refusal::new(Code::Conflict, message).hint("lace user sign-up open, or closed"));
    }
    let deed = Deed::light("team removed", format!("team/{name}"));
    let mut batch = deed.batch(&caller);
    batch.delete::<Team>(name.as_str(), Expect::Rev(row.rev));
    batch.event(NewEvent::new(kind_of(&deed), &deed.subject, "").by(&caller.name));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/teams/{team}/members/{user}`.
pub(crate) async fn join(
    State(state): State<ApiState>,
    caller: Caller,
    At((name, member)): At<(Name, Name)>,
) -> Answer<StatusCode> {
    again(async || {
        let team = team(&state, &name)?;
        let mut row = user(&state, &member)?;
        if !row.value.teams.insert(name.clone()) {
            return Ok(StatusCode::NO_CONTENT);
        }
        if row.value.teams.len() > TEAMS_MAX {
            return Err(Refusal::new(Code::TooLarge, format!("{member} is in {TEAMS_MAX} teams already")));
        }
        let deed = Deed::light("team joined", format!("user/{member}"));
        let mut batch = deed.batch(&caller);
        // Both go on together: the team is still there when its member is written.
        batch.put(&team.value, Expect::Rev(team.rev));
        batch.put(&row.value, Expect::Rev(row.rev));
        batch.event(NewEvent::new(kind_of(&deed), &deed.subject, format!("team {name}")).by(&caller.name));
        deed.only(&state, batch).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `DELETE /v1/teams/{team}/members/{user}`.
pub(crate) async fn leave(
    State(state): State<ApiState>,
    caller: Caller,
    At((name, member)): At<(Name, Name)>,
) -> Answer<StatusCode> {
    again(async || {
        let mut row = user(&state, &member)?;
        if !row.value.teams.remove(&name) {
            return Err(Refusal::not_found(format_args!("{member} in team {name}")).hint("lace team list"));
        }
        let deed = Deed::light("team left", format!("user/{member}"));
        write(&state, &caller, deed, &row.value, Expect::Rev(row.rev)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
