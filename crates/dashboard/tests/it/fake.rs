//! An API that says what it was told.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::any;
use http_body_util::BodyExt;
use lace_dashboard::Config;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tower::ServiceExt;

/// The pages before an API with these answers; everything else is not there.
pub fn pages(answers: impl IntoIterator<Item = (&'static str, Value)>) -> Router {
    let answers: Arc<BTreeMap<&str, Value>> = Arc::new(answers.into_iter().collect());
    let api = Router::new().fallback(any(move |request: Request<Body>| {
        let found = answers.get(request.uri().path()).map(Value::to_string);
        std::future::ready(answer(found))
    }));
    lace_dashboard::router(api, Config { version: "0".into(), secure: true, commands: Vec::new() })
}

fn answer(found: Option<String>) -> Response<Body> {
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let text = found
        .unwrap_or_else(|| json!({"code": "not-found", "message": "there is no such thing"}).to_string());
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

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
