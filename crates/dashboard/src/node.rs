//! Nodes: all of them with a filter, and one with its figures, its log and its shell.

use crate::page::Noun;
use crate::visit::Visit;
use crate::words;
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use lace_model::{Millis, Problem};
use lace_wire::api::{Explanation, NodeView, UsageView};
use lace_wire::beam::BeamReport;
use serde::Deserialize;

/// Rows on one page.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "nodes.html")]
struct Nodes {
    now: Millis,
    nodes: Vec<NodeView>,
    found: usize,
    all: usize,
    filter: String,
}

/// `?q=`: words that all have to occur.
#[derive(Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    q: String,
}

/// `GET /nodes`.
pub async fn list(visit: Visit, Query(filter): Query<Filter>) -> Response {
    visit.page("Nodes", Noun::Nodes, load(&visit, filter.q).await).await
}

async fn load(visit: &Visit, filter: String) -> Result<Nodes, Problem> {
    let mut nodes: Vec<NodeView> = visit.get("/v1/nodes").await?;
    let all = nodes.len();
    nodes.retain(|node| matches(node, &filter));
    // What is in trouble comes first.
    nodes.sort_by_key(|n| (words::of_node(&n.status, n.host_connected).0, n.status.path.clone()));
    let found = nodes.len();
    nodes.truncate(SHOWN);
    Ok(Nodes { now: visit.now, nodes, found, all, filter })
}

fn matches(node: &NodeView, filter: &str) -> bool {
    let (_, word) = words::of_node(&node.status, node.host_connected);
    let text = format!("{} {} {} {word}", node.status.path, node.host, node.status.address);
    filter.split_whitespace().all(|part| text.contains(part))
}

#[derive(Template)]
#[template(path = "node.html")]
struct Show {
    now: Millis,
    node: NodeView,
    usage: Option<UsageView>,
    why: Vec<String>,
    /// What its Erlang or Elixir runtime says of itself.
    beam: Option<BeamReport>,
}

/// `GET /apps/{app}/{service}/{family}/{index}`.
pub async fn show(visit: Visit, Path(parts): Path<(String, String, String, String)>) -> Response {
    let (app, service, family, index) = parts;
    let target = format!("{app}/{service}/{family}/{index}");
    visit.page(&target, Noun::Nodes, load_one(&visit, &target).await).await
}

async fn load_one(visit: &Visit, target: &str) -> Result<Show, Problem> {
    let nodes: Vec<NodeView> = visit.about("/v1/nodes", target).await?;
    // A node that goes and the one that comes for it have the same place: the newer one is shown.
    let node = nodes
        .into_iter()
        .max_by_key(|n| (n.status.phase != lace_model::node::NodePhase::Gone, n.status.since));
    let node = node
        .ok_or_else(|| Problem::not_found(format!("node {target}")).hint("it may have been scaled away"))?;
    let usage: Vec<UsageView> = visit.about("/v1/usage", target).await?;
    let why: Explanation = visit.about("/v1/why", target).await?;
    let beam = crate::runtime::of(visit, target).await?;
    Ok(Show { now: visit.now, usage: usage.into_iter().next(), node, why: why.lines, beam })
}

impl Show {
    fn path(&self) -> String {
        self.node.status.path.to_string()
    }
    /// The distributed application that it runs.
    fn holds(&self) -> Option<&str> {
        let report = self.beam.as_ref()?;
        report.failover.as_deref().filter(|_| self.node.status.holds || report.runs_failover())
    }
}
