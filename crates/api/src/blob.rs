//! Blobs: chunks of releases on their way in and out, each under its digest.

use crate::ask::{At, Doc, Raw};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lace_model::{Code, Digest};

/// `POST /v1/blobs/missing`.
pub(crate) async fn missing(
    State(state): State<ApiState>,
    Doc(digests): Doc<Vec<Digest>>,
) -> Answer<Json<Vec<Digest>>> {
    Ok(Json(blocking(state, move |state| Ok(state.store.blobs().missing(&digests)?)).await?))
}

/// `PUT /v1/blobs/{digest}`.
pub(crate) async fn put(
    State(state): State<ApiState>,
    At(digest): At<Digest>,
    Raw(bytes): Raw,
) -> Answer<StatusCode> {
    blocking(state, move |state| {
        let found = Digest::of(&bytes);
        if found != digest {
            let message = format!("the bytes have the digest {found}, not {digest}");
            return Err(Refusal::usage(message).hint("was the upload cut short? send it again"));
        }
        state.store.blobs().put(&bytes)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `GET /v1/blobs/{digest}`.
pub(crate) async fn get(State(state): State<ApiState>, At(digest): At<Digest>) -> Answer<Response> {
    let found = blocking(state, move |state| Ok(state.store.blobs().get(&digest)?)).await?;
    let bytes = found.ok_or_else(|| Refusal::not_found(format_args!("blob {digest}")))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

async fn blocking<T: Send + 'static>(
    state: ApiState,
    work: impl FnOnce(&ApiState) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    tokio::task::spawn_blocking(move || work(&state))
        .await
        .map_err(|e| Refusal::new(Code::Error, format!("the blob store failed: {e}")))?
}
