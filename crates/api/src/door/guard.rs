//! The guard at each door: who comes in, with how much, for how long, and what is noted when they are sent away.

use super::{Body, Need, Patience, Rule, Scope, Trail};
use crate::caller::{Caller, no_credentials};
use crate::introduction::Introduction;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::{limit, session, token};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lace_model::token::{Role, Token};
use lace_model::{AppName, Code};
use lace_store::Batch;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for requests, by how long they stay.
#[derive(Clone)]
pub(crate) struct Rooms {
    usual: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    open: Arc<Semaphore>,
    trees: Arc<Semaphore>,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = |places| Arc::new(Semaphore::new(places));
        Self {
            usual: room(limit::USUAL_AT_ONCE),
            waits: room(limit::WAITS_AT_ONCE),
            open: room(limit::OPEN_AT_ONCE),
            trees: room(limit::TREES_AT_ONCE),
        }
    }
}

/// A place that a stream keeps for as long as it is open.
#[derive(Clone)]
pub(crate) struct Held(#[expect(dead_code, reason = "held, not looked at")] Arc<OwnedSemaphorePermit>);

/// What a guard knows: the rule of its door, and the house behind it.
#[derive(Clone)]
pub(crate) struct Post {
    pub state: ApiState,
    pub rule: Rule,
    pub rooms: Rooms,
}

/// Lets a request in, or sends it away with the reason.
pub(crate) async fn guard(
    State(post): State<Post>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (post.rule.method, post.rule.path);
    let answered = post.meet(params, request, next).await;
    let response = marked(answered.unwrap_or_else(Refusal::into_response));
    // The pattern, not the path: a login link has its token in it.
    tracing::debug!(method, path, status = response.status().as_u16(), "answered");
    response
}

/// Answers hold tokens and states of a moment: no one keeps them, unless their handler says otherwise.
fn marked(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Post {
    async fn meet(
        &self,
        params: Result<RawPathParams, RawPathParamsRejection>,
        mut request: Request,
        next: Next,
    ) -> Answer<Response> {
        measure(&self.rule, &request)?;
        let params = readable(params)?;
        let Need::Token(role, scope) = self.rule.need else {
            return Ok(self.pass(request, next).await);
        };
        let caller = identify(&self.state, &request)?.acting(role);
        if let Some(introduction) = request.extensions().get::<Introduction>() {
            introduction.made();
        }
        let subject = request.uri().path().to_owned();
        let response = match allow(&caller, role, scope, &params) {
            Ok(()) => {
                request.extensions_mut().insert(caller.clone());
                self.pass(request, next).await
            }
            Err(refusal) => refusal.into_response(),
        };
        self.note(&caller, &subject, response.status()).await;
        Ok(response)
    }
}

/// Sizes that are known before anything is read.
fn measure(rule: &Rule, request: &Request) -> Answer<()> {
    let uri = request.uri();
    let url_bytes = uri.path().len() + uri.query().map_or(0, str::len);
    if url_bytes > limit::URL_BYTES_MAX {
        return Err(Refusal::new(Code::TooLarge, "the URL is longer than 60,000 bytes")
            .status(StatusCode::URI_TOO_LONG));
    }
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(bytes) if bytes > rule.body.limit() => Err(Refusal::too_large(rule.body.limit())),
        _ => Ok(()),
    }
}

fn readable(params: Result<RawPathParams, RawPathParamsRejection>) -> Answer<RawPathParams> {
    params.map_err(|e| Refusal::usage(format!("in the path: {}", e.body_text())))
}

/// The caller behind the bearer token or the session cookie.
fn identify(state: &ApiState, request: &Request) -> Answer<Caller> {
    let text = match request.headers().get(header::AUTHORIZATION) {
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|v| v.strip_prefix("Bearer "))
            .ok_or_else(|| no_credentials().hint("the Authorization header is not `Bearer TOKEN`"))?,
        None => session::from_cookie(state, request)?.ok_or_else(no_credentials)?,
    };
    let token = known(state, text.trim())?;
    if token.join {
        return Err(Refusal::new(
            Code::NotAuthenticated,
            "a join token lets an agent join, and nothing else",
        ));
    }
    if token.once {
        return Err(Refusal::new(Code::NotAuthenticated, "a login token is traded for a session first")
            .hint("type `lace login URL`, or POST it to /v1/login"));
    }
    Caller::of(state, &token)
}

