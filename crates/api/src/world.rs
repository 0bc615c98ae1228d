//! How things are: the stored rows of a target at one moment, read kind by kind, never row by row.

use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use lace_model::family::{Application, Family, Service};
use lace_model::host::Host;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_model::revision::Revision;
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::{
    AppName, FamilyPath, Generation, HostId, Millis, Name, NodeId, NodePath, ServicePath, TargetPath,
};
use lace_planner::{HealthLine, application_line, status_line};
use lace_store::{Result, Row, View};
use lace_wire::api::{Health, NodeView, RunningRevision};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Up to so many nodes are read one by one instead of all nodes of the installation.
const NODES_SINGLY_MAX: usize = 200;

/// Applications, their families and nodes, and all hosts.
#[derive(Default)]
pub(crate) struct World {
    pub now: Millis,
    pub apps: BTreeMap<AppName, Application>,
    pub services: BTreeMap<ServicePath, Service>,
    /// The wanted revision of each service.
    pub revisions: BTreeMap<ServicePath, Revision>,
    pub families: BTreeMap<FamilyPath, Family>,
    /// What most nodes of a family run, where it is not what is wanted.
    pub running: BTreeMap<FamilyPath, RunningRevision>,
    pub targets: BTreeMap<FamilyPath, Target>,
    pub observed: BTreeMap<NodeId, NodeStatus>,
    pub hosts: BTreeMap<HostId, Host>,
    pub pools: BTreeMap<Name, Arc<Pool>>,
    pub adopt: bool,
}

impl World {
    /// Reads what lies under a target (everything where none is named) and what the caller may see of it.
    ///
    /// # Errors
    /// Not found where the target names something that is not there; not allowed where the caller may not see it.
    pub async fn load(state: &ApiState, target: Option<&TargetPath>, caller: &Caller) -> Answer<Self> {
        if let Some(target) = target {
            caller.touches(&target.app)?;
        }
        let (asked, seen_by, now) = (target.cloned(), caller.clone(), state.now());
        let read =
            move |view: &View<'_>| Self { now, ..Self::read(view, asked.as_ref(), &seen_by)? }.whole(view);
        let world = state.store.snapshot_async(read).await?;
        target.map_or(Ok(()), |target| world.must_have(target))?;
        Ok(world)
    }

    fn read(view: &View<'_>, target: Option<&TargetPath>, caller: &Caller) -> Result<Self> {
        let app = target.map_or(String::new(), |t| t.app.to_string());
        let below = target.map_or(String::new(), |t| format!("{}/", t.app));
        let covers = |f: &FamilyPath| target.is_none_or(|t| t.covers(f)) && caller.sees(&f.app);
        let is_app = |a: &Application| target.is_none_or(|t| t.app == a.name) && caller.sees(&a.name);
        let is_service = |s: &ServicePath| {
            target.is_none_or(|t| t.service.as_ref().is_none_or(|n| *n == s.service)) && caller.sees(&s.app)
        };
        Ok(Self {
            apps: by(view.list(&app)?, |a: &Application| is_app(a).then(|| a.name.clone())),
            services: by(view.list(&below)?, |s: &Service| is_service(&s.path).then(|| s.path.clone())),
            families: by(view.list(&below)?, |f: &Family| covers(&f.path).then(|| f.path.clone())),
            targets: by(view.list(&below)?, |t: &Target| covers(&t.family).then(|| t.family.clone())),
            hosts: by(view.list("")?, |h: &Host| Some(h.id)),
            pools: priced(view)?,
            ..Default::default()
        })
    }

    /// Adds what is found through the rows that are there.
    fn whole(mut self, view: &View<'_>) -> Result<Self> {
        for service in self.services.values() {
            if let Some(revision) = crate::reads::revision(view, &service.path, service.revision)? {
                self.revisions.insert(service.path.clone(), revision);
            }
        }
        self.observed = self.nodes(view)?;
        self.running = self.not_as_wanted(view)?;
        self.adopt = view.meta()?.adopt;
        Ok(self)
    }

    fn nodes(&self, view: &View<'_>) -> Result<BTreeMap<NodeId, NodeStatus>> {
        let planned = self.targets.values().flat_map(|t| t.nodes.iter().map(|n| n.id));
        if planned.clone().count() > NODES_SINGLY_MAX {
            let mine = |n: &NodeStatus| self.families.contains_key(&n.path.family).then_some(n.id);
            return Ok(by(view.list("")?, mine));
        }
        let mut found = BTreeMap::new();
        for id in planned {
            if let Some(row) = view.get::<NodeStatus>(&id.to_string())? {
                found.insert(id, row.value);
            }
        }
        Ok(found)
    }

    fn not_as_wanted(&self, view: &View<'_>) -> Result<BTreeMap<FamilyPath, RunningRevision>> {
        let mut counts: BTreeMap<&FamilyPath, BTreeMap<u64, usize>> = BTreeMap::new();
        for node in self.observed.values().filter(|n| n.phase == NodePhase::Running) {
            *counts.entry(&node.path.family).or_default().entry(node.revision).or_default() += 1;
        }
        let mut running = BTreeMap::new();
        for family in self.families.values() {
            let of_family = counts.get(&family.path).into_iter().flatten();
            let Some((&revision, _)) = of_family.max_by_key(|(_, count)| **count) else { continue };
            if revision == family.revision {
                continue;
            }
            let row = crate::reads::revision(view, &family.path.service_path(), revision)?;
            let release = row.map(|r| r.spec.title()).unwrap_or_default();
            running.insert(family.path.clone(), RunningRevision { revision, release });
        }
        Ok(running)
    }

