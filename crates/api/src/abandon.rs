//! What `--force` gives up: nodes on hosts that do not answer. They count as gone from now on; when such a host comes
//! back, its document no longer names them, so it removes what is left of them.

use crate::refusal::Answer;
use crate::scene::Scene;
use crate::state::ApiState;
use lace_model::TargetPath;
use lace_model::job::{Job, JobState};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::target::{PlannedNode, Target};
use lace_store::{Batch, Expect};

/// Nodes, and jobs where they are asked for, under a target whose hosts do not answer.
pub(crate) struct Silent<'a> {
    nodes: Vec<(&'a Target, &'a PlannedNode)>,
    jobs: Vec<Job>,
    scene: &'a Scene,
}

impl<'a> Silent<'a> {
    /// Finds them.
    pub fn under(state: &ApiState, scene: &'a Scene, target: &TargetPath) -> Self {
        let targets = scene.targets.values().filter(|t| target.covers(&t.family));
        let all = targets.flat_map(|t| t.nodes.iter().map(move |n| (t, n)));
        let away = |host| !state.liveness.liveness(host).connected;
        let nodes = all.filter(|(_, n)| away(n.host)).collect();
        Self { nodes, jobs: Vec::new(), scene }
    }

    /// With the jobs under an application or a service, too.
    pub fn and_jobs(mut self, state: &ApiState, target: &TargetPath) -> Answer<Self> {
        if target.family.is_some() {
            return Ok(self);
        }
        let service = target.service_path();
        let under = |job: &Job| job.app == target.app && (service.is_none() || job.service == service);
        let away = |job: &Job| job.host.is_some_and(|host| !state.liveness.liveness(host).connected);
        let rows = state.store.list::<Job>("")?.into_iter().map(|row| row.value);
        self.jobs = rows.filter(|job| job.state == JobState::Running && under(job) && away(job)).collect();
        Ok(self)
    }

    /// A line for each, with what becomes of it.
    pub fn lines(&self, fate: &str) -> Vec<String> {
        let line = |(target, node): &(&Target, &PlannedNode)| {
            let host = self.scene.host_name(node.host);
            let path = target.family.node(node.index).short();
            format!("{path} ({}) {fate}: its host {host} does not answer", node.id)
        };
        let job = |job: &Job| {
            let host = job.host.map_or_else(String::new, |host| self.scene.host_name(host));
            format!("job {} {fate}: its host {host} does not answer", job.id)
        };
        self.nodes.iter().map(line).chain(self.jobs.iter().map(job)).collect()
    }

    /// Lets each count as gone.
    pub fn abandon(&self, state: &ApiState, batch: &mut Batch) {
        for (target, node) in &self.nodes {
            let status = NodeStatus {
                phase: NodePhase::Gone,
                ready: false,
                since: state.now(),
                detail: Some("abandoned with --force".into()),
                ..crate::world::preparing(target, node)
            };
            // Its host may have written last; what it said is given up.
            batch.put(&status, Expect::Any);
        }
        for job in &self.jobs {
            let (state, ended_at) = (JobState::Cancelled, Some(state.now()));
            let detail = Some("abandoned with --force".into());
            batch.put(&Job { state, ended_at, detail, cancel: true, ..job.clone() }, Expect::Any);
        }
    }
}
