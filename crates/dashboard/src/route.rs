//! Routes: who serves what, and what doors carried in the last seconds.

use crate::page::Noun;
use crate::visit::Visit;
use askama::Template;
use axum::response::Response;
use lace_model::{Millis, Problem};
use lace_wire::flow::{FlowOf, FlowView};
use lace_wire::route::RouteView;
use std::collections::BTreeMap;

/// Rows of a table.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "routes.html")]
struct Routes {
    now: Millis,
    routes: Vec<Row>,
    tables: Vec<Table>,
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
    Ok(Routes { now: visit.now, routes: views.into_iter().map(row).take(SHOWN).collect(), tables })
}

impl Row {
    /// When the certificate ends, in words.
    fn certificate(&self, now: &Millis) -> String {
        match self.view.certificate_until {
            None => "plain".into(),
            Some(end) if end <= *now => "ended".into(),
            Some(end) => format!("{} days", (end - now) / 86_400_000),
        }
    }

    /// A certificate that ends soon stands out.
    fn ends_soon(&self, now: &Millis) -> bool {
        const SOON_MS: Millis = 14 * 86_400_000;
        self.view.certificate_until.is_some_and(|end| end < now + SOON_MS)
    }
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
