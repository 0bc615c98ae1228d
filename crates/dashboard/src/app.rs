//! Applications: the list, and one with its drawing, its manifest, its secrets.

use crate::drawing;
use crate::operation::{Under, under_way};
use crate::page::{self, Noun};
use crate::plan::{self, Change};
use crate::visit::Visit;
use crate::words::Markup;
use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, ApplyRequest};
use lace_model::event::Event;
use lace_model::family::Application;
use lace_model::manifest::{self, Options};
use lace_model::release::Release;
use lace_model::secret::SecretInfo;
use lace_model::{AppName, Code, Millis, Problem};
use lace_wire::api::{AppStatus, AppSummary, Status};
use serde::Deserialize;

/// Events shown on an application's page.
const EVENTS_SHOWN: usize = 15;

#[derive(Template)]
#[template(path = "apps.html")]
struct Apps {
    now: Millis,
    apps: Vec<AppSummary>,
}

#[derive(Template)]
#[template(path = "app.html")]
struct Show {
    now: Millis,
    app: AppStatus,
    drawing: Markup,
    manifest: String,
    secrets: Vec<SecretInfo>,
    /// What a new service can be made of, and what it could run.
    packages: Vec<String>,
    releases: Vec<String>,
    running: Vec<Under>,
    events: Vec<Event>,
}

/// `GET /apps`.
pub async fn list(visit: Visit) -> Response {
    let apps = visit.get("/v1/apps").await.map(|apps| Apps { now: visit.now, apps });
    visit.page("Applications", Noun::Apps, apps).await
}

/// `GET /apps/{app}`.
pub async fn show(visit: Visit, Path(app): Path<String>) -> Response {
    visit.page(&app, Noun::Apps, load(&visit, &app).await).await
}

async fn load(visit: &Visit, name: &str) -> Result<Show, Problem> {
    let name = named(name)?;
    let status: Status = visit.about("/v1/status", name.as_str()).await?;
    let app =
        status.apps.into_iter().next().ok_or_else(|| Problem::not_found(format!("application {name}")))?;
    let spec: ApplicationSpec = visit.get(&format!("/v1/apps/{name}/export")).await?;
    let secrets = visit.get(&format!("/v1/apps/{name}/secrets")).await?;
    let mut events: Vec<Event> =
        visit.get(&format!("/v1/events?subject={name}&limit={EVENTS_SHOWN}")).await?;
    events.sort_by_key(|e| std::cmp::Reverse(e.seq));
    let mut running = under_way(visit).await?;
    running.retain(|o| o.subject.split('/').next() == Some(name.as_str()));
    let packages = crate::catalog::all(visit).await?;
    let releases: Vec<Release> = visit.get("/v1/releases").await?;
    Ok(Show {
        now: visit.now,
        packages: packages.iter().map(|package| package.spec.key()).collect(),
        releases: releases.iter().map(|release| format!("{}@{}", release.name, release.version)).collect(),
        drawing: drawing::of(&app, &spec),
        manifest: manifest::to_toml(&name, &spec),
        app,
        secrets,
        running,
        events,
    })
}

/// A name from a path or a form.
pub fn named(text: &str) -> Result<AppName, Problem> {
    AppName::new(text).map_err(|e| Problem::new(Code::Usage, e.to_string()))
}

#[derive(Deserialize)]
pub struct Create {
    name: String,
}

/// `POST /act/app`.
pub async fn create(visit: Visit, Form(form): Form<Create>) -> Response {
    page::did(make(&visit, form.name.trim()).await)
}

async fn make(visit: &Visit, name: &str) -> Result<String, Problem> {
    let name = named(name)?;
    let made: Application = visit.post(&format!("/v1/apps/{name}"), &()).await?;
    Ok(format!("application {} is made", made.name))
}

/// A manifest as text; `plan` is the digest of the plan that was shown.
#[derive(Deserialize)]
pub struct ManifestForm {
    text: String,
    #[serde(default)]
    prune: Option<String>,
    #[serde(default)]
    plan: String,
}

/// `POST /act/manifest`: a manifest, planned first.
pub async fn manifest(visit: Visit, Form(form): Form<ManifestForm>) -> Response {
    plan::answer(&visit, change(form)).await
}

fn change(form: ManifestForm) -> Result<Change, Problem> {
    let request = request(&form)?;
    let prune = form.prune.map(|on| ("prune".to_owned(), on));
    let fields = [("text".to_owned(), form.text)].into_iter().chain(prune).collect();
    Ok(Change { request, to: "/act/manifest", fields, plan: form.plan })
}

fn request(form: &ManifestForm) -> Result<ApplyRequest, Problem> {
    let read = manifest::parse(&form.text, &Options::default()).map_err(|m| manifest::problem(&m))?;
    if let Some(later) = read.later.first() {
        let message = format!("line {}: `{}` is not yet supported", later.line, later.key);
        return Err(Problem::new(Code::InvalidManifest, message).hint("leave it out for now"));
    }
    if !read.sources.is_empty() || !read.files.is_empty() {
        let message = "the manifest names files, which are on your machine and not in this page";
        return Err(Problem::new(Code::InvalidManifest, message).hint(
            "name an uploaded release: release = \"NAME@VERSION\"; or type `lace apply` beside the files",
        ));
    }
    Ok(ApplyRequest {
        app: read.app,
        spec: read.spec,
        prune: form.prune.is_some(),
        delete_data: false,
        plan: None,
    })
}
