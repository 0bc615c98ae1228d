//! Packages: what kinds of services there are, what each takes and can do, and how one is made of them.

use crate::act::usage;
use crate::app::named;
use crate::field;
use crate::page::{self, Noun};
use crate::plan::{self, Change};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::http::Method;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, ApplyRequest, ServiceSpec};
use lace_model::package::{PackageRef, ReleaseWish, Role, StoredPackage};
use lace_model::release::ReleaseRef;
use lace_model::{Millis, Name, Problem, ServiceName};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where the form of a new service goes.
const TO: &str = "/act/service";

#[derive(Template)]
#[template(path = "packages.html")]
struct Packages {
    now: Millis,
    packages: Vec<StoredPackage>,
}

/// `GET /packages`.
pub async fn list(visit: Visit) -> Response {
    let packages: Result<Vec<StoredPackage>, Problem> = all(&visit).await;
    let made = packages.map(|packages| Packages { now: visit.now, packages });
    visit.page("Packages", Noun::Packages, made).await
}

/// All of them, by name, the newest of a name first.
pub async fn all(visit: &Visit) -> Result<Vec<StoredPackage>, Problem> {
    let mut packages: Vec<StoredPackage> = visit.get("/v1/packages").await?;
    packages.sort_by(|a, b| (&a.spec.name, b.uploaded_at).cmp(&(&b.spec.name, a.uploaded_at)));
    Ok(packages)
}

/// How many nodes a role may have, in words.
fn bounds(role: &Role) -> String {
    role.bounds().to_string()
}

/// What a package does with a release of the user's.
fn release(wish: &ReleaseWish) -> &'static str {
    match wish {
        ReleaseWish::None => "takes none",
        ReleaseWish::Optional => "may have one",
        ReleaseWish::Required => "needs one",
    }
}

#[derive(Deserialize)]
pub struct Which {
    package: String,
}

/// `POST /act/package/delete`.
pub async fn delete(visit: Visit, Form(form): Form<Which>) -> Response {
    let path = format!("/v1/packages/{}", crate::api::encoded(&form.package));
    let done = visit.tell(Method::DELETE, &path, Vec::new()).await;
    page::did(done.map(|()| format!("package {} is deleted", form.package)))
}

/// `POST /act/service`: a service of a package, planned first.
pub async fn create(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
    plan::answer(&visit, change(fields)).await
}

fn change(mut fields: Vec<(String, String)>) -> Result<Change, Problem> {
    let one = |key| field::one(&fields, key).trim();
    let app = named(one("app"))?;
    let name = ServiceName::new(one("service")).map_err(|e| usage(e.to_string()))?;
    let package = PackageRef::of(one("package")).ok_or_else(|| {
        usage(format!("{:?} is neither NAME nor NAME@VERSION of a package", one("package")))
    })?;
    let spec = ServiceSpec {
        package: Some(package),
        release: release_of(one("release"))?,
        settings: Some(settings(one("settings"))?).filter(|settings| !settings.is_empty()),
        ..ServiceSpec::default()
    };
    let spec = ApplicationSpec { services: [(name, spec)].into() };
    let plan = one(plan::DIGEST).to_owned();
    fields.retain(|(key, _)| key != plan::DIGEST);
    let request = ApplyRequest { app, spec, prune: false, delete_data: false, plan: None };
    Ok(Change { request, to: TO, fields, plan })
}

fn release_of(text: &str) -> Result<Option<ReleaseRef>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
    let name = Name::new(name).map_err(|e| usage(e.to_string()))?;
    Ok(Some(ReleaseRef { name, version: version.map(str::to_owned) }))
}

/// `NAME=VALUE`, one a line.
fn settings(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let pair =
            line.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| usage(format!("{line:?} is no setting")).hint("write NAME=VALUE"))
    };
    lines.map(pair).collect()
}
