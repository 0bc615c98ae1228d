//! One call: build, send, retry what is safe, decode the answer or the problem.

use super::{CALL_TIMEOUT, Client, is_loopback};
use bytes::Bytes;
use lace_model::{Code, Problem};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Longest problem text that is read from an answer that is no problem document.
const FOREIGN_TEXT_CHARS: usize = 200;
/// First pause before another attempt; it doubles up to half a second.
const PAUSE_FIRST: Duration = Duration::from_millis(25);

/// One call, before it is sent.
pub(super) struct Call {
    method: Method,
    url: Url,
    body: Option<(&'static str, Bytes)>,
    timeout: Option<Duration>,
}

impl Call {
    pub fn query(mut self, key: &str, value: impl ToString) -> Self {
        self.url.query_pairs_mut().append_pair(key, &value.to_string());
        self
    }

    pub fn query_some(self, key: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    pub fn query_if(self, key: &str, set: bool) -> Self {
        if set { self.query(key, true) } else { self }
    }

    pub fn json<T: Serialize>(mut self, body: &T) -> Self {
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        self.body = Some(("application/json", bytes.into()));
        self
    }

    pub fn bytes(mut self, body: Bytes) -> Self {
        self.body = Some(("application/octet-stream", body));
        self
    }

    /// The controller may take so much longer to answer.
    pub fn waiting(mut self, time: Duration) -> Self {
        self.timeout = Some(CALL_TIMEOUT + time);
        self
    }

    /// No limit for the whole answer: feeds and large bodies.
    pub fn unbounded(mut self) -> Self {
        self.timeout = None;
        self
    }

    fn is_safe(&self) -> bool {
        self.method == Method::GET
    }
}

impl Client {
    pub(super) fn call(&self, method: Method, path: &[&str]) -> Call {
        Call { method, url: self.at(path), body: None, timeout: Some(CALL_TIMEOUT) }
    }

    pub(super) fn get(&self, path: &[&str]) -> Call {
        self.call(Method::GET, path)
    }

    pub(super) fn post(&self, path: &[&str]) -> Call {
        self.call(Method::POST, path)
    }

    pub(super) fn delete(&self, path: &[&str]) -> Call {
        self.call(Method::DELETE, path)
    }

    /// The address of a path; each segment is escaped.
    pub(super) fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends a call and decodes its JSON answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Problem> {
        let bytes = self.ask_bytes(call).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Problem::new(Code::Error, format!("the controller's answer is not understood: {e}"))
                .hint("the versions may differ: compare `lace --version` with `lace server info`")
        })
    }

    /// Sends a call whose answer has no content that matters.
    pub(super) async fn tell(&self, call: Call) -> Result<(), Problem> {
        self.ask_bytes(call).await.map(drop)
    }

    /// Sends a call and reads its whole answer.
    pub(super) async fn ask_bytes(&self, call: Call) -> Result<Bytes, Problem> {
        let response = self.send(call).await?;
        response.bytes().await.map_err(|e| self.unreachable(&e))
    }

    /// Sends a call until something answers or the time for retries is over.
    pub(super) async fn send(&self, call: Call) -> Result<Response, Problem> {
        let deadline = Instant::now() + self.retry_for;
        let mut pause = PAUSE_FIRST;
        loop {
            let error = match self.request(&call).send().await {
                Ok(response) => return accept(response).await,
                Err(error) => error,
            };
            if !may_repeat(&call, &error) || Instant::now() + pause > deadline {
                return Err(self.unreachable(&error));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = &call.body {
            request = request.header("content-type", *kind).body(body.clone());
        }
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        request
    }

    /// No controller answered.
    pub(super) fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> Problem {
        let hint = if self.base.host_str().is_some_and(is_loopback) {
            "start one on this machine: lace up"
        } else {
            "is the address right? lace context list"
        };
        Problem::new(Code::Unreachable, format!("no controller answers at {}", self.url()))
            .hint(hint)
            .details(innermost(error))
    }
}

/// Nothing was sent where the connection failed; a GET may be sent twice.
fn may_repeat(call: &Call, error: &reqwest::Error) -> bool {
    let lost = error.is_connect() || (call.is_safe() && error.is_request() && !error.is_timeout());
    lost && !distrusted(error)
}

/// Did the certificate fail? That does not mend by itself.
fn distrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| cause.to_string().contains("certificate"))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    causes(error).last().map(|cause| cause.to_string())
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

async fn accept(response: Response) -> Result<Response, Problem> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default();
    Err(problem_of(status, &body))
}

/// The problem in a refusal; one made from its status where the body holds none.
pub(super) fn problem_of(status: u16, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let text: String = String::from_utf8_lossy(body).chars().take(FOREIGN_TEXT_CHARS).collect();
        let text = if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) };
        Problem::new(code_of(status), format!("the controller answered {status}{text}"))
    })
}

fn code_of(status: u16) -> Code {
    match status {
        401 => Code::NotAuthenticated,
        403 => Code::NotAllowed,
        404 => Code::NotFound,
        409 => Code::Conflict,
        400 | 405 | 422 => Code::Usage,
        413 => Code::TooLarge,
        502..=504 => Code::Unreachable,
        507 => Code::DiskFull,
        _ => Code::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_is_kept_as_it_is() {
        let sent = Problem::not_found("app shop").hint("lace app list");
        let body = serde_json::to_vec(&sent).expect("json");
        assert_eq!(problem_of(404, &body), sent);
    }

    #[test]
    fn a_foreign_answer_becomes_a_problem_by_its_status() {
        for (status, code) in [
            (401, Code::NotAuthenticated),
            (404, Code::NotFound),
            (409, Code::Conflict),
            (413, Code::TooLarge),
            (500, Code::Error),
            (502, Code::Unreachable),
        ] {
            assert_eq!(problem_of(status, b"<html>").code, code, "{status}");
        }
        assert_eq!(problem_of(500, b" ").message, "the controller answered 500");
    }
}
