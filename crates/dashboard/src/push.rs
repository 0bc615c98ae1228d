//! Code by git: what to type to push releases of a service, and the keys that may.

use crate::act::target;
use crate::page;
use crate::visit::Visit;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::{Name, Problem, TargetPath};
use lace_wire::api::{Accepted, KeyRequest, PushView};
use serde::Deserialize;

/// How releases of a service are pushed.
pub async fn of(visit: &Visit, service: &str) -> Result<PushView, Problem> {
    visit.about("/v1/pushes", service).await
}

#[derive(Deserialize)]
pub struct Deed {
    verb: String,
    target: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    auto_enable: Option<String>,
}

/// `POST /act/key`: lets a key push, or push no more.
pub async fn act(visit: Visit, Form(form): Form<Deed>) -> Response {
    page::did(done(&visit, form).await)
}

async fn done(visit: &Visit, form: Deed) -> Result<String, Problem> {
    let target = target(&form.target)?;
    match form.verb.as_str() {
        "add" => add(visit, target, form).await,
        "remove" => {
            let name = crate::api::encoded(&form.name);
            let path = format!("/v1/keys?target={}&name={name}", crate::api::encoded(&form.target));
            let done: Accepted = visit.send(Method::DELETE, &path, &()).await?;
            Ok(done.message)
        }
        other => Err(crate::act::usage(format!("there is no verb {other:?}"))),
    }
}

async fn add(visit: &Visit, target: TargetPath, form: Deed) -> Result<String, Problem> {
    let name = Some(form.name.trim()).filter(|name| !name.is_empty()).map(Name::new).transpose();
    let name = name.map_err(|e| crate::act::usage(e.to_string()))?;
    let (key, auto_enable) = (form.key.trim().to_owned(), form.auto_enable.is_some());
    let service = target.to_string();
    let view: PushView = visit.post("/v1/keys", &KeyRequest { target, key, name, auto_enable }).await?;
    let added = view.keys.last().map(|key| key.name.to_string()).unwrap_or_default();
    Ok(format!("key {added} may push releases of {service}"))
}
