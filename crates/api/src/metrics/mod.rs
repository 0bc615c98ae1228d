//! Numbers for Prometheus (text exposition format 0.0.4), made from store and liveness at each request.

mod doors;

use crate::caller::Caller;
use crate::figures;
use crate::refusal::Answer;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lace_model::adopted::Adopted;
use lace_model::family::{Application, Family};
use lace_model::host::Host;
use lace_model::job::{Job, JobState};
use lace_model::node::NodeStatus;
use lace_model::operation::{Operation, OperationState};
use lace_store::View;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The media type of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4";

/// `GET /metrics`.
pub(crate) async fn show(State(state): State<ApiState>, caller: Caller) -> Answer<Response> {
    let mut gauges = state.store.snapshot_async(stored).await?;
    let hosts = state.liveness.all();
    let connected = hosts.values().filter(|l| l.connected).count();
    let fullest = hosts.values().map(|l| l.disk_used_permille).max().unwrap_or(0);
    gauges.push(("lace_hosts_connected", "Hosts with a session now.", connected as u64));
    gauges.push(("lace_hosts_disk_used_permille_max", "The fullest host's disk.", u64::from(fullest)));
    gauges.push(("lace_store_revision", "Revision of the state.", state.store.watch().borrow().0));
    gauges.push(("lace_events_total", "Number of the newest event.", *state.store.watch_events().borrow()));
    let mut body = text(&gauges);
    runtimes(&state, &mut body).await?;
    carried(&state, &mut body).await?;
    figures::write(&state, &caller, &mut body).await?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], body).into_response())
}

/// The numbers of Erlang runtimes, each with its node. Lines of one name stand together, as the format wants.
async fn runtimes(state: &ApiState, body: &mut String) -> Answer<()> {
    let nodes = state.store.snapshot_async(|view| view.list::<NodeStatus>("")).await?;
    let mut lines: BTreeMap<(&'static str, &'static str), String> = BTreeMap::new();
    let up = nodes.iter().map(|row| &row.value).filter(|node| node.is_up());
    let ours = up.filter_map(|node| Some((node.path.clone(), state.liveness.vm(node.id)?)));
    let adopted = state.store.snapshot_async(|view| view.list::<Adopted>("")).await?;
    let adopted = adopted.into_iter().map(|row| row.value.path);
    let adopted = adopted.filter_map(|path| Some((path.clone(), state.adopted.sample(&path)?)));
    for (path, sample) in ours.chain(adopted) {
        for metric in sample.metrics() {
            let of_name = lines.entry((metric.name, metric.kind.as_str())).or_default();
            let label = metric.label.map_or(String::new(), |(name, value)| format!(",{name}={value:?}"));
            // Writing to a string does not fail.
            let _ = writeln!(of_name, "{}{{node=\"{}\"{label}}} {}", metric.name, path, metric.value);
        }
    }
    for ((name, kind), lines) in lines {
        let _ = write!(body, "# TYPE {name} {kind}\n{lines}");
    }
    Ok(())
}

/// What the doors of the hosts carried.
async fn carried(state: &ApiState, body: &mut String) -> Answer<()> {
    let hosts = state.store.snapshot_async(|view| view.list::<Host>("")).await?;
    let name = |id| hosts.iter().find(|row| row.value.id == id).map(|row| row.value.name.to_string());
    let told = state.liveness.traffic().into_iter();
    let mut doors: Vec<_> = told.filter_map(|(host, traffic)| Some((name(host)?, traffic))).collect();
    doors.sort_by(|(a, _), (b, _)| a.cmp(b));
    doors::write(&doors, body);
    Ok(())
}

type Gauge = (&'static str, &'static str, u64);

fn stored(view: &View<'_>) -> lace_store::Result<Vec<Gauge>> {
    let families = view.list::<Family>("")?;
    let wanted = families.iter().map(|f| if f.value.running { u64::from(f.value.count) } else { 0 }).sum();
    let nodes = view.list::<NodeStatus>("")?;
    let (up, ready) = nodes.iter().fold((0, 0), |(up, ready), row| {
        (up + u64::from(row.value.is_up()), ready + u64::from(row.value.ready))
    });
    let jobs = view.list::<Job>("")?;
    let jobs_in = |state| jobs.iter().filter(|j| j.value.state == state).count() as u64;
    let operations = view.list::<Operation>("")?;
    let running = operations.iter().filter(|o| o.value.state == OperationState::Running).count() as u64;
    Ok(vec![
        ("lace_apps", "Applications.", view.list::<Application>("")?.len() as u64),
        ("lace_families", "Families.", families.len() as u64),
        ("lace_nodes_wanted", "Nodes that shall run.", wanted),
        ("lace_nodes_up", "Nodes whose process runs.", up),
        ("lace_nodes_ready", "Nodes that are ready.", ready),
        ("lace_hosts", "Hosts, connected or not.", view.list::<Host>("")?.len() as u64),
        ("lace_jobs_queued", "Jobs that wait for room.", jobs_in(JobState::Queued)),
        ("lace_jobs_running", "Jobs on hosts.", jobs_in(JobState::Running)),
        ("lace_operations_running", "Operations under way.", running),
        ("lace_epoch", "The epoch.", view.meta()?.epoch),
    ])
}

fn text(gauges: &[Gauge]) -> String {
    let mut text = String::new();
    for (name, help, value) in gauges {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    text
}
