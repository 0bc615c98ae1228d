//! One request for a page: who asks, for which page, whole or only what lies inside.

use crate::Dashboard;
use crate::api::{credentials, encoded};
use crate::page::{self, Frame, Noun};
use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use lace_model::{Code, Millis, Problem};
use lace_wire::api::SessionInfo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a page may use.
pub struct Visit {
    pub(crate) dashboard: Dashboard,
    pub(crate) who: HeaderMap,
    /// The browser has the frame already.
    pub(crate) inside: bool,
    pub(crate) now: Millis,
}

impl FromRequestParts<Dashboard> for Visit {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, Infallible> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            dashboard: dashboard.clone(),
            who: credentials(&parts.headers),
            inside: parts.headers.contains_key("hx-request"),
            now: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Visit {
    /// Where the visitor's browser is: `http://127.0.0.1:7440`.
    pub fn origin(&self) -> String {
        let text = |name| self.who.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let scheme = if self.dashboard.secure { "https" } else { "http" };
        text(header::HOST).map_or_else(String::new, |host| format!("{scheme}://{host}"))
    }

    /// Asks the API.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.dashboard.api.get(&self.who, path).await
    }

    /// Asks the API about a target.
    pub async fn about<T: DeserializeOwned>(&self, path: &str, target: &str) -> Result<T, Problem> {
        self.get(&format!("{path}?target={}", encoded(target))).await
    }

    /// Posts JSON to the API.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.send(Method::POST, path, body).await
    }

    /// Sends JSON to the API by another method.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.dashboard.api.send(&self.who, method, path, body).await
    }

    /// A call without a JSON answer.
    pub async fn tell(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(), Problem> {
        self.dashboard.api.tell(&self.who, method, path, body).await.map(drop)
    }

    /// The page, or the page that says why not.
    pub async fn page<T: Template>(&self, title: &str, noun: Noun, made: Result<T, Problem>) -> Response {
        match made.and_then(|inner| inner.render().map_err(|e| Problem::new(Code::Error, e.to_string()))) {
            Ok(inner) => self.framed(StatusCode::OK, title, noun, inner).await,
            Err(problem) => self.refused(noun, &problem).await,
        }
    }

    /// The page of a refusal; strangers get the login page.
    pub async fn refused(&self, noun: Noun, problem: &Problem) -> Response {
        if problem.code == Code::NotAuthenticated {
            return crate::login::page(self, StatusCode::UNAUTHORIZED, None).await;
        }
        let status = StatusCode::from_u16(problem.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        let inner = page::Refused { problem, code: page::code_word(problem.code) }.render();
        self.framed(status, "Not possible", noun, inner.unwrap_or_default()).await
    }

    async fn framed(&self, status: StatusCode, title: &str, noun: Noun, inner: String) -> Response {
        let session: Option<SessionInfo> =
            if self.inside { None } else { self.get("/v1/session").await.ok() };
        let frame = Frame { title, noun, inner, session, version: &self.dashboard.version, now: self.now };
        page::response(status, frame, self.inside)
    }
}
