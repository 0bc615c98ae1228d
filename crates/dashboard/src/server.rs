//! The controller itself.

use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::http::Method;
use axum::response::Response;
use lace_wire::api::ServerInfo;

#[derive(Template)]
#[template(path = "server.html")]
struct Server {
    info: ServerInfo,
}

/// `GET /server`.
pub async fn show(visit: Visit) -> Response {
    let info = visit.get("/v1/server").await;
    visit.page("Server", Noun::Server, info.map(|info| Server { info })).await
}

/// `POST /act/adopted`.
pub async fn adopted(visit: Visit) -> Response {
    let done = visit.tell(Method::POST, "/v1/server/adopted", Vec::new()).await;
    page::did(done.map(|()| "adopt mode has ended".into()))
}
