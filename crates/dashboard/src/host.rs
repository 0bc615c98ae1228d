//! Hosts: what there is, how full, and whether they answer.

use crate::page::{self, Noun};
use crate::squares;
use crate::visit::Visit;
use crate::words::Markup;
use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use lace_model::event::Event;
use lace_model::pool::Pool;
use lace_model::{Millis, Problem};
use lace_wire::api::{Accepted, HostRequest, HostView, NodeView};
use serde::Deserialize;

/// Rows of hosts; the map shows all.
const SHOWN: usize = 200;
/// Events shown.
const EVENTS_SHOWN: usize = 10;

#[derive(Template)]
#[template(path = "hosts.html")]
struct Hosts {
    now: Millis,
    all: usize,
    hosts: Vec<HostView>,
    map: Markup,
}

#[derive(Template)]
#[template(path = "host.html")]
struct Show {
    now: Millis,
    view: HostView,
    nodes: Vec<NodeView>,
    pools: Vec<Pool>,
    events: Vec<Event>,
}

/// `GET /hosts`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Hosts", Noun::Hosts, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Hosts, Problem> {
    let mut hosts: Vec<HostView> = visit.get("/v1/hosts").await?;
    let pools: Vec<Pool> = visit.get("/v1/pools").await?;
    let (map, all) = (squares::of_hosts(&hosts, &pools), hosts.len());
    hosts.sort_by_key(|h| (crate::words::of_host(h).0, h.host.name.clone()));
    hosts.truncate(SHOWN);
    Ok(Hosts { now: visit.now, all, hosts, map })
}

/// `GET /hosts/{name}`.
pub async fn show(visit: Visit, Path(name): Path<String>) -> Response {
    visit.page(&name, Noun::Hosts, load_one(&visit, &name).await).await
}

async fn load_one(visit: &Visit, name: &str) -> Result<Show, Problem> {
    let hosts: Vec<HostView> = visit.get("/v1/hosts").await?;
    let view = hosts.into_iter().find(|h| h.host.name.as_str() == name);
    let view = view.ok_or_else(|| Problem::not_found(format!("host {name}")).hint("lace host list"))?;
    let nodes: Vec<NodeView> = visit.get(&format!("/v1/nodes?host={}", crate::api::encoded(name))).await?;
    let subject = crate::api::encoded(&format!("host/{name}"));
    let mut events: Vec<Event> =
        visit.get(&format!("/v1/events?subject={subject}&limit={EVENTS_SHOWN}")).await?;
    events.sort_by_key(|e| std::cmp::Reverse(e.seq));
    let pools = visit.get("/v1/pools").await?;
    Ok(Show { now: visit.now, view, nodes, pools, events })
}

impl Show {
    /// Is it a host of this pool?
    fn is_of(&self, pool: &Pool) -> bool {
        self.view.host.pool.as_ref() == Some(&pool.name)
    }
}

#[derive(Deserialize)]
pub struct Deed {
    name: String,
    verb: String,
    #[serde(default)]
    force: Option<String>,
    #[serde(default)]
    pool: String,
}

/// `POST /act/host`.
pub async fn act(visit: Visit, Form(form): Form<Deed>) -> Response {
    page::accepted(done(&visit, &form).await)
}

async fn done(visit: &Visit, form: &Deed) -> Result<Accepted, Problem> {
    let path = format!("/v1/hosts/{}", crate::api::encoded(&form.name));
    match form.verb.as_str() {
        "drain" | "undrain" => visit.post(&format!("{path}/{}", form.verb), &()).await,
        "remove" => {
            let path = if form.force.is_some() { format!("{path}?force=true") } else { path };
            visit.send(Method::DELETE, &path, &()).await
        }
        "pool" => visit.send(Method::PUT, &path, &HostRequest { pool: Some(form.pool.clone()) }).await,
        other => Err(crate::act::usage(format!("there is no verb {other:?}"))),
    }
}
