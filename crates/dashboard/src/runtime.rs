//! The Erlang or Elixir runtime of a node: its figures, and its largest processes.

use crate::page;
use crate::visit::Visit;
use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use lace_model::vm::{Filled, RankBy, VmSample, VmTop};
use lace_model::{Code, Problem};
use lace_wire::api::BeamNode;
use lace_wire::beam::BeamReport;
use serde::Deserialize;

/// Processes shown.
const SHOWN: usize = 20;

/// What the runtime of a node says of itself; nothing where it has none.
pub async fn of(visit: &Visit, target: &str) -> Result<Option<BeamReport>, Problem> {
    let nodes: Result<Vec<BeamNode>, Problem> = visit.about("/v1/beam", target).await;
    match nodes {
        Ok(nodes) => Ok(nodes.into_iter().next().map(|node| node.report)),
        Err(problem) if problem.code == Code::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// How long it has been up, in words.
pub fn up_for(sample: &VmSample) -> String {
    crate::words::span(sample.uptime_ms)
}

/// What there may not be any number of.
pub fn limits(sample: &VmSample) -> [(&'static str, Filled); 5] {
    let queue = sample.run_queue + sample.run_queue_dirty_cpu + sample.run_queue_dirty_io;
    [
        ("processes", sample.processes),
        ("ports", sample.ports),
        ("atoms", sample.atoms),
        ("ETS tables", sample.ets),
        ("ready to run", Filled { count: queue, limit: 0 }),
    ]
}

/// Memory in bytes, by what has it.
pub fn memory(sample: &VmSample) -> [(&'static str, u64); 7] {
    let memory = &sample.memory;
    [
        ("all", memory.total),
        ("processes", memory.processes),
        ("binaries", memory.binary),
        ("ETS tables", memory.ets),
        ("code", memory.code),
        ("atoms", memory.atom),
        ("other", memory.system.saturating_sub(memory.binary + memory.ets + memory.code + memory.atom)),
    ]
}

#[derive(Template)]
#[template(path = "top.html")]
struct Top {
    top: VmTop,
}

/// `?by=`: what the largest are the largest of.
#[derive(Deserialize)]
pub struct By {
    #[serde(default)]
    by: RankBy,
}

/// `GET /apps/{app}/{service}/{family}/{index}/top`.
pub async fn top(
    visit: Visit,
    Path(parts): Path<(String, String, String, String)>,
    Query(by): Query<By>,
) -> Response {
    let (app, service, family, index) = parts;
    let target = format!("{app}/{service}/{family}/{index}");
    match load(&visit, &target, by.by).await.map(|top| top.render()) {
        Ok(text) => page::html(StatusCode::OK, text.unwrap_or_default()),
        Err(problem) => page::did(Err(problem)),
    }
}

async fn load(visit: &Visit, target: &str, by: RankBy) -> Result<Top, Problem> {
    let path = format!("/v1/beam/top?target={}&most={SHOWN}", crate::api::encoded(target));
    let mut top: VmTop = visit.get(&path).await?;
    top.top.sort_by_key(|process| {
        std::cmp::Reverse(match by {
            RankBy::Memory => process.memory,
            RankBy::Reductions => process.reductions,
            RankBy::Messages => process.messages,
        })
    });
    top.top.truncate(SHOWN);
    Ok(Top { top })
}
