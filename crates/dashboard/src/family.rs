//! A family of nodes: how it is and why, its nodes, rollout, revisions, release, settings.

use crate::action;
use crate::package::{self, Sheet};
use crate::page::Noun;
use crate::squares;
use crate::visit::Visit;
use crate::words::{self, Markup};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use lace_model::application::{ApplicationSpec, FamilySpec, ServiceSpec};
use lace_model::check::{Check, Probe};
use lace_model::event::Event;
use lace_model::release::Release;
use lace_model::rollout::{Phase, Rollout, Strategy};
use lace_model::{Millis, NodePath, Problem, ServicePath};
use lace_wire::api::{
    BeamNode, BeamPart, Explanation, FamilyStatus, HistoryLine, NodeScripts, PushView, Status,
};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Rows of nodes on one page.
const NODES_SHOWN: usize = 100;
/// Above this, the nodes are shown as squares first.
const SQUARES_FROM: usize = 13;
/// Nodes whose mesh is drawn.
const MESH_MAX: usize = 40;
/// Nodes that are asked whom they see.
const ASKED_MAX: usize = 500;
/// Nodes that are told of among those that are not as planned.
const DEVIATING_SHOWN: usize = 50;
/// Events shown.
const EVENTS_SHOWN: usize = 15;
/// Revisions shown.
const REVISIONS_SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "family.html")]
struct Show {
    now: Millis,
    family: FamilyStatus,
    service: ServicePath,
    spec: ServiceSpec,
    sheet: Sheet,
    actions: Vec<action::Action>,
    runs: Vec<action::Run>,
    /// How releases of it are pushed.
    push: PushView,
    /// How the scripts of its code stand, where it has any.
    scripts: Option<Vec<NodeScripts>>,
    own: FamilySpec,
    history: Vec<HistoryLine>,
    why: Vec<String>,
    releases: Vec<Release>,
    events: Vec<Event>,
    squares: Option<Markup>,
    /// The runtimes of an Erlang or Elixir family; empty elsewhere.
    /// All that are drawn; of more than those, the ones that are not as planned.
    mesh: Vec<BeamNode>,
    /// A mesh that is too large to draw.
    parts: Vec<BeamPart>,
    /// Nodes that run its distributed application.
    holders: BTreeSet<NodePath>,
    /// First node shown, and how many there are.
    first: usize,
    count: usize,
}

/// `?from=`: the first of the nodes that are shown.
#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    from: usize,
}

/// `GET /apps/{app}/{service}`: its one family, or the first of several.
pub async fn of_service(visit: Visit, Path((app, service)): Path<(String, String)>) -> Response {
    let target = format!("{app}/{service}");
    let status: Result<Status, Problem> = visit.about("/v1/status", &target).await;
    match status {
        Ok(status) => match status.apps.iter().flat_map(|a| &a.families).next() {
            Some(family) => Redirect::to(&words::family_page(&family.path)).into_response(),
            None => crate::nothing_here(&visit, &format!("family of {target}")).await,
        },
        Err(problem) => visit.refused(Noun::Apps, &problem).await,
    }
}

/// `GET /apps/{app}/{service}/{family}`.
pub async fn show(
    visit: Visit,
    Path((app, service, family)): Path<(String, String, String)>,
    Query(from): Query<From>,
) -> Response {
    let target = format!("{app}/{service}/{family}");
    let title = format!("{app}/{service}");
    visit.page(&title, Noun::Apps, load(&visit, &target, from.from).await).await
}

async fn load(visit: &Visit, target: &str, from: usize) -> Result<Show, Problem> {
    let status: Status = visit.about("/v1/status", target).await?;
    let family = status.apps.into_iter().flat_map(|a| a.families).next();
    let mut family = family.ok_or_else(|| Problem::not_found(format!("family {target}")))?;
    let service = family.path.service_path();
    let mut spec: ApplicationSpec = visit.get(&format!("/v1/apps/{}/export", service.app)).await?;
    package::pin(visit, &service, &mut spec).await?;
    let packages = package::of_all(visit, &spec).await;
    let spec = spec.services.remove(&service.service).unwrap_or_default();
    let mut history: Vec<HistoryLine> = visit.about("/v1/history", &service.to_string()).await?;
    history.truncate(REVISIONS_SHOWN);
    let why: Explanation = visit.about("/v1/why", target).await?;
    let count = family.nodes.len();
    let squares = (count >= SQUARES_FROM).then(|| squares::of_nodes(&family.nodes));
    family.nodes.sort_by_key(|n| n.status.path.index);
    family.nodes = family.nodes.into_iter().skip(from).take(NODES_SHOWN).collect();
    let is_asked = (2..=ASKED_MAX).contains(&count) && spec.beam.is_some();
    // A mesh that cannot be looked at now is no reason to show nothing.
    let mut mesh: Vec<BeamNode> =
        if is_asked { visit.about("/v1/beam", target).await.unwrap_or_default() } else { Vec::new() };
    let holders = holders(&family, &mesh);
    let parts = if mesh.len() > MESH_MAX { BeamPart::of(&mesh) } else { Vec::new() };
    if !parts.is_empty() {
        mesh.retain(|node| !node.report.deviations().is_empty());
        mesh.truncate(DEVIATING_SHOWN);
    }
    let own = packages.get(&service.service);
    let scripts = match own {
        Some(package) => action::scripts(visit, &service, package, count).await,
        None => None,
    };
    Ok(Show {
        actions: own.map(action::of).unwrap_or_default(),
        runs: if own.is_some() { action::runs(visit, &service).await? } else { Vec::new() },
        scripts,
        push: crate::push::of(visit, &service.to_string()).await?,
        parts,
        holders,
        now: visit.now,
        sheet: package::sheet(&service.service, &spec, &packages),
        mesh,
        events: events(visit, &service).await?,
        releases: releases(visit).await?,
        own: spec.families.get(&family.path.family).cloned().unwrap_or_default(),
        why: why.lines,
        first: from,
        family,
        service,
        spec,
        history,
        squares,
        count,
    })
}

