//! Coming in with name and password, and becoming a user by oneself.

use super::{sign_up, user};
use crate::ask::Doc;
use crate::caller::Caller;
use crate::deed::{Deed, again};
use crate::limit::SESSION_MS;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::token::{self, NewToken};
use axum::Json;
use axum::extract::State;
use lace_model::Code;
use lace_model::people::{SIGN_UP_KEY, SignUp, User};
use lace_model::token::Role;
use lace_store::{Batch, Expect};
use lace_wire::api::{SignInRequest, TokenMade};
use std::collections::BTreeSet;

/// `POST /v1/login/password`: a session.
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    Doc(request): Doc<SignInRequest>,
) -> Answer<Json<TokenMade>> {
    let SignInRequest { name, password } = request;
    let row = state.store.get::<User>(name.as_str())?;
    let digest = row.as_ref().and_then(|row| row.value.password.clone());
    state.passwords.check(&name, password, digest, state.now()).await?;
    let row = user(&state, &name)?;
    if row.value.locked {
        // Only who knows the password is told.
        return Err(Refusal::new(Code::NotAllowed, format!("user {name} is locked")).hint("ask an admin"));
    }
    let now = state.now();
    let new = NewToken {
        user: Some(name.clone()),
        expires_at: Some(now + SESSION_MS),
        ..NewToken::new(format!("user/{name}"), Role::Viewer)
    };
    let (session, text) = token::mint(state.ids.as_ref(), now, new)?;
    let mut batch = Batch::new(Some(session.name.clone()));
    token::drop_old(&state, now, &mut batch)?;
    // A password that was taken away meanwhile lets nobody in.
    batch.require(<User as lace_model::Object>::KIND, name.as_str(), Expect::Rev(row.rev));
    batch.put(&session, Expect::Absent);
    batch.audit("login", &format!("token/{}", session.id), "done");
    state.store.commit_async(batch).await?;
    Ok(Json(TokenMade { id: session.id, token: text, expires_at: session.expires_at }))
}

/// `POST /v1/sign-up`: a new user, in the team for newcomers if there is one, and a session.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Doc(request): Doc<SignInRequest>,
) -> Answer<Json<TokenMade>> {
    let now = state.now();
    let open = sign_up(&state)?.map(|row| row.value).filter(|kept| kept.open).ok_or_else(is_closed)?;
    let SignInRequest { name, password } = request;
    if state.store.get::<User>(name.as_str())?.is_some() {
        return Err(super::user::is_taken(&name));
    }
    state.passwords.admit_stranger(now)?;
    let digest = super::user::fresh(&state, &name, password.clone()).await?;
    let teams = BTreeSet::from_iter(open.team);
    let user = User {
        name: name.clone(),
        password: Some(digest),
        grants: BTreeSet::new(),
        teams,
        created_at: now,
        locked: false,
    };
    let by = format!("user/{name}");
    let deed = Deed::new("user signed-up", &by);
    let batch = Batch::new(Some(by.clone())).new_work();
    super::user::add(&state, deed, batch, &user, &by).await?;
    sign_in(State(state), Doc(SignInRequest { name, password })).await
}

fn is_closed() -> Refusal {
    Refusal::new(Code::NotAllowed, "nobody becomes a user here by themselves")
        .hint("ask an admin: lace user add NAME")
}

/// `GET /v1/sign-up`: for everybody, since the login page asks.
pub(crate) async fn show(State(state): State<ApiState>) -> Answer<Json<SignUp>> {
    Ok(Json(SignUp { open: sign_up(&state)?.is_some_and(|row| row.value.open), team: None }))
}

/// `PUT /v1/sign-up`.
pub(crate) async fn set(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(wanted): Doc<SignUp>,
) -> Answer<Json<SignUp>> {
    again(async || {
        if let Some(name) = &wanted.team {
            super::team(&state, name)?;
        }
        let expect = sign_up(&state)?.map_or(Expect::Absent, |row| Expect::Rev(row.rev));
        let deed = Deed::light(if wanted.open { "sign-up opened" } else { "sign-up closed" }, SIGN_UP_KEY);
        super::write(&state, &caller, deed, &wanted, expect).await?;
        Ok(Json(wanted.clone()))
    })
    .await
}
