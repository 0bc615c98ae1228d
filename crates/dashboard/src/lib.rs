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
mod catalog;
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
mod people;
mod plan;
mod pool;
mod provider;
mod push;
mod release;
mod revision;
mod route;
mod runtime;
mod secret;
mod server;
mod squares;
mod token;
mod visit;
mod words;

use api::Api;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
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
        .merge(routed(looks()))
        .merge(routed(deeds()).route_layer(from_fn(login::own_form)))
        .route("/login", get(login::form).post(login::enter))
        .route("/sign-up", post(login::sign_up))
        .route("/assets/{version}/{name}", get(asset::serve))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .with_state(dashboard)
        .layer(CompressionLayer::new());
    pages.fallback_service(api)
}

/// A path, and what answers there.
type Route = (&'static str, MethodRouter<Dashboard>);

/// The pages, and the parts of pages that are asked for by themselves.
fn looks() -> Vec<Route> {
    vec![
        ("/", get(overview::show)),
        ("/apps", get(app::list)),
        ("/apps/{app}", get(app::show)),
        ("/apps/{app}/{service}", get(family::of_service)),
        ("/apps/{app}/{service}/{family}", get(family::show)),
        ("/apps/{app}/{service}/{family}/{index}", get(node::show)),
        ("/apps/{app}/{service}/{family}/rollback/{number}", get(revision::back)),
        ("/apps/{app}/{service}/{family}/{index}/top", get(runtime::top)),
        ("/nodes", get(node::list)),
        ("/hosts", get(host::list)),
        ("/hosts/{name}", get(host::show)),
        ("/providers", get(provider::list)),
        ("/routes", get(route::list)),
        ("/packages", get(catalog::list)),
        ("/releases", get(release::list)),
        ("/operations", get(operation::list)),
        ("/operations/{id}", get(operation::show)),
        ("/events", get(event::list)),
        ("/jobs", get(job::list)),
        ("/jobs/{id}", get(job::show)),
        ("/secrets", get(secret::list)),
        ("/people", get(people::list)),
        ("/account", get(people::account)),
        ("/tokens", get(token::list)),
        ("/audit", get(audit::list)),
        ("/server", get(server::show)),
        ("/help", get(help::manual)),
        ("/help/errors", get(help::errors)),
        ("/help/api", get(help::api)),
    ]
}

/// What forms are posted to.
fn deeds() -> Vec<Route> {
    vec![
        ("/act/verb", post(act::verb)),
        ("/act/firewall", post(act::firewall)),
        ("/act/action", post(action::act)),
        ("/act/manifest", post(app::manifest)),
        ("/act/settings", post(package::set)),
        ("/act/service", post(catalog::create)),
        ("/act/package/delete", post(catalog::delete)),
        ("/act/app", post(app::create)),
        ("/act/secret", post(secret::set)),
        ("/act/secret/remove", post(secret::remove)),
        ("/act/host", post(host::act)),
        ("/act/provider", post(provider::act)),
        ("/act/pool", post(pool::act)),
        ("/act/route", post(route::act)),
        ("/act/key", post(push::act)),
        ("/act/job", post(job::run)),
        ("/act/job/cancel", post(job::cancel)),
        ("/act/operation/cancel", post(operation::cancel)),
        ("/act/release/delete", post(release::delete)),
        ("/act/user", post(people::user)),
        ("/act/team", post(people::team)),
        ("/act/grant", post(people::grant)),
        ("/act/sign-up", post(people::sign_up)),
        ("/act/password", post(people::password)),
        ("/act/token", post(token::create)),
        ("/act/token/delete", post(token::delete)),
        ("/act/adopted", post(server::adopted)),
        ("/act/logout", post(login::out)),
    ]
}

fn routed(routes: Vec<Route>) -> Router<Dashboard> {
    routes.into_iter().fold(Router::new(), |router, (path, answers)| router.route(path, answers))
}

/// The paths of the pages, so that a test forgets none.
pub fn pages() -> Vec<&'static str> {
    looks().into_iter().map(|(path, _)| path).collect()
}

/// The paths that forms are posted to, so that a test forgets none.
pub fn forms() -> Vec<&'static str> {
    deeds().into_iter().map(|(path, _)| path).collect()
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
