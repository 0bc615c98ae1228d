//! The dashboard: pages for people, made from the API's answers and from nothing else.
//!
//! The API comes in as a router and is called in this process with the visitor's own credentials, so that a page can
//! show and do exactly what its visitor may. Each noun has one page, made on the server; the browser asks for it again
//! when the event feed says that something happened, and swaps what changed. This room keeps no state, knows no store,
//! and takes no decision.

mod act;
mod action;
mod api;
mod app;
mod asset;
mod audit;
mod drawing;
mod event;
mod family;
mod field;
mod help;
mod host;
mod job;
mod login;
mod node;
mod operation;
mod overview;
mod package;
mod page;
mod plan;
mod release;
mod revision;
mod route;
mod secret;
mod server;
mod squares;
mod token;
mod visit;
mod words;

use api::Api;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{get, post};
pub use help::CommandHelp;
use page::Noun;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

/// Largest form: a manifest.
const FORM_BYTES_MAX: usize = 1 << 20;

/// What the pages know of the house they are in.
#[derive(Clone)]
struct Dashboard {
    api: Api,
    version: String,
    secure: bool,
    commands: Arc<[CommandHelp]>,
}

/// What the composition says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Version of the binary.
    pub version: String,
    /// Visitors come through TLS: cookies say so.
    pub secure: bool,
    /// The commands' help, for the manual.
    pub commands: Vec<CommandHelp>,
}

/// The pages at `/`, and behind them the whole API for everything else.
pub fn router(api: Router, config: Config) -> Router {
    if !asset::is_bundled() {
        tracing::warn!("built without the browser's bundle: pages are still; `make build` makes them live");
    }
    let Config { version, secure, commands } = config;
    let dashboard = Dashboard { api: Api::new(api.clone()), version, secure, commands: commands.into() };
    let pages = Router::new()
        .merge(looks())
        .merge(deeds())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .with_state(dashboard)
        .layer(CompressionLayer::new());
    pages.fallback_service(api)
}

fn looks() -> Router<Dashboard> {
    Router::new()
        .route("/", get(overview::show))
        .route("/apps", get(app::list))
        .route("/apps/{app}", get(app::show))
        .route("/apps/{app}/{service}", get(family::of_service))
        .route("/apps/{app}/{service}/{family}", get(family::show))
        .route("/apps/{app}/{service}/{family}/{index}", get(node::show))
        .route("/apps/{app}/{service}/{family}/rollback/{number}", get(revision::back))
        .route("/nodes", get(node::list))
        .route("/hosts", get(host::list))
        .route("/hosts/{name}", get(host::show))
        .route("/routes", get(route::list))
        .route("/releases", get(release::list))
        .route("/operations", get(operation::list))
        .route("/operations/{id}", get(operation::show))
        .route("/events", get(event::list))
        .route("/jobs", get(job::list))
        .route("/jobs/{id}", get(job::show))
        .route("/secrets", get(secret::list))
        .route("/tokens", get(token::list))
        .route("/audit", get(audit::list))
        .route("/server", get(server::show))
        .route("/help", get(help::manual))
        .route("/help/errors", get(help::errors))
        .route("/help/api", get(help::api))
        .route("/login", get(login::form).post(login::with_token))
        .route("/assets/{version}/{name}", get(asset::serve))
}

fn deeds() -> Router<Dashboard> {
    Router::new()
        .route("/act/verb", post(act::verb))
        .route("/act/firewall", post(act::firewall))
        .route("/act/action", post(action::act))
        .route("/act/manifest", post(app::manifest))
        .route("/act/settings", post(package::set))
        .route("/act/app", post(app::create))
        .route("/act/secret", post(secret::set))
        .route("/act/secret/remove", post(secret::remove))
        .route("/act/host", post(host::act))
        .route("/act/job", post(job::run))
        .route("/act/job/cancel", post(job::cancel))
        .route("/act/operation/cancel", post(operation::cancel))
        .route("/act/release/delete", post(release::delete))
        .route("/act/token", post(token::create))
        .route("/act/token/delete", post(token::delete))
        .route("/act/adopted", post(server::adopted))
        .route("/act/logout", post(login::out))
}

/// The answer where a page's parts cannot be read from its path.
async fn nothing_here(visit: &visit::Visit, what: &str) -> Response {
    visit
        .refused(
            Noun::Overview,
            &lace_model::Problem::not_found(what).hint("the overview lists what there is"),
        )
        .await
}
