//! Releases: what is uploaded, and a place to drop another.

use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::release::{Release, ReleaseKind};
use lace_model::{Millis, Problem};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "releases.html")]
struct Releases {
    now: Millis,
    releases: Vec<Release>,
}

/// `GET /releases`.
pub async fn list(visit: Visit) -> Response {
    let releases: Result<Vec<Release>, Problem> = visit.get("/v1/releases").await;
    let made = releases.map(|mut releases| {
        releases.sort_by_key(|r| std::cmp::Reverse(r.uploaded_at));
        Releases { now: visit.now, releases }
    });
    visit.page("Releases", Noun::Releases, made).await
}

#[derive(Deserialize)]
pub struct Which {
    release: String,
}

/// `POST /act/release/delete`.
pub async fn delete(visit: Visit, Form(form): Form<Which>) -> Response {
    let path = format!("/v1/releases/{}", crate::api::encoded(&form.release));
    let done = visit.tell(Method::DELETE, &path, Vec::new()).await;
    page::did(done.map(|()| format!("release {} is deleted", form.release)))
}

fn kind(kind: &ReleaseKind) -> &'static str {
    match kind {
        ReleaseKind::Relx => "Erlang/OTP",
        ReleaseKind::Mix => "Elixir",
        ReleaseKind::Generic => "generic",
    }
}
