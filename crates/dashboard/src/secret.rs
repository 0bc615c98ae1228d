//! Secrets by name and version. Values go in and never come out.

use crate::app::named;
use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::secret::SecretInfo;
use lace_model::{Millis, Problem};
use lace_wire::api::AppSummary;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "secrets.html")]
struct Secrets {
    now: Millis,
    apps: Vec<AppSummary>,
    secrets: Vec<SecretInfo>,
}

/// `GET /secrets`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Secrets", Noun::Secrets, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Secrets, Problem> {
    let apps: Vec<AppSummary> = visit.get("/v1/apps").await?;
    let mut secrets = Vec::new();
    for app in &apps {
        let some: Vec<SecretInfo> = visit.get(&format!("/v1/apps/{}/secrets", app.name)).await?;
        secrets.extend(some);
    }
    Ok(Secrets { now: visit.now, apps, secrets })
}

#[derive(Deserialize)]
pub struct Set {
    app: String,
    name: String,
    #[serde(default)]
    value: String,
}

/// `POST /act/secret`.
pub async fn set(visit: Visit, Form(form): Form<Set>) -> Response {
    page::did(put(&visit, form).await)
}

async fn put(visit: &Visit, form: Set) -> Result<String, Problem> {
    let path = path(&form)?;
    if form.value.is_empty() {
        return Err(crate::act::usage("a secret needs a value"));
    }
    visit.tell(Method::PUT, &path, form.value.into_bytes()).await?;
    Ok(format!("secret {} of {} has a new value; services that use it roll", form.name.trim(), form.app))
}

/// `POST /act/secret/remove`.
pub async fn remove(visit: Visit, Form(form): Form<Set>) -> Response {
    let done = match path(&form) {
        Ok(path) => visit.tell(Method::DELETE, &path, Vec::new()).await,
        Err(problem) => Err(problem),
    };
    page::did(done.map(|()| format!("secret {} of {} is removed", form.name, form.app)))
}

fn path(form: &Set) -> Result<String, Problem> {
    let app = named(form.app.trim())?;
    Ok(format!("/v1/apps/{app}/secrets/{}", crate::api::encoded(form.name.trim())))
}
