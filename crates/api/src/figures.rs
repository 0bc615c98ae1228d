//! Figures of nodes of packages: what their hosts read last, with what their packages say about them.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::ServicePath;
use lace_model::package::{Figure, Metric, MetricKind, Package};
use lace_model::target::Want;
use lace_store::Blobs;
use lace_wire::api::{FigureView, NodeFigures};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// What is before the names of figures in Prometheus text.
const PREFIX: &str = "lace_package_";

/// `GET /v1/figures`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<NodeFigures>>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    Ok(Json(told(&state, &world, |path| ask.target.as_ref().is_none_or(|t| t.covers_node(path)))))
}

fn told(state: &ApiState, world: &World, wanted: impl Fn(&lace_model::NodePath) -> bool) -> Vec<NodeFigures> {
    let mut packages: HashMap<ServicePath, Option<Package>> = HashMap::new();
    let mut all = Vec::new();
    for (path, node) in world.planned().filter(|(path, node)| node.want == Want::Run && wanted(path)) {
        let Some((figures, age_ms)) = state.liveness.figures(node.id) else { continue };
        let service = path.family.service_path();
        let package =
            packages.entry(service.clone()).or_insert_with(|| package(state.store.blobs(), world, &service));
        let said = package.as_ref().map(|package| &package.metric);
        let figures = figures.iter().filter_map(|figure| view(figure, said)).collect();
        all.push(NodeFigures { path, age_ms, figures });
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn package(blobs: &Blobs, world: &World, service: &ServicePath) -> Option<Package> {
    let tree = world.revisions.get(service)?.spec.package.as_ref()?.tree;
    crate::package::pinned(blobs, &tree).ok()
}

/// A package that names figures means these alone.
fn view(figure: &Figure, said: Option<&BTreeMap<String, Metric>>) -> Option<FigureView> {
    let named = said.and_then(|said| said.get(&figure.name));
    if named.is_none() && said.is_some_and(|said| !said.is_empty()) {
        return None;
    }
    let named = named.cloned().unwrap_or(Metric {
        help: String::new(),
        unit: String::new(),
        kind: MetricKind::Gauge,
    });
    Some(FigureView {
        name: figure.name.clone(),
        labels: figure.labels.clone(),
        value: figure.value,
        unit: named.unit,
        counter: named.kind == MetricKind::Counter,
        help: named.help,
    })
}

/// The same as Prometheus text. Lines of one name stand together, as the format wants.
pub(crate) async fn write(state: &ApiState, caller: &Caller, body: &mut String) -> Answer<()> {
    let world = World::load(state, None, caller).await?;
    let mut lines: BTreeMap<String, (bool, String)> = BTreeMap::new();
    for node in told(state, &world, |_| true) {
        for figure in node.figures {
            let name = format!("{PREFIX}{}", figure.name.replace(':', "_"));
            let more = if figure.labels.is_empty() { String::new() } else { format!(",{}", figure.labels) };
            let (_, of_name) = lines.entry(name.clone()).or_insert((figure.counter, String::new()));
            // Writing to a string does not fail.
            let _ = writeln!(of_name, "{name}{{node=\"{}\"{more}}} {}", node.path, figure.value);
        }
    }
    for (name, (counter, lines)) in lines {
        let kind = if counter { "counter" } else { "gauge" };
        let _ = write!(body, "# TYPE {name} {kind}\n{lines}");
    }
    Ok(())
}
