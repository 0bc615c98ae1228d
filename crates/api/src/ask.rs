//! What requests say: path, query and body, each parsed once, each mistake named.

use crate::refusal::{Answer, Refusal};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use lace_model::{AppName, TargetPath};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The parameters of the path.
pub(crate) struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|e| Refusal::usage(format!("in the path: {}", e.body_text())))
    }
}

/// The query.
pub(crate) struct Ask<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ask<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|e| Refusal::usage(format!("in the query: {}", e.body_text())))
    }
}

/// A JSON body.
pub(crate) struct Doc<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Doc<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let bytes = Bytes::from_request(request, state).await?;
        // serde_json names line and column in its message.
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|e| Refusal::usage(format!("the body is not what is expected here: {e}")))
    }
}

/// Bytes as they are.
pub(crate) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;
    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        Ok(Self(Bytes::from_request(request, state).await?))
    }
}

/// `?target=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetAsk {
    /// Everything where none is said.
    pub target: Option<TargetPath>,
}

impl TargetAsk {
    /// The target, where one must be named.
    pub fn required(self) -> Answer<TargetPath> {
        self.target
            .ok_or_else(|| Refusal::usage("the query names no target").hint("add ?target=APP[/SERVICE]"))
    }
}

/// `?app=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppAsk {
    /// All where none is said.
    pub app: Option<AppName>,
}

/// `?wait_ms=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitAsk {
    /// Wait until it ends, but not longer than this (at most [`crate::limit::WAIT_MS_MAX`]).
    pub wait_ms: Option<u64>,
}
