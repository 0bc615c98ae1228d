//! Users: made by an admin, who never knows their password, or by themselves where that is open.

use super::{end_sessions, is_room, kind_of, team, write};
use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::limit::LINK_MS;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::token::{self, NewToken};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lace_model::event::NewEvent;
use lace_model::people::{GRANTS_MAX, TEAMS_MAX, User, check_password};
use lace_model::token::{Role, Token};
use lace_model::{Code, Name};
use lace_store::{Batch, Expect};
use lace_wire::api::{PasswordRequest, TokenMade, UserInfo, UserMade, UserRequest};
use std::collections::BTreeMap;

/// `GET /v1/users`.
pub(crate) async fn list(State(state): State<ApiState>) -> Answer<Json<Vec<UserInfo>>> {
    let now = state.now();
    let (users, tokens) =
        state.store.snapshot_async(|view| Ok((view.list::<User>("")?, view.list::<Token>("")?))).await?;
    let mut sessions: BTreeMap<Name, u64> = BTreeMap::new();
    let open = tokens.into_iter().map(|row| row.value).filter(|t| !t.once && !token::is_over(t, now));
    open.filter_map(|t| t.user).for_each(|name| *sessions.entry(name).or_default() += 1);
    let shown = |user: User| {
        let sessions = sessions.get(&user.name).copied().unwrap_or_default();
        UserInfo { sessions, ..shown(user) }
    };
    Ok(Json(users.into_iter().map(|row| shown(row.value)).collect()))
}

pub(super) fn shown(user: User) -> UserInfo {
    let User { name, password, grants, teams, created_at, locked } = user;
    UserInfo {
        name,
        has_password: password.is_some(),
        locked,
        grants: grants.into_iter().collect(),
        teams: teams.into_iter().collect(),
        created_at,
        sessions: 0,
    }
}

/// `POST /v1/users`.
pub(crate) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<UserRequest>,
) -> Answer<Json<UserMade>> {
    let UserRequest { name, password, grants, teams } = request;
    if grants.len() > GRANTS_MAX || teams.len() > TEAMS_MAX {
        return Err(Refusal::usage(format!("a user has at most {GRANTS_MAX} grants and {TEAMS_MAX} teams")));
    }
    for name in &teams {
        team(&state, name)?;
    }
    let password = match password {
        Some(text) => Some(fresh(&state, &name, text).await?),
        None => None,
    };
    let grants = grants.into_iter().collect();
    let teams = teams.into_iter().collect();
    let user = User { name, password, grants, teams, created_at: state.now(), locked: false };
    let deed = Deed::new("user added", format!("user/{}", user.name));
    let mut batch = deed.batch(&caller);
    let login = if user.password.is_none() { Some(link_in(&state, &mut batch, &user.name)?) } else { None };
    add(&state, deed, batch, &user, &caller.name).await?;
    Ok(Json(UserMade { user: shown(user), login }))
}

/// Writes a user who was not there.
pub(super) async fn add(state: &ApiState, deed: Deed, mut batch: Batch, user: &User, by: &str) -> Answer<()> {
    is_room::<User>(state, "users")?;
    batch.put(user, Expect::Absent);
    batch.event(NewEvent::new(kind_of(&deed), &deed.subject, "").by(by));
    deed.only(state, batch)
        .await
        .map(drop)
        .map_err(|refusal| if refusal.is_overtaken() { is_taken(&user.name) } else { refusal })
}

pub(super) fn is_taken(name: &Name) -> Refusal {
    Refusal::new(Code::Conflict, format!("there is a user {name} already")).hint("choose another name")
}

/// The digest of a password that is good enough.
pub(super) async fn fresh(state: &ApiState, owner: &Name, text: String) -> Answer<String> {
    check_password(owner, &text).map_err(Refusal::usage)?;
    state.passwords.digest(text).await
}

