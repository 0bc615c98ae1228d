//! The nodes of a simulated host, and what its document says of them.

use crate::held::{Verdict, judge};
use lace_model::document::{Entry, EntryBody, EntryId, NodeEntry, TaskOutcome};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::target::Want;
use lace_model::{Generation, HostId, Millis, NodeId, TaskId};
use lace_wire::link::frame::{JobEnd, JobReport, NodeUsage, ToController};
use std::collections::BTreeMap;

/// Memory that each seems to use, in bytes.
const MEMORY_BYTES: u64 = 8 << 20;

/// What a simulated host holds.
pub struct Nodes {
    host: HostId,
    entries: BTreeMap<EntryId, Generation>,
    nodes: BTreeMap<NodeId, NodeStatus>,
}

/// What is new, for one report.
#[derive(Default)]
struct News {
    nodes: Vec<NodeStatus>,
    jobs: Vec<JobReport>,
    tasks: Vec<(TaskId, TaskOutcome)>,
    refused: Vec<ToController>,
}

impl Nodes {
    /// None yet.
    pub fn new(host: HostId) -> Self {
        Self { host, entries: BTreeMap::new(), nodes: BTreeMap::new() }
    }

    /// What is held, for a hello.
    pub fn entries(&self) -> Vec<(EntryId, Generation)> {
        self.entries.iter().map(|(id, generation)| (*id, *generation)).collect()
    }

    /// How all nodes are.
    pub fn statuses(&self) -> Vec<NodeStatus> {
        self.nodes.values().cloned().collect()
    }

    /// What all nodes seem to use.
    pub fn usage(&self) -> Vec<NodeUsage> {
        let idle = |node: &NodeId| NodeUsage {
            node: *node,
            cpu_us: 0,
            memory: MEMORY_BYTES,
            pids: 1,
            oom_kills: 0,
            throttled: 0,
        };
        self.nodes.keys().map(idle).collect()
    }

    /// Changes of the document; what is older than what is held is refused. The answer is what to say.
    pub fn update(
        &mut self,
        upserts: Vec<Entry>,
        removes: Vec<(EntryId, Generation)>,
        now: Millis,
    ) -> Vec<ToController> {
        let mut news = News::default();
        for entry in upserts {
            match judge(self.entries.get(&entry.id).copied(), entry.generation) {
                Verdict::Known => {}
                Verdict::Older(held) => news.refused.push(ToController::Refused { id: entry.id, held }),
                Verdict::Take => {
                    self.entries.insert(entry.id, entry.generation);
                    self.take(entry, now, &mut news);
                }
            }
        }
        for (id, generation) in removes {
            match judge(self.entries.get(&id).copied(), generation) {
                Verdict::Older(held) => news.refused.push(ToController::Refused { id, held }),
                _ => self.remove(id, now, &mut news),
            }
        }
        let News { nodes, jobs, tasks, refused } = news;
        let some = !(nodes.is_empty() && jobs.is_empty() && tasks.is_empty());
        let report = some.then_some(ToController::Report { nodes, jobs, tasks });
        refused.into_iter().chain(report).collect()
    }

    fn take(&mut self, entry: Entry, now: Millis, news: &mut News) {
        match entry.body {
            EntryBody::Node(node) => {
                let status = self.status(&node, entry.generation, now);
                self.nodes.insert(node.id, status.clone());
                news.nodes.push(status);
            }
            EntryBody::Job(job) => {
                let end = JobEnd { at: now, exit: Some(0), detail: None, last_lines: Vec::new() };
                news.jobs.push(JobReport { job: job.id, started_at: Some(now), ended: Some(end) });
            }
            EntryBody::Task(task) => news.tasks.push((task.id, TaskOutcome::Done { lines: Vec::new() })),
        }
    }

    fn status(&self, node: &NodeEntry, generation: Generation, now: Millis) -> NodeStatus {
        let last = self.nodes.get(&node.id).filter(|last| last.revision == node.revision);
        let runs = node.want == Want::Run;
        let phase = if runs { NodePhase::Running } else { NodePhase::Gone };
        let since = last.filter(|last| last.phase == phase).map_or(now, |last| last.since);
        NodeStatus {
            id: node.id,
            path: node.path.clone(),
            revision: node.revision,
            host: self.host,
            address: node.address,
            generation,
            phase,
            ready: runs,
            since,
            started_at: last.and_then(|last| last.started_at).or(Some(now)),
            restarts: 0,
            exit: None,
            detail: None,
            alarms: Vec::new(),
            votes_seen: node.votes.as_ref().map(|votes| votes.generation),
            holds: false,
            joined: false,
        }
    }

    fn remove(&mut self, id: EntryId, now: Millis, news: &mut News) {
        self.entries.remove(&id);
        let EntryId::Node(node) = id else { return };
        if let Some(last) = self.nodes.remove(&node) {
            news.nodes.push(NodeStatus { phase: NodePhase::Gone, ready: false, since: now, ..last });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::JobId;

    fn generation(number: u64) -> Generation {
        Generation { epoch: 1, number }
    }

    #[test]
    fn older_statements_are_refused_and_what_is_removed_is_gone() {
        let mut nodes = Nodes::new(HostId::derive(&[1; 32], "host"));
        let id = EntryId::Job(JobId::derive(&[1; 32], "job"));
        nodes.entries.insert(id, generation(5));
        let said = nodes.update(Vec::new(), vec![(id, generation(4))], 7);
        assert!(
            matches!(said[..], [ToController::Refused { held, .. }] if held == generation(5)),
            "{said:?}"
        );
        assert_eq!(nodes.entries(), [(id, generation(5))]);
        assert!(nodes.update(Vec::new(), vec![(id, generation(6))], 7).is_empty(), "nothing to say of a job");
        assert_eq!((nodes.entries(), nodes.usage()), (Vec::new(), Vec::new()));
    }
}
