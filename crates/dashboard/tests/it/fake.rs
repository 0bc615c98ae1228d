//! Asking pages before an API that says what it was told.

pub use crate::answers::pages;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// One page: its answer's head and its bytes, as they travel.
pub async fn page(pages: &Router, path: &str, packed: bool) -> (axum::http::response::Parts, Vec<u8>) {
    let mut request = Request::builder().uri(path);
    if packed {
        request = request.header(header::ACCEPT_ENCODING, "gzip");
    }
    let request = request.body(Body::empty()).expect("a request");
    let (head, body) = pages.clone().oneshot(request).await.expect("an answer").into_parts();
    (head, body.collect().await.expect("a body").to_bytes().to_vec())
}

/// What a form is answered with.
pub async fn answered(pages: &Router, path: &str, form: &str) -> (StatusCode, String) {
    let request = Request::post(path)
        .header("x-lace-csrf", "page")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(Body::from(form.to_owned())).expect("a request");
    let answer = pages.clone().oneshot(request).await.expect("an answer");
    let status = answer.status();
    let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}