/// The stored token with this text, if it is still good.
pub(crate) fn known(state: &ApiState, text: &str) -> Answer<Token> {
    let id = token::token_id(text).ok_or_else(token::unknown_token)?;
    let row = state.store.get::<Token>(&id.to_string())?.ok_or_else(token::unknown_token)?;
    let good = token::is_text_of(&row.value, text) && !token::is_over(&row.value, state.now());
    if good { Ok(row.value) } else { Err(token::unknown_token()) }
}

fn allow(caller: &Caller, role: Role, scope: Scope, params: &RawPathParams) -> Answer<()> {
    if scope != Scope::Own {
        caller.needs(role)?;
    }
    match scope {
        Scope::Whole => caller.is_whole(),
        Scope::Path => {
            let app = params.iter().find(|(name, _)| *name == "app").map_or("", |(_, value)| value);
            caller.touches(&AppName::new(app)?)
        }
        // Their handlers hold them, once they know what it is about.
        Scope::Target | Scope::Row | Scope::Shared | Scope::Own => Ok(()),
    }
}

impl Post {
    /// Finds room, and gives the handler its time.
    async fn pass(&self, mut request: Request, next: Next) -> Response {
        let place = match self.place().await {
            Ok(place) => place,
            Err(refusal) => return refusal.into_response(),
        };
        let within = match (self.rule.patience, self.rule.body) {
            (Patience::Usual, Body::Tree(_)) => limit::TREE_WITHIN,
            (Patience::Usual, Body::Archive) => limit::ARCHIVE_WITHIN,
            (Patience::Usual, _) => limit::ANSWER_WITHIN,
            (Patience::Waits, _) => limit::WAIT_WITHIN,
            (Patience::Open, _) => {
                request.extensions_mut().insert(Held(Arc::new(place)));
                return next.run(request).await;
            }
        };
        tokio::time::timeout(within, next.run(request)).await.unwrap_or_else(|_| late(within).into_response())
    }

    async fn place(&self) -> Answer<OwnedSemaphorePermit> {
        let queue = match (self.rule.body, self.rule.patience) {
            (Body::Tree(_) | Body::Archive, _) => &self.rooms.trees,
            (_, Patience::Usual) => &self.rooms.usual,
            (_, Patience::Waits) => return self.rooms.waits.clone().try_acquire_owned().map_err(|_| busy()),
            (_, Patience::Open) => return self.rooms.open.clone().try_acquire_owned().map_err(|_| busy()),
        };
        let place = tokio::time::timeout(limit::ANSWER_WITHIN, queue.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// Notes in the audit log that someone known was refused. Strangers are not noted: they could fill the disk.
    async fn note(&self, caller: &Caller, subject: &str, status: StatusCode) {
        if self.rule.trail == Trail::None || !(status.is_client_error() || status.is_server_error()) {
            return;
        }
        let mut batch = Batch::new(Some(caller.name.clone()));
        let action = format!("{} {}", self.rule.method, self.rule.path);
        batch.audit(&action, subject, &format!("refused: {}", status.as_u16()));
        if let Err(error) = self.state.store.commit_async(batch).await {
            tracing::warn!(%error, action, "a refusal could not be noted");
        }
    }
}

fn late(within: Duration) -> Refusal {
    let message = format!("the request took longer than {} s", within.as_secs());
    Refusal::new(Code::StillWatching, message)
        .hint("look with `lace status` whether it was done, and repeat it")
        .status(StatusCode::REQUEST_TIMEOUT)
}

fn busy() -> Refusal {
    Refusal::new(Code::Unreachable, "the controller serves as many requests of this sort as it can")
        .hint("try again in a moment")
}
