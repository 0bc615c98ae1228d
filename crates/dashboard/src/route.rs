//! Routes: who serves what, and what doors carried in the last seconds.

use crate::act::{target, usage};
use crate::page::{self, Noun};
use crate::visit::Visit;
use askama::Template;
use axum::Form;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, ServiceSpec};
use lace_model::route::{RouteSpec, host_name, path_prefix, usual_host};
use lace_model::{Millis, Problem, ServicePath};
use lace_wire::api::{Accepted, AppSummary};
use lace_wire::flow::{FlowOf, FlowView};
use lace_wire::route::RouteView;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rows of a table.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "routes.html")]
struct Routes {
    now: Millis,
    routes: Vec<Row>,
    tables: Vec<Table>,
    /// Services that may have another way in.
    services: Vec<String>,
}

/// Families, or nodes.
struct Table {
    id: &'static str,
    title: &'static str,
    flows: Vec<FlowView>,
}

struct Row {
    view: RouteView,
    flow: Option<FlowView>,
}

/// `GET /routes`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Routes", Noun::Routes, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Routes, Problem> {
    let views: Vec<RouteView> = visit.get("/v1/routes").await?;
    let flows: Vec<FlowView> = visit.get("/v1/flows").await?;
    let of = |kind: FlowOf| flows.iter().filter(move |flow| flow.kind == kind).cloned();
    let by_name: BTreeMap<String, FlowView> =
        of(FlowOf::Route).map(|flow| (flow.name.clone(), flow)).collect();
    let row = |view: RouteView| Row { flow: by_name.get(&view.door).cloned(), view };
    let table = |id, title, kind| Table { id, title, flows: of(kind).take(SHOWN).collect() };
    let mut tables =
        vec![table("families", "Families", FlowOf::Family), table("nodes", "Nodes", FlowOf::Node)];
    tables.retain(|table| !table.flows.is_empty());
    let services = services(visit).await?;
    Ok(Routes { now: visit.now, routes: views.into_iter().map(row).take(SHOWN).collect(), tables, services })
}

async fn services(visit: &Visit) -> Result<Vec<String>, Problem> {
    let apps: Vec<AppSummary> = visit.get("/v1/apps").await?;
    let mut found = Vec::new();
    for app in apps {
        let spec: ApplicationSpec = visit.get(&format!("/v1/apps/{}/export", app.name)).await?;
        found.extend(spec.services.keys().map(|name| format!("{}/{name}", app.name)));
    }
    Ok(found)
}

impl Row {
    fn certificate(&self, now: &Millis) -> String {
        certificate(&self.view, *now)
    }

    /// A certificate that ends soon stands out.
    fn ends_soon(&self, now: &Millis) -> bool {
        ends_soon(&self.view, *now)
    }

    /// The host name of a certificate that Lace obtained, and can obtain again.
    fn renewed(&self) -> Option<&str> {
        let source = self.view.certificate_source.as_deref()?;
        (source != "given").then(|| self.view.door.split('/').next().unwrap_or_default())
    }
}

/// When a route's certificate ends, in words.
pub fn certificate(route: &RouteView, now: Millis) -> String {
    match route.certificate_until {
        None => "plain".into(),
        Some(end) if end <= now => "ended".into(),
        Some(end) => format!("{} days", (end - now) / 86_400_000),
    }
}

/// Does it end in two weeks, or sooner?
pub fn ends_soon(route: &RouteView, now: Millis) -> bool {
    const SOON_MS: Millis = 14 * 86_400_000;
    route.certificate_until.is_some_and(|end| end < now + SOON_MS)
}

/// `POST /act/route`: another way in, one fewer, or another certificate for one.
pub async fn act(visit: Visit, Form(form): Form<Deed>) -> Response {
    page::accepted(done(&visit, &form).await)
}

#[derive(Deserialize)]
pub struct Deed {
    verb: String,
    #[serde(default)]
    target: String,
    /// As the list says it: of a route that is there.
    #[serde(default)]
    door: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    listen: String,
    #[serde(default)]
    port: String,
}

async fn done(visit: &Visit, form: &Deed) -> Result<Accepted, Problem> {
    let target = target(form.target.trim())?;
    if form.verb == "renew" {
        let path = format!("/v1/apps/{}/certificates/{}/renew", target.app, crate::api::encoded(&form.host));
        return visit.post(&path, &()).await;
    }
    let name = target.service.clone().ok_or_else(|| usage(format!("{target} is not a service")))?;
    let service = ServicePath { app: target.app, service: name };
    let mut routes = live(visit, &service).await?;
    let usual = usual_host(&service);
    match form.verb.as_str() {
        "add" => {
            let route = said(form)?;
            routes.retain(|other| other.door(&usual) != route.door(&usual));
            routes.push(route);
        }
        "remove" => routes.retain(|route| route.door(&usual) != form.door),
        other => return Err(usage(format!("there is no verb {other:?}"))),
    }
    let spec = ServiceSpec { routes: Some(routes), ..ServiceSpec::default() };
    crate::act::apply(visit, service, spec).await
}

async fn live(visit: &Visit, service: &ServicePath) -> Result<Vec<RouteSpec>, Problem> {
    let mut spec: ApplicationSpec = visit.get(&format!("/v1/apps/{}/export", service.app)).await?;
    let found = spec.services.remove(&service.service);
    Ok(found.ok_or_else(|| Problem::not_found(format!("service {service}")))?.routes.unwrap_or_default())
}

/// A route as a form says it: a host name and a path, or a port that hosts listen on.
fn said(form: &Deed) -> Result<RouteSpec, Problem> {
    let number = |text: &str, what: &str| {
        let number = text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        number.ok_or_else(|| usage(format!("{what}: {text:?} is not a port")))
    };
    let usual = RouteSpec::new(number(&form.port, "port of the nodes")?);
    let (host, path, listen) = (form.host.trim(), form.path.trim(), form.listen.trim());
    if !listen.is_empty() {
        if !host.is_empty() {
            return Err(usage("a route has a host name, or a port that hosts listen on, not both"));
        }
        return Ok(RouteSpec { listen: Some(number(listen, "port that hosts listen on")?), ..usual });
    }
    let host = (!host.is_empty()).then(|| host_name(host)).transpose().map_err(usage)?;
    let path = path_prefix(if path.is_empty() { "/" } else { path }).map_err(usage)?;
    Ok(RouteSpec { host, path, ..usual })
}

/// A rate with one digit.
pub fn rate(per_second: &f64) -> String {
    format!("{per_second:.1}")
}

/// The bound that so many answers were within.
pub fn within(ms: &Option<u64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms) if *ms > 10_000 => "over 10 s".into(),
        Some(ms) => format!("{ms} ms"),
    }
}
