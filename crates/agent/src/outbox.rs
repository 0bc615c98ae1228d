//! What the controller has to hear: the latest status of each node, job and task, sent when something changed.

use lace_model::document::TaskOutcome;
use lace_model::node::NodeStatus;
use lace_model::{JobId, NodeId, TaskId};
use lace_wire::link::frame::{JobReport, ToController};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Nodes in one frame at most: with 20 long last lines each it stays below the frame's bound.
const NODES_PER_REPORT: usize = 500;

/// The latest words, and which of them are news.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    nodes: HashMap<NodeId, NodeStatus>,
    nodes_new: BTreeSet<NodeId>,
    /// Removed by the controller: forgotten once told.
    nodes_leaving: BTreeSet<NodeId>,
    jobs: HashMap<JobId, JobReport>,
    jobs_new: BTreeSet<JobId>,
    /// Not acknowledged yet.
    tasks: BTreeMap<TaskId, TaskOutcome>,
    tasks_new: BTreeSet<TaskId>,
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node's status, as it is now.
    pub fn node(&self, status: &NodeStatus) {
        let mut state = self.state();
        if state.nodes.get(&status.id) == Some(status) {
            return;
        }
        state.nodes_new.insert(status.id);
        state.nodes.insert(status.id, status.clone());
        drop(state);
        self.news.notify_one();
    }

    /// A node that no statement names any more.
    pub fn forget_node(&self, id: NodeId) {
        let mut state = self.state();
        if state.nodes_new.contains(&id) {
            state.nodes_leaving.insert(id);
        } else {
            state.nodes.remove(&id);
        }
    }

    /// A job moved on.
    pub fn job(&self, report: JobReport) {
        let mut state = self.state();
        state.jobs_new.insert(report.job);
        state.jobs.insert(report.job, report);
        drop(state);
        self.news.notify_one();
    }

    /// A job that no statement names any more.
    pub fn forget_job(&self, id: JobId) {
        self.state().jobs.remove(&id);
    }

    /// A task ended; said at every session until acknowledged.
    pub fn task(&self, id: TaskId, outcome: TaskOutcome) {
        let mut state = self.state();
        state.tasks_new.insert(id);
        state.tasks.insert(id, outcome);
        drop(state);
        self.news.notify_one();
    }

    /// The controller knows how these tasks ended.
    pub fn forget_task(&self, id: TaskId) {
        self.state().tasks.remove(&id);
    }

    /// All nodes, for the hello. Jobs and tasks follow in the first report of the session.
    pub fn hello(&self) -> Vec<NodeStatus> {
        let mut state = self.state();
        state.nodes_new.clear();
        for id in std::mem::take(&mut state.nodes_leaving) {
            state.nodes.remove(&id);
        }
        state.jobs_new = state.jobs.keys().copied().collect();
        state.tasks_new = state.tasks.keys().copied().collect();
        if !(state.jobs_new.is_empty() && state.tasks_new.is_empty()) {
            self.news.notify_one();
        }
        state.nodes.values().cloned().collect()
    }

    /// Ready when there may be news.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The news as a frame; nothing when there are none.
    pub fn report(&self) -> Option<ToController> {
        let mut state = self.state();
        let ids: Vec<_> = state.nodes_new.iter().take(NODES_PER_REPORT).copied().collect();
        let mut nodes = Vec::with_capacity(ids.len());
        for id in ids {
            state.nodes_new.remove(&id);
            nodes.extend(state.nodes.get(&id).cloned());
            if state.nodes_leaving.remove(&id) {
                state.nodes.remove(&id);
            }
        }
        let jobs_new = std::mem::take(&mut state.jobs_new);
        let jobs: Vec<_> = jobs_new.iter().filter_map(|id| state.jobs.get(id).cloned()).collect();
        let tasks_new = std::mem::take(&mut state.tasks_new);
        let tasks: Vec<_> =
            tasks_new.iter().filter_map(|id| Some((*id, state.tasks.get(id)?.clone()))).collect();
        let nothing = nodes.is_empty() && jobs.is_empty() && tasks.is_empty();
        (!nothing).then_some(ToController::Report { nodes, jobs, tasks })
    }
}
