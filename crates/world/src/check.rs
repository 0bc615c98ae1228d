//! What must always be so, and what must be so when the world is whole and quiet again.

use crate::host::Host;
use crate::plan::APPS;
use lace_model::family::{Application, Family};
use lace_model::job::{Job, JobState};
use lace_model::node::NodeStatus;
use lace_model::operation::{Operation, OperationState};
use lace_model::rollout::Phase;
use lace_model::target::{Target, Want};
use lace_model::task::NodeTask;
use lace_model::{CpuMillis, HostId, NodeId, NodePath};
use lace_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Looks at the hosts after each step.
#[derive(Default)]
pub struct Watch {
    /// Applications that were deleted by force: what was left of them on hosts is nobody's any more.
    abandoned: BTreeSet<usize>,
}

impl Watch {
    /// An application was deleted without waiting for its hosts.
    pub fn abandoned(&mut self, app: usize) {
        self.abandoned.insert(app);
    }

    /// What must be so at each moment.
    ///
    /// # Errors
    /// What is not.
    pub fn look(&self, hosts: &[Host]) -> Result<(), String> {
        self.never_two(hosts)?;
        for (n, host) in hosts.iter().enumerate() {
            if host.refused > 0 {
                return Err(format!("h{n} was told something older than what it has"));
            }
            let wanted = host.nodes.values().filter(|node| node.shall_run());
            let cpu: u32 = wanted.clone().map(|node| node.entry.spec.limits.cpu.0).sum();
            let memory: u64 = wanted.map(|node| node.entry.spec.limits.memory.0).sum();
            if CpuMillis(cpu) > host.capacity.cpu || memory > host.capacity.memory.0 {
                return Err(format!("h{n} shall carry {cpu} m and {memory} B, more than it can"));
            }
        }
        Ok(())
    }

    /// What has data of its own runs once at most.
    fn never_two(&self, hosts: &[Host]) -> Result<(), String> {
        let mut seen: BTreeMap<&NodePath, usize> = BTreeMap::new();
        for (n, host) in hosts.iter().enumerate().filter(|(_, host)| host.up.0) {
            let alive =
                host.nodes.values().filter(|node| node.is_alive() && !node.entry.spec.volumes.is_empty());
            for node in alive {
                let is_left =
                    self.abandoned.iter().any(|app| APPS[*app] == node.entry.path.family.app.as_str());
                if let Some(other) = seen.insert(&node.entry.path, n).filter(|_| !is_left) {
                    return Err(format!("{} runs on h{other} and on h{n}", node.entry.path));
                }
            }
        }
        Ok(())
    }
}

/// What must be so in the end.
///
/// # Errors
/// What is not.
pub fn at_the_end(store: &Store, hosts: &[Host]) -> Result<(), String> {
    let rows = Rows::of(store)?;
    rows.everything_is_deleted()?;
    rows.everybody_is_there()?;
    rows.nothing_else_runs(hosts)?;
    rows.everything_ends()
}

struct Rows {
    apps: Vec<Application>,
    families: Vec<Family>,
    targets: BTreeMap<String, Target>,
    statuses: BTreeMap<NodeId, NodeStatus>,
    operations: Vec<Operation>,
    jobs: Vec<Job>,
    tasks: Vec<NodeTask>,
}

impl Rows {
    fn of(store: &Store) -> Result<Self, String> {
        let no = |error: lace_store::StoreError| error.to_string();
        macro_rules! all {
            () => {
                store.list("").map_err(no)?.into_iter().map(|row| row.value)
            };
        }
        Ok(Self {
            apps: all!().collect(),
            families: all!().collect(),
            targets: all!().map(|target: Target| (target.family.to_string(), target)).collect(),
            statuses: all!().map(|status: NodeStatus| (status.id, status)).collect(),
            operations: all!().collect(),
            jobs: all!().collect(),
            tasks: all!().collect(),
        })
    }

    fn everything_is_deleted(&self) -> Result<(), String> {
        let app = self.apps.iter().find(|app| app.deleting).map(|app| app.name.to_string());
        let family =
            self.families.iter().find(|family| family.deleting).map(|family| family.path.to_string());
        match app.or(family) {
            Some(what) => Err(format!("{what} is still being deleted")),
            None => Ok(()),
        }
    }

    /// Each family has what it wants, or says why not.
    fn everybody_is_there(&self) -> Result<(), String> {
        for family in &self.families {
            let path = family.path.to_string();
            let wanted = if family.running { family.count as usize } else { 0 };
            let Some(target) = self.targets.get(&path) else {
                if wanted == 0 {
                    continue;
                }
                return Err(format!("{path} has no target"));
            };
            let runs = target.nodes.iter().filter(|node| node.want == Want::Run);
            let ready = runs.clone().filter(|n| self.statuses.get(&n.id).is_some_and(|s| s.ready)).count();
            let is_told = !target.reasons.is_empty()
                || target.rollout.as_ref().is_some_and(|rollout| rollout.phase != Phase::Done);
            if (ready, runs.count()) != (wanted, wanted) && !is_told {
                return Err(format!("{path}: {ready} of {wanted} are ready, and nobody says why"));
            }
        }
        Ok(())
    }

    /// On hosts runs what targets name, and nothing else.
    fn nothing_else_runs(&self, hosts: &[Host]) -> Result<(), String> {
        let planned: BTreeSet<(HostId, NodeId)> = self
            .targets
            .values()
            .flat_map(|target| &target.nodes)
            .filter(|node| node.want == Want::Run)
            .map(|node| (node.host, node.id))
            .collect();
        for (n, host) in hosts.iter().enumerate() {
            for node in host.nodes.values().filter(|node| node.is_alive() || node.shall_run()) {
                if !planned.contains(&(host.id, node.entry.id)) {
                    return Err(format!("h{n} runs {}, which no target names", node.entry.path));
                }
            }
        }
        let there =
            |(host, id): &(HostId, NodeId)| hosts.iter().any(|h| h.id == *host && h.nodes.contains_key(id));
        match planned.iter().find(|planned| !there(planned)) {
            Some((host, id)) => Err(format!("node {id} is planned on {host}, which does not know it")),
            None => Ok(()),
        }
    }

    fn everything_ends(&self) -> Result<(), String> {
        if let Some(open) = self.operations.iter().find(|o| o.state == OperationState::Running) {
            // What a person has to decide about may be waited for.
            let is_waited_for = self
                .families
                .iter()
                .any(|family| family.paused && open.waits.iter().any(|goal| goal.family == family.path));
            if !is_waited_for {
                return Err(format!("{} of {} never ends: {}", open.verb, open.subject, open.message));
            }
        }
        if let Some(task) = self.tasks.iter().find(|task| task.state.is_open()) {
            return Err(format!("a task for {} never ends", task.path));
        }
        match self.jobs.iter().find(|job| job.state == JobState::Running) {
            Some(job) => Err(format!("a job of {} never ends", job.app)),
            None => Ok(()),
        }
    }
}
