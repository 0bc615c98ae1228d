//! How "no" is answered: every refusal is a [`Problem`] as `application/problem+json`.

use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lace_model::{Code, Problem};
use lace_store::StoreError;

/// The media type of a problem (RFC 9457).
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// The status of a door that wants another protocol.
pub(crate) const UPGRADE_REQUIRED: StatusCode = StatusCode::UPGRADE_REQUIRED;

/// What a handler answers where it does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    problem: Problem,
    overtaken: bool,
}

/// What handlers answer.
pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal with the status of its code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Problem::new(code, message).into()
    }

    /// The same with another status than the code's own: where HTTP knows it more exactly (405, 408).
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem = self.problem.hint(hint);
        self
    }

    /// Did another writer come between reading and writing?
    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken
    }

    /// The problem inside.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Problem::not_found(what).into()
    }

    /// The words of the request are off.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// A body above its limit.
    pub fn too_large(limit: usize) -> Self {
        Self::new(Code::TooLarge, format!("the body is larger than the {limit} bytes allowed here"))
            .hint("send less at once: releases travel in chunks")
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.http_status());
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), problem, overtaken: false }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let overtaken = matches!(error, StoreError::Conflict { .. });
        let problem = Problem::from(error);
        if problem.code == Code::Error {
            tracing::error!(%problem, "the store failed");
        }
        Self { overtaken, ..problem.into() }
    }
}

impl From<lace_model::name::NameError> for Refusal {
    fn from(error: lace_model::name::NameError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(Code::TooLarge, "the body is larger than is allowed here")
                .hint("send less at once: releases travel in chunks");
        }
        Self::usage("the body ended before it was complete").status(StatusCode::BAD_REQUEST)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, PROBLEM_TYPE)], body).into_response()
    }
}

/// The answer where no route leads.
pub(crate) async fn no_such_route(uri: axum::http::Uri) -> Refusal {
    Refusal::not_found(format_args!("{}", uri.path())).hint("GET /v1/openapi.json lists what there is")
}

/// The answer where the route knows other methods only.
pub(crate) async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> Refusal {
    Refusal::usage(format!("{} does not know the method {method}", uri.path()))
        .hint("GET /v1/openapi.json lists what there is")
        .status(StatusCode::METHOD_NOT_ALLOWED)
}

/// The answer where a handler panicked: a bug, told without its details.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Refusal::new(Code::Error, "the controller met a bug while answering; its log has the details")
        .into_response()
}