/// By the votes of the family, or by what its runtimes say.
fn holders(family: &FamilyStatus, mesh: &[BeamNode]) -> BTreeSet<NodePath> {
    let voted = family.nodes.iter().filter(|node| node.status.holds).map(|node| node.status.path.clone());
    let said = mesh.iter().filter(|node| node.report.runs_failover()).map(|node| node.path.clone());
    voted.chain(said).collect()
}

async fn events(visit: &Visit, service: &ServicePath) -> Result<Vec<Event>, Problem> {
    let path =
        format!("/v1/events?subject={}&limit={EVENTS_SHOWN}", crate::api::encoded(&service.to_string()));
    let mut events: Vec<Event> = visit.get(&path).await?;
    events.sort_by_key(|e| std::cmp::Reverse(e.seq));
    Ok(events)
}

async fn releases(visit: &Visit) -> Result<Vec<Release>, Problem> {
    let mut releases: Vec<Release> = visit.get("/v1/releases").await?;
    releases.sort_by_key(|r| std::cmp::Reverse(r.uploaded_at));
    Ok(releases)
}

impl Show {
    fn path(&self) -> String {
        self.family.path.to_string()
    }
    fn last(&self) -> usize {
        (self.first + NODES_SHOWN).min(self.count)
    }
    fn openings(&self) -> String {
        let openings = self.spec.firewall.iter().flatten();
        openings.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
    fn rollout(&self) -> Option<&Rollout> {
        self.family.rollout.as_ref()
    }
    /// The name of its release, without the version.
    fn release_name(&self) -> &str {
        self.family.release.split('@').next().unwrap_or_default()
    }
    /// Its distributed application, where Lace has its nodes vote on who runs it.
    fn voted(&self) -> Option<&str> {
        self.spec.beam.as_ref().filter(|beam| beam.is_voted())?.failover.as_deref()
    }
    /// The distributed application that a node runs.
    fn holds(&self, path: &NodePath) -> Option<&str> {
        self.spec.beam.as_ref()?.failover.as_deref().filter(|_| self.holders.contains(path))
    }
    /// Nodes that may take the distributed application over.
    fn backups(&self) -> Vec<u32> {
        let last = self.spec.beam.as_ref().map_or(0, |beam| beam.backups + 1);
        let free = self
            .family
            .nodes
            .iter()
            .map(|node| &node.status.path)
            .filter(|path| !self.holders.contains(path));
        free.map(|path| path.index).filter(|index| *index <= last).collect()
    }
    fn has_steps(&self) -> bool {
        self.spec.rollout.as_ref().is_some_and(|policy| policy.strategy == Strategy::Canary)
    }
    fn is_running(&self) -> bool {
        self.family.wanted > 0
    }
    fn before(&self) -> usize {
        self.first.saturating_sub(NODES_SHOWN)
    }
    /// Nodes at the rollout's revision and ready, in percent of the wanted.
    fn rolled(&self) -> u64 {
        let to = self.rollout().map(|r| r.to);
        let there =
            self.family.nodes.iter().filter(|n| n.status.ready && Some(n.status.revision) == to).count();
        words::percent(there as u64, u64::from(self.family.wanted))
    }
}

/// Where a rollout stands, as a state and a sentence.
fn phase(rollout: &Rollout) -> Markup {
    use words::State::{Bad, Good, Moving, Poor};
    match &rollout.phase {
        Phase::Rolling => Moving.mark("rolling"),
        Phase::Watching { .. } => Moving.mark("all ready, watched for a while"),
        Phase::Done => Good.mark("done"),
        Phase::Reverting { cause } => Bad.mark(&format!("going back: {cause}")),
        Phase::Reverted { cause } => Poor.mark(&format!("went back: {cause}")),
        Phase::Failed { cause } => Bad.mark(&format!("failed: {cause}")),
        Phase::Aborted => Poor.mark("aborted; the former revision comes back"),
    }
}

/// A check in a line.
fn check(check: &Check) -> String {
    let what = match &check.probe {
        Probe::Http { port, path } => format!("http :{port}{path}"),
        Probe::Tcp { port } => format!("tcp :{port}"),
        Probe::Exec { argv } => format!("exec {}", words::command(argv)),
    };
    format!("{what} every {}, {} failures count", check.interval, check.failures)
}
