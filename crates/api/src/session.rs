//! Logging in: a one-time token becomes a session, for the command line as a token, for a browser as a cookie.
//!
//! A cookie travels by itself, so pages of others could use it. Therefore: `HttpOnly` and `SameSite=Strict`; a request
//! with an `Origin` must come from our own; and whatever is not GET must carry the header `X-Lace-Csrf` (any value),
//! which a page of another origin cannot add without being allowed to, and we allow nobody.

use crate::ask::{Ask, Doc};
use crate::caller::Caller;
use crate::door::known;
use crate::limit::SESSION_MS;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::token::{self, NewToken};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lace_model::token::{Role, Token};
use lace_model::{AppName, Code, Object};
use lace_store::{Batch, Expect, Row};
use lace_wire::api::{LoginRequest, SessionInfo, TokenMade};
use std::collections::BTreeSet;

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "lace_session";

/// The header that says "my own page asked for this".
pub const CSRF_HEADER: &str = "x-lace-csrf";

/// `POST /v1/login`.
pub(crate) async fn login(
    State(state): State<ApiState>,
    Doc(request): Doc<LoginRequest>,
) -> Answer<Json<TokenMade>> {
    Ok(Json(trade(&state, request.token.trim()).await?))
}

/// `GET /login?token=`: the one-time link of `lace up`.
pub(crate) async fn login_link(
    State(state): State<ApiState>,
    Ask(request): Ask<LoginRequest>,
) -> Answer<Response> {
    // A user's link is there to choose a password.
    let to = if known(&state, request.token.trim())?.user.is_some() { "/account" } else { "/" };
    let made = trade(&state, request.token.trim()).await?;
    let secure = if state.config.loopback_http { "" } else { "; Secure" };
    let cookie = format!(
        "{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        made.token,
        SESSION_MS / 1000
    );
    let headers = [
        (header::SET_COOKIE, cookie.as_str()),
        (header::LOCATION, to),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// Takes the one-time token away and puts a session in its place, in one commit: of two, one is too late.
async fn trade(state: &ApiState, text: &str) -> Answer<TokenMade> {
    let once = known(state, text)?;
    if !once.once || once.join {
        return Err(Refusal::new(Code::NotAuthenticated, "this is not a login token")
            .hint("use it as it is: `Authorization: Bearer TOKEN`"));
    }
    let row = state.store.get::<Token>(&once.id.to_string())?.ok_or_else(token::unknown_token)?;
    let now = state.now();
    let mut new = NewToken::new(once.name, once.role);
    (new.apps, new.user) = (once.apps, once.user);
    new.expires_at = Some(now + SESSION_MS);
    let (session, text) = token::mint(state.ids.as_ref(), now, new)?;
    let mut batch = Batch::new(Some(session.name.clone()));
    token::drop_old(state, now, &mut batch)?;
    batch.delete::<Token>(&once.id.to_string(), Expect::Rev(row.rev));
    batch.put(&session, Expect::Absent);
    batch.audit("login", &format!("token/{}", session.id), "done");
    state.store.commit_async(batch).await.map_err(|e| match e {
        lace_store::StoreError::Conflict { .. } => token::unknown_token(),
        other => other.into(),
    })?;
    Ok(TokenMade { id: session.id, token: text, expires_at: session.expires_at })
}

/// `GET /v1/session`: who comes with these credentials.
pub(crate) async fn show(State(state): State<ApiState>, caller: Caller) -> Answer<Json<SessionInfo>> {
    let Token { id, name, expires_at, .. } = own(&state, &caller)?.value;
    let apps: BTreeSet<AppName> = caller.grants.iter().filter_map(|grant| grant.app.clone()).collect();
    let apps = if caller.sees_all() { Vec::new() } else { apps.into_iter().collect() };
    let role = caller.role().unwrap_or(Role::Viewer);
    let grants = caller.grants.into_iter().collect();
    Ok(Json(SessionInfo { id, name, role, apps, expires_at, user: caller.user, grants }))
}

/// `POST /v1/session`: a session with the rights of the token that asks, which ends when that ends at the latest.
pub(crate) async fn open(State(state): State<ApiState>, caller: Caller) -> Answer<Json<TokenMade>> {
    let former = own(&state, &caller)?;
    let now = state.now();
    let mut new = NewToken::new(former.value.name, former.value.role);
    (new.apps, new.user) = (former.value.apps, former.value.user);
    new.expires_at = Some(former.value.expires_at.map_or(now + SESSION_MS, |end| end.min(now + SESSION_MS)));
    let (session, text) = token::mint(state.ids.as_ref(), now, new)?;
    let mut batch = Batch::new(Some(caller.name));
    token::drop_old(&state, now, &mut batch)?;
    batch.require(Token::KIND, &former.value.id.to_string(), Expect::Rev(former.rev));
    batch.put(&session, Expect::Absent);
    batch.audit("login", &format!("token/{}", session.id), "done");
    state.store.commit_async(batch).await?;
    Ok(Json(TokenMade { id: session.id, token: text, expires_at: session.expires_at }))
}

/// `DELETE /v1/session`: logging out. A token without an end is nobody's session, and stays.
pub(crate) async fn close(State(state): State<ApiState>, caller: Caller) -> Answer<StatusCode> {
    let token = own(&state, &caller)?.value;
    if token.expires_at.is_none() {
        let message = format!("token {} has no end: it is not a session", token.name);
        return Err(Refusal::new(Code::Conflict, message).hint(format!("lace token remove {}", token.id)));
    }
    let mut batch = Batch::new(Some(caller.name));
    batch.delete::<Token>(&token.id.to_string(), Expect::Any);
    batch.audit("logout", &format!("token/{}", token.id), "done");
    state.store.commit_async(batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn own(state: &ApiState, caller: &Caller) -> Answer<Row<Token>> {
    state.store.get::<Token>(&caller.token.to_string())?.ok_or_else(token::unknown_token)
}

/// The token in the session cookie, if there is one and the request is our own page's.
pub(crate) fn from_cookie<'a>(state: &ApiState, request: &'a Request) -> Answer<Option<&'a str>> {
    let Some(text) = cookie(request.headers()) else { return Ok(None) };
    let foreign = |what: &str| {
        Refusal::new(
            Code::NotAllowed,
            format!("a session in a browser is good for our own pages only: {what}"),
        )
        .hint("programs send `Authorization: Bearer TOKEN` instead of a cookie")
    };
    if !is_own_origin(state, request.headers()) {
        return Err(foreign("the Origin is another one"));
    }
    if request.method() != Method::GET && !request.headers().contains_key(CSRF_HEADER) {
        return Err(foreign("the header X-Lace-Csrf is missing"));
    }
    Ok(Some(text))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value)
}

/// No Origin at all, the public one, or the one that the request was sent to.
fn is_own_origin(state: &ApiState, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let at = origin.split_once("://").map(|(_, authority)| authority);
    origin == state.config.public_url.trim_end_matches('/') || (at.is_some() && at == host)
}