    fn must_have(&self, target: &TargetPath) -> Answer<()> {
        if !self.apps.contains_key(&target.app) {
            return Err(Refusal::not_found(format_args!("application {}", target.app)).hint("lace app list"));
        }
        let services: Vec<_> = self.services.keys().map(ToString::to_string).collect();
        if target.service.is_some() && services.is_empty() {
            let hint = format!("lace status {}", target.app);
            return Err(Refusal::not_found(format_args!("service {target}")).hint(hint));
        }
        if target.family.is_some() && self.families.is_empty() {
            let hint = format!("lace status {}", services.join(" "));
            return Err(Refusal::not_found(format_args!("family {target}")).hint(hint));
        }
        if target.index.is_some() && !self.planned().any(|(path, ..)| target.covers_node(&path)) {
            return Err(Refusal::not_found(format_args!("node {target}")).hint("lace node list"));
        }
        Ok(())
    }

    /// Every planned node with its place and its family's target.
    pub fn planned(&self) -> impl Iterator<Item = (NodePath, &PlannedNode)> {
        self.targets.values().flat_map(|t| t.nodes.iter().map(|n| (t.family.node(n.index), n)))
    }

    /// The health of a family.
    pub fn line(&self, family: &Family) -> HealthLine {
        status_line(family, self.targets.get(&family.path), &self.observed)
    }

    /// The health of an application's families.
    pub fn lines_of(&self, app: &AppName) -> Vec<HealthLine> {
        self.families.values().filter(|f| f.path.app == *app).map(|f| self.line(f)).collect()
    }

    /// The health behind several lines.
    pub fn health_of(&self, lines: &[HealthLine]) -> Health {
        health(application_line(lines).health)
    }

    /// The nodes of a family that are there, or shall be.
    pub fn views<'a>(
        &'a self,
        state: &'a ApiState,
        path: &'a FamilyPath,
    ) -> impl Iterator<Item = NodeView> + 'a {
        let nodes = self.targets.get(path).into_iter().flat_map(|t| t.nodes.iter().map(move |n| (t, n)));
        let avoided = avoided(state);
        nodes.filter_map(move |(target, node)| {
            let reported = self.observed.get(&node.id).cloned();
            if reported.is_none() && node.want == Want::Gone {
                return None;
            }
            let mut status = reported.unwrap_or_else(|| preparing(target, node));
            if status.detail.is_none() && status.ready {
                status.detail = avoided.get(&status.path.to_string()).cloned();
            }
            Some(self.view(state, status))
        })
    }

    fn view(&self, state: &ApiState, status: NodeStatus) -> NodeView {
        let liveness = state.liveness.liveness(status.host);
        NodeView {
            host: self.host_name(status.host),
            fqdn: status.path.fqdn(),
            host_connected: liveness.connected,
            host_seen: liveness.last_seen,
            status,
        }
    }

    /// The name of a host, or its id where it is gone.
    pub fn host_name(&self, id: HostId) -> String {
        self.hosts.get(&id).map_or_else(|| id.to_string(), |h| h.name.to_string())
    }
}

/// Pools with their prices as they are paid, the discount taken off: what placement goes by.
fn priced(view: &View<'_>) -> Result<BTreeMap<Name, Arc<Pool>>> {
    let providers = by(view.list("")?, |provider: &Provider| Some(provider.name.clone()));
    let price = |pool: &Pool| pool.price_net(providers.get(&pool.provider).and_then(|of| of.discount));
    let priced = |row: Row<Pool>| {
        let pool = Pool { price: price(&row.value), ..row.value };
        (pool.name.clone(), Arc::new(pool))
    };
    Ok(view.list::<Pool>("")?.into_iter().map(priced).collect())
}

/// Nodes that some door leaves alone, and why.
fn avoided(state: &ApiState) -> BTreeMap<String, String> {
    let doors = state.liveness.traffic();
    let all = doors.iter().flat_map(|(_, traffic)| &traffic.avoided);
    all.map(|one| {
        let words = format!("a door leaves it alone: {} requests in a row were not answered", one.failures);
        (one.node.clone(), words)
    })
    .collect()
}

fn by<T, K: Ord>(rows: Vec<Row<T>>, key: impl Fn(&T) -> Option<K>) -> BTreeMap<K, T> {
    rows.into_iter().filter_map(|row| Some((key(&row.value)?, row.value))).collect()
}

/// What is said of a node before its host's first report.
pub(crate) fn preparing(target: &Target, node: &PlannedNode) -> NodeStatus {
    NodeStatus {
        id: node.id,
        path: target.family.node(node.index),
        revision: node.revision,
        host: node.host,
        address: node.address,
        generation: Generation::default(),
        phase: NodePhase::Preparing,
        ready: false,
        since: node.planned_at,
        started_at: None,
        restarts: 0,
        exit: None,
        detail: Some("its host has not reported it yet".into()),
        alarms: Vec::new(),
        votes_seen: None,
        holds: false,
        joined: false,
    }
}

/// The planner's word as it travels.
pub(crate) fn health(word: lace_planner::Health) -> Health {
    match word {
        lace_planner::Health::Healthy => Health::Healthy,
        lace_planner::Health::Stopped => Health::Stopped,
        lace_planner::Health::Progressing => Health::Progressing,
        lace_planner::Health::Degraded => Health::Degraded,
        lace_planner::Health::Failed => Health::Failed,
    }
}
