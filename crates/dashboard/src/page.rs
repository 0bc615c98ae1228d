//! What all pages share: the frame with navigation, the policy that the browser holds them to, messages.

use crate::asset;
use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use lace_model::{Code, Millis, Problem};
use lace_wire::api::{Accepted, SessionInfo};

/// Everything comes from ourselves; nothing is written into the page but what the server wrote; nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A noun with a page of its own, in the order of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Overview,
    Apps,
    Nodes,
    Hosts,
    Providers,
    Routes,
    Packages,
    Releases,
    Operations,
    Events,
    Jobs,
    Secrets,
    People,
    Tokens,
    Audit,
    Server,
    Help,
}

/// Address, word and icon (a path on a 16 x 16 grid) of each noun.
const NOUNS: [(Noun, &str, &str, &str); 17] = [
    (Noun::Overview, "/", "Overview", "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z"),
    (Noun::Apps, "/apps", "Applications", "M8 1.5 14 5v6l-6 3.5L2 11V5zM2 5l6 3.5L14 5M8 8.5v6"),
    (
        Noun::Nodes,
        "/nodes",
        "Nodes",
        "M8 2v4M3.5 12 7 8.5M12.5 12 9 8.5M8 6a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
    ),
    (Noun::Hosts, "/hosts", "Hosts", "M2 3h12v4H2zM2 9h12v4H2zM4.5 5h1M4.5 11h1"),
    (
        Noun::Providers,
        "/providers",
        "Providers",
        "M4.5 12.5a3 3 0 0 1 .3-6 3.5 3.5 0 0 1 6.7.8 2.6 2.6 0 0 1 0 5.2z",
    ),
    (Noun::Routes, "/routes", "Routes", "M2 8h5M7 8l4-5h3M7 8l4 5h3M12 1l2 2-2 2M12 11l2 2-2 2"),
    (Noun::Packages, "/packages", "Packages", "M2 5l6-3 6 3v6l-6 3-6-3zM2 5l6 3 6-3M5 3.5l6 3V9"),
    (Noun::Releases, "/releases", "Releases", "M2 5h12v9H2zM4 2h8l2 3H2zM6.5 8h3"),
    (
        Noun::Operations,
        "/operations",
        "Operations",
        "M3 8a5 5 0 0 1 9-3M13 8a5 5 0 0 1-9 3M12 2v3H9M4 14v-3h3",
    ),
    (Noun::Events, "/events", "Events", "M2 4h12M2 8h12M2 12h8"),
    (Noun::Jobs, "/jobs", "Jobs", "M3 2v12l10-6z"),
    (Noun::Secrets, "/secrets", "Secrets", "M4 7V5a4 4 0 0 1 8 0v2M3 7h10v7H3zM8 10v2"),
    (
        Noun::People,
        "/people",
        "People",
        "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5a4.5 4.5 0 0 1 9 0M11 3a2.5 2.5 0 0 1 0 4.5M12.5 9.5a4.5 4.5 0 0 1 2 4",
    ),
    (Noun::Tokens, "/tokens", "Tokens", "M5 11a3 3 0 1 1 2.8-4H14v3h-2v-1M7.8 9H10"),
    (Noun::Audit, "/audit", "Audit", "M3 2h7l3 3v9H3zM5.5 9l1.7 1.7L10.5 7.5"),
    (
        Noun::Server,
        "/server",
        "Server",
        "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2",
    ),
    (
        Noun::Help,
        "/help",
        "Help",
        "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM6 6a2 2 0 1 1 2.5 2L8 9.5M8 11.5v.5",
    ),
];

/// The frame around a page.
#[derive(Template)]
#[template(path = "frame.html")]
pub struct Frame<'a> {
    pub title: &'a str,
    pub noun: Noun,
    pub inner: String,
    pub session: Option<SessionInfo>,
    pub version: &'a str,
    pub now: Millis,
}

impl Frame<'_> {
    fn nouns(&self) -> impl Iterator<Item = (bool, &'static str, &'static str, &'static str)> {
        let here = self.noun;
        NOUNS.into_iter().map(move |(noun, path, word, icon)| (noun == here, path, word, icon))
    }
    fn asset(&self, name: &str) -> String {
        asset::address(name)
    }
    fn bundled(&self) -> bool {
        asset::is_bundled()
    }
}

/// What lies inside the frame, alone.
#[derive(Template)]
#[template(path = "inside.html")]
struct Inside<'a> {
    title: &'a str,
    inner: &'a str,
}

/// The page of a refusal.
#[derive(Template)]
#[template(path = "refused.html")]
pub struct Refused<'a> {
    pub problem: &'a Problem,
    pub code: String,
}

/// The code as it is written in JSON and in the list of errors.
pub fn code_word(code: Code) -> String {
    serde_json::to_value(code).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The frame as an answer: whole, or only what lies inside it.
pub fn response(status: StatusCode, frame: Frame<'_>, inside: bool) -> Response {
    let text =
        if inside { Inside { title: frame.title, inner: &frame.inner }.render() } else { frame.render() };
    html(status, text.unwrap_or_default())
}

/// A page's text with the headers that every page has.
pub fn html(status: StatusCode, text: String) -> Response {
    let mut response = (status, Html(text)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "HX-Request"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What is said after a deed: a line that goes away, or a refusal that stays until it is closed.
#[derive(Template)]
#[template(path = "said.html")]
struct Said<'a> {
    message: &'a str,
    operation: Option<String>,
    problem: Option<&'a Problem>,
    /// Shown once and to be copied: the text of a token.
    keep: Option<&'a str>,
}

fn said(status: StatusCode, said: &Said<'_>) -> Response {
    let mut response = html(status, said.render().unwrap_or_default());
    // The page is asked for at once, without waiting for the event.
    let changed = HeaderValue::from_static("lace:changed");
    response.headers_mut().insert(HeaderName::from_static("hx-trigger"), changed);
    response
}

/// The answer to a deed in one sentence.
pub fn did(done: Result<String, Problem>) -> Response {
    match done {
        Ok(message) => {
            said(StatusCode::OK, &Said { message: &message, operation: None, problem: None, keep: None })
        }
        Err(problem) => no(&problem),
    }
}

/// The answer to a deed that an operation tells of.
pub fn accepted(done: Result<Accepted, Problem>) -> Response {
    match done {
        Ok(Accepted { operation, message }) => {
            let operation = operation.map(|id| id.to_string());
            said(StatusCode::OK, &Said { message: &message, operation, problem: None, keep: None })
        }
        Err(problem) => no(&problem),
    }
}

/// The answer that shows something this once.
pub fn shown_once(message: &str, text: &str) -> Response {
    said(StatusCode::OK, &Said { message, operation: None, problem: None, keep: Some(text) })
}

fn no(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    said(status, &Said { message: "", operation: None, problem: Some(problem), keep: None })
}