/// A one-time link for a user, in the same commit.
fn link_in(state: &ApiState, batch: &mut Batch, name: &Name) -> Answer<TokenMade> {
    let now = state.now();
    let new = NewToken {
        user: Some(name.clone()),
        expires_at: Some(now + LINK_MS),
        once: true,
        ..NewToken::new(format!("user/{name}"), Role::Viewer)
    };
    token::drop_old(state, now, batch)?;
    let (token, text) = token::mint(state.ids.as_ref(), now, new)?;
    batch.put(&token, Expect::Absent);
    Ok(TokenMade { id: token.id, token: text, expires_at: token.expires_at })
}

/// `POST /v1/users/{user}/link`: a link to come in once and choose a password. The former one is good no longer.
pub(crate) async fn link(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<TokenMade>> {
    again(async || {
        let row = super::user(&state, &name)?;
        let deed = Deed::light("user link", format!("user/{name}"));
        let mut batch = deed.batch(&caller);
        end_sessions(&state, &mut batch, &name, None)?;
        let made = link_in(&state, &mut batch, &name)?;
        batch.put(&User { password: None, ..row.value }, Expect::Rev(row.rev));
        batch
            .event(NewEvent::new("user.link", &deed.subject, "a link to choose a password").by(&caller.name));
        deed.only(&state, batch).await?;
        Ok(Json(made))
    })
    .await
}

/// `POST /v1/users/{user}/password`: one's own alone. Other sessions end.
pub(crate) async fn change_password(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    Doc(request): Doc<PasswordRequest>,
) -> Answer<StatusCode> {
    if caller.user.as_ref() != Some(&name) {
        return Err(Refusal::new(Code::NotAllowed, format!("{name} alone chooses the password of {name}"))
            .hint(format!("give them a link to choose a new one: lace user link {name}")));
    }
    let row = super::user(&state, &name)?;
    if let Some(digest) = row.value.password.clone() {
        let current = request.current.ok_or_else(|| Refusal::usage("the current password is missing"))?;
        state.passwords.check(&name, current, Some(digest), state.now()).await?;
    }
    let password = Some(fresh(&state, &name, request.new).await?);
    let deed = Deed::light("user password", format!("user/{name}"));
    let mut batch = deed.batch(&caller);
    end_sessions(&state, &mut batch, &name, Some(&caller))?;
    batch.put(&User { password, ..row.value }, Expect::Rev(row.rev));
    batch.event(NewEvent::new("user.password", &deed.subject, "a new password").by(&caller.name));
    deed.only(&state, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/users/{user}/lock`.
pub(crate) async fn lock(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<UserInfo>> {
    again(|| set_locked(&state, &caller, &name, true)).await
}

/// `POST /v1/users/{user}/unlock`.
pub(crate) async fn unlock(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<Json<UserInfo>> {
    again(|| set_locked(&state, &caller, &name, false)).await
}

async fn set_locked(state: &ApiState, caller: &Caller, name: &Name, locked: bool) -> Answer<Json<UserInfo>> {
    let row = super::user(state, name)?;
    if row.value.locked == locked {
        return Ok(Json(shown(row.value)));
    }
    let user = User { locked, ..row.value };
    let deed = Deed::light(if locked { "user locked" } else { "user unlocked" }, format!("user/{name}"));
    write(state, caller, deed, &user, Expect::Rev(row.rev)).await?;
    Ok(Json(shown(user)))
}

/// `DELETE /v1/users/{user}`: with all their sessions.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
) -> Answer<StatusCode> {
    again(async || {
        let row = super::user(&state, &name)?;
        let deed = Deed::light("user removed", format!("user/{name}"));
        let mut batch = deed.batch(&caller);
        end_sessions(&state, &mut batch, &name, None)?;
        batch.delete::<User>(name.as_str(), Expect::Rev(row.rev));
        batch.event(NewEvent::new("user.removed", &deed.subject, "").by(&caller.name));
        deed.only(&state, batch).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
