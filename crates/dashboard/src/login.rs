//! Coming in and going out.

use crate::Dashboard;
use crate::asset;
use crate::page;
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use lace_model::people::{PASSWORD_CHARS_MIN, SignUp};
use lace_model::{Code, Name, Problem};
use lace_wire::api::{LoginRequest, SessionInfo, SignInRequest, TokenMade};
use serde::Deserialize;

/// Name of the session cookie, as the API reads it.
const COOKIE: &str = "lace_session";

/// How long a browser keeps the cookie, in seconds; the session behind it ends no later.
const COOKIE_SECONDS: u64 = 12 * 3600;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    problem: Option<&'a Problem>,
    /// Strangers may become users.
    is_open: bool,
    least: usize,
}

impl Login<'_> {
    fn asset(&self, name: &str) -> String {
        asset::address(name)
    }
}

/// The page that asks for name and password, or for a token.
pub async fn page(visit: &Visit, status: StatusCode, problem: Option<&Problem>) -> Response {
    let sign_up = visit.dashboard.api.get::<SignUp>(&HeaderMap::new(), "/v1/sign-up").await;
    let login = Login { problem, is_open: sign_up.is_ok_and(|now| now.open), least: PASSWORD_CHARS_MIN };
    let mut response = page::html(status, login.render().unwrap_or_default());
    if visit.inside {
        // What a page's part asked for becomes the whole page.
        response.headers_mut().insert("hx-redirect", HeaderValue::from_static("/login"));
    }
    response
}

/// `?token=`.
#[derive(Deserialize)]
pub struct Link {
    token: Option<String>,
}

/// `GET /login`: the form; with the one-time token of a link, the session.
pub async fn form(visit: Visit, Query(link): Query<Link>) -> Response {
    let Some(token) = link.token else { return page(&visit, StatusCode::OK, None).await };
    let path = format!("/login?token={}", crate::api::encoded(&token));
    match visit.dashboard.api.tell(&HeaderMap::new(), Method::GET, &path, Vec::new()).await {
        Ok(answer) => answer,
        // A link that was used already, by someone who is in.
        Err(_) if visit.get::<SessionInfo>("/v1/session").await.is_ok() => Redirect::to("/").into_response(),
        Err(problem) => page(&visit, StatusCode::UNAUTHORIZED, Some(&problem)).await,
    }
}

/// What the forms of the login page say: a name and a password, or a token.
#[derive(Deserialize)]
pub struct Credentials {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

/// `POST /login`: name and password become a session; a pasted token becomes one with the same rights.
pub async fn enter(
    State(dashboard): State<Dashboard>,
    visit: Visit,
    Form(given): Form<Credentials>,
) -> Response {
    let made = match given.token.trim() {
        "" => by_name(&dashboard, &visit, "/v1/login/password", given).await,
        token => session(&dashboard, &visit, token).await,
    };
    entered(&dashboard, &visit, made).await
}

/// `POST /sign-up`: becomes a user, where that is open.
pub async fn sign_up(
    State(dashboard): State<Dashboard>,
    visit: Visit,
    Form(given): Form<Credentials>,
) -> Response {
    let made = by_name(&dashboard, &visit, "/v1/sign-up", given).await;
    entered(&dashboard, &visit, made).await
}

async fn by_name(
    dashboard: &Dashboard,
    visit: &Visit,
    path: &str,
    given: Credentials,
) -> Result<TokenMade, Problem> {
    own_page(&visit.who)?;
    let name = Name::new(given.name.trim()).map_err(|e| Problem::new(Code::Usage, e.to_string()))?;
    let request = SignInRequest { name, password: given.password };
    dashboard.api.send(&HeaderMap::new(), Method::POST, path, &request).await
}

async fn session(dashboard: &Dashboard, visit: &Visit, token: &str) -> Result<TokenMade, Problem> {
    own_page(&visit.who)?;
    let once = LoginRequest { token: token.to_owned() };
    let stranger = HeaderMap::new();
    if let Ok(made) = dashboard.api.send(&stranger, Method::POST, "/v1/login", &once).await {
        return Ok(made);
    }
    let mut bearer = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let value = value.map_err(|_| Problem::new(Code::NotAuthenticated, "this is not the text of a token"))?;
    bearer.insert(header::AUTHORIZATION, value);
    dashboard.api.send(&bearer, Method::POST, "/v1/session", &()).await
}

/// A page of others must not log anybody in as somebody else.
fn own_page(who: &HeaderMap) -> Result<(), Problem> {
    let text = |name| who.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let from =
        text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    if from.is_none() || from == text(header::HOST) {
        return Ok(());
    }
    Err(Problem::new(Code::NotAllowed, "the form was sent by another page").hint("log in from this page"))
}

async fn entered(dashboard: &Dashboard, visit: &Visit, made: Result<TokenMade, Problem>) -> Response {
    let token = match made {
        Ok(made) => made.token,
        Err(problem) => return page(visit, StatusCode::UNAUTHORIZED, Some(&problem)).await,
    };
    let secure = if dashboard.secure { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={COOKIE_SECONDS}{secure}");
    with_cookie(Redirect::to("/").into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Forms are taken from our own pages alone: those of others cannot add the header. The API looks at it, too; here even a form
/// that asks nothing of the API is sent away.
pub async fn own_form(request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-lace-csrf") {
        return next.run(request).await;
    }
    let problem = Problem::new(Code::NotAllowed, "the form was sent by another page, or by none");
    page::did(Err(problem.hint("use the page's own button; programs post to the API")))
}

/// `POST /act/logout`: the session ends, here and at the controller.
pub async fn out(visit: Visit) -> Response {
    if let Err(problem) = visit.tell(Method::DELETE, "/v1/session", Vec::new()).await
        && problem.code != Code::NotAuthenticated
    {
        return page::did(Err(problem));
    }
    let gone = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    let mut response = with_cookie(StatusCode::OK.into_response(), &gone);
    response.headers_mut().insert("hx-redirect", HeaderValue::from_static("/login"));
    response
}
