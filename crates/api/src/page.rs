//! The few pages that need no token.

use crate::door;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// Nothing is loaded from anywhere, and nobody may frame it.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// `GET /`.
pub(crate) async fn home(State(state): State<ApiState>) -> Response {
    let version = escaped(&state.config.version);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lace</title>\
         <style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 36rem }}</style>\
         </head><body><h1>Lace {version}</h1>\
         <p>The controller is up, without its dashboard. <code>lace status</code> says how everything is.</p>\
         <p><a href=\"/v1/openapi.json\">The API's description (OpenAPI 3.1)</a></p></body></html>\n"
    );
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `GET /healthz`: 200 where the store answers.
pub(crate) async fn healthz(State(state): State<ApiState>) -> Response {
    match state.store.meta() {
        Ok(_) => "ok\n".into_response(),
        Err(error) => crate::Refusal::from(error).status(StatusCode::SERVICE_UNAVAILABLE).into_response(),
    }
}

/// `GET /v1/openapi.json`.
pub(crate) async fn openapi(State(state): State<ApiState>) -> Response {
    let document = door::document(&state.config.version);
    ([(header::CONTENT_TYPE, "application/json")], document.to_json().unwrap_or_default()).into_response()
}
