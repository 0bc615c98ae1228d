//! People: users, teams, grants, and coming in with a password.

pub(crate) mod grant;
pub(crate) mod password;
pub(crate) mod sign;
pub(crate) mod team;
pub(crate) mod user;

pub use password::Passwords;

use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use lace_model::event::NewEvent;
use lace_model::people::{Grant, PEOPLE_MAX, SIGN_UP_KEY, SignUp, Team, User};
use lace_model::token::Token;
use lace_model::{AppName, Code, Name, Object};
use lace_store::{Batch, Expect, Row};
use std::collections::BTreeSet;

fn user(state: &ApiState, name: &Name) -> Answer<Row<User>> {
    let row = state.store.get::<User>(name.as_str())?;
    row.ok_or_else(|| Refusal::not_found(format_args!("user {name}")).hint("lace user list"))
}

fn team(state: &ApiState, name: &Name) -> Answer<Row<Team>> {
    let row = state.store.get::<Team>(name.as_str())?;
    row.ok_or_else(|| Refusal::not_found(format_args!("team {name}")).hint("lace team list"))
}

fn sign_up(state: &ApiState) -> Answer<Option<Row<SignUp>>> {
    Ok(state.store.get::<SignUp>(SIGN_UP_KEY)?)
}

/// Writes one row over another, with its event and its audit row.
async fn write<T: Object>(
    state: &ApiState,
    caller: &Caller,
    deed: Deed,
    row: &T,
    expect: Expect,
) -> Answer<()> {
    let mut batch = deed.batch(caller);
    batch.put(row, expect);
    batch.event(NewEvent::new(kind_of(&deed), &deed.subject, "").by(&caller.name));
    deed.only(state, batch).await.map(drop)
}

/// `user.locked` of the deed `user locked`.
fn kind_of(deed: &Deed) -> String {
    deed.verb.replace(' ', ".")
}

/// Refuses where there are as many as there may be.
fn is_room<T: Object>(state: &ApiState, what: &str) -> Answer<()> {
    if state.store.list::<T>("")?.len() < PEOPLE_MAX {
        return Ok(());
    }
    Err(Refusal::new(Code::TooLarge, format!("there are {PEOPLE_MAX} {what} already")))
}

/// Ends all sessions and links of a user, but that of who asks.
fn end_sessions(state: &ApiState, batch: &mut Batch, name: &Name, but: Option<&Caller>) -> Answer<()> {
    let is_theirs =
        |token: &Token| token.user.as_ref() == Some(name) && but.is_none_or(|own| own.token != token.id);
    for row in state.store.list::<Token>("")? {
        if is_theirs(&row.value) {
            batch.delete::<Token>(&row.value.id.to_string(), Expect::Any);
        }
    }
    Ok(())
}

/// What is granted of an application is granted of it under its new name.
pub(crate) fn rename(state: &ApiState, batch: &mut Batch, app: &AppName, to: &AppName) -> Answer<()> {
    renamed::<User>(state, batch, |user| &mut user.grants, (app, to))?;
    renamed::<Team>(state, batch, |team| &mut team.grants, (app, to))
}

fn renamed<T: Object>(
    state: &ApiState,
    batch: &mut Batch,
    of: impl Fn(&mut T) -> &mut BTreeSet<Grant>,
    (app, to): (&AppName, &AppName),
) -> Answer<()> {
    for mut row in state.store.list::<T>("")? {
        let grants = of(&mut row.value);
        let theirs: Vec<Grant> =
            grants.iter().filter(|grant| grant.app.as_ref() == Some(app)).cloned().collect();
        if theirs.is_empty() {
            continue;
        }
        for grant in theirs {
            grants.remove(&grant);
            grants.insert(Grant { app: Some(to.clone()), ..grant });
        }
        batch.put(&row.value, Expect::Rev(row.rev));
    }
    Ok(())
}
