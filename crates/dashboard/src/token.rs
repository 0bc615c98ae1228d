//! Tokens and sessions: who may come in, and as what.

use crate::app::named;
use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::token::Role;
use lace_model::{AppName, Millis, Problem, Span, TokenId};
use lace_wire::api::{SessionInfo, TokenInfo, TokenMade, TokenRequest};
use serde::Deserialize;

/// Sessions last no longer.
const SESSION_MS: Millis = 12 * 3_600_000;

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    now: Millis,
    tokens: Vec<TokenInfo>,
    /// The one that asks.
    own: TokenId,
}

/// `GET /tokens`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Tokens", Noun::Tokens, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Tokens, Problem> {
    let mut tokens: Vec<TokenInfo> = visit.get("/v1/tokens").await?;
    tokens.retain(|t| t.expires_at.is_none_or(|end| end > visit.now));
    tokens.sort_by_key(|t| std::cmp::Reverse(t.created_at));
    let own: SessionInfo = visit.get("/v1/session").await?;
    Ok(Tokens { now: visit.now, tokens, own: own.id })
}

#[derive(Deserialize)]
pub struct Create {
    name: String,
    role: String,
    #[serde(default)]
    apps: String,
    #[serde(default)]
    expires: String,
}

/// `POST /act/token`.
pub async fn create(visit: Visit, Form(form): Form<Create>) -> Response {
    match make(&visit, &form).await {
        Ok(made) => page::shown_once("Copy the token now: it is shown this once.", &made.token),
        Err(problem) => page::did(Err(problem)),
    }
}

async fn make(visit: &Visit, form: &Create) -> Result<TokenMade, Problem> {
    let apps = form.apps.split([',', ' ']).filter(|a| !a.is_empty());
    let apps: Result<Vec<AppName>, Problem> = apps.map(named).collect();
    let (role, join) = match form.role.as_str() {
        "viewer" => (Role::Viewer, false),
        "deployer" => (Role::Deployer, false),
        "admin" => (Role::Admin, false),
        "join" => (Role::Viewer, true),
        other => return Err(crate::act::usage(format!("there is no role {other:?}"))),
    };
    let expires_in = match form.expires.trim() {
        "" => None,
        text => Some(text.parse::<Span>().map_err(|e| crate::act::usage(e.to_string()))?),
    };
    let name = form.name.trim().to_owned();
    visit.post("/v1/tokens", &TokenRequest { name, role, apps: apps?, expires_in, join }).await
}

#[derive(Deserialize)]
pub struct Which {
    id: String,
}

/// `POST /act/token/delete`.
pub async fn delete(visit: Visit, Form(form): Form<Which>) -> Response {
    let path = format!("/v1/tokens/{}", crate::api::encoded(&form.id));
    let done = visit.tell(Method::DELETE, &path, Vec::new()).await;
    page::did(done.map(|()| "the token has ended; whoever came with it is out".into()))
}

fn sort(token: &TokenInfo) -> &'static str {
    match (token.join, token.once, token.expires_at) {
        (true, ..) => "lets a host join",
        (_, true, _) => "login link",
        (_, _, Some(end)) if end.saturating_sub(token.created_at) <= SESSION_MS => "session",
        _ => "token",
    }
}
