//! The API as the pages have it: called in this process, as whoever asked for the page.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use lace_model::{Code, Problem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

/// Largest answer that a page is made of: 100,000 nodes.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// What of a visitor's request goes on to the API: who it is, and whether it is our own page's.
const PASSED_ON: [HeaderName; 5] = [
    header::COOKIE,
    header::AUTHORIZATION,
    header::ORIGIN,
    header::HOST,
    HeaderName::from_static("x-lace-csrf"),
];

/// What a part of a path may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// Text as one part of a path or a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The headers of a visitor that the API shall see.
pub fn credentials(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in PASSED_ON {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// The door's router.
#[derive(Clone)]
pub struct Api(Router);

impl Api {
    pub fn new(router: Router) -> Self {
        Self(router)
    }

    /// Asks and reads the answer.
    ///
    /// # Errors
    /// What the API refuses, in its own words.
    pub async fn get<T: DeserializeOwned>(&self, who: &HeaderMap, path: &str) -> Result<T, Problem> {
        read(self.call(who, Method::GET, path, Body::empty(), None).await?).await
    }

    /// Sends JSON and reads the answer.
    pub async fn send<T: DeserializeOwned>(
        &self,
        who: &HeaderMap,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(body).map_err(|e| broken(&e))?;
        read(self.call(who, method, path, body.into(), Some("application/json")).await?).await
    }

    /// Sends bytes as they are, or nothing; what is answered is not looked at.
    pub async fn tell(
        &self,
        who: &HeaderMap,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Body>, Problem> {
        let kind = (!body.is_empty()).then_some("application/octet-stream");
        let answer = self.call(who, method, path, body.into(), kind).await?;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            return Err(problem_of(answer).await);
        }
        Ok(answer)
    }

    async fn call(
        &self,
        who: &HeaderMap,
        method: Method,
        path: &str,
        body: Body,
        kind: Option<&'static str>,
    ) -> Result<Response<Body>, Problem> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.extend(who.clone());
            if let Some(kind) = kind {
                headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
            }
        }
        let request = request.body(body).map_err(|e| broken(&e))?;
        // A router's error is `Infallible`.
        self.0.clone().oneshot(request).await.map_err(|e| broken(&e))
    }
}

async fn read<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Problem> {
    if !answer.status().is_success() {
        return Err(problem_of(answer).await);
    }
    let bytes = bytes_of(answer).await?;
    serde_json::from_slice(&bytes).map_err(|e| broken(&e))
}

/// The refusal in an answer.
pub async fn problem_of(answer: Response<Body>) -> Problem {
    let status = answer.status();
    let read = bytes_of(answer).await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.unwrap_or_else(|| Problem::new(Code::Error, format!("the API answered {status}")))
}

async fn bytes_of(answer: Response<Body>) -> Result<Vec<u8>, Problem> {
    let collected = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(collected.map_err(|e| broken(&e))?.to_bytes().to_vec())
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::Error, format!("the API's answer could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths_hold_no_separators() {
        assert_eq!(encoded("shop/game?x&y"), "shop%2Fgame%3Fx%26y");
        assert_eq!(encoded("ball@1.0~rc-1"), "ball@1.0~rc-1");
    }

    #[test]
    fn only_credentials_are_passed_on() {
        let mut all = HeaderMap::new();
        all.insert(header::COOKIE, "lace_session=x".parse().expect("a value"));
        all.insert(header::UPGRADE, "websocket".parse().expect("a value"));
        let kept = credentials(&all);
        assert_eq!(kept.len(), 1);
        assert!(kept.contains_key(header::COOKIE));
    }
}
