//! Adapters: fleet as the engine sees it, and as the door sees it.

use lace_api::{LivenessView, UsageSample};
use lace_engine::{Delta, Heard, Hosts, JobEnded, JobNews};
use lace_fleet::{Fleet, FleetEvent};
use lace_model::document::{EntryId, Topic};
use lace_model::host::{Liveness, Neighbour};
use lace_model::package::Figure;
use lace_model::traffic::{Flows, Traffic};
use lace_model::vm::VmSample;
use lace_model::{Generation, HostId, NodeId, TaskId};
use lace_store::Clock;
use lace_wire::api::UsagePoint;
use lace_wire::link::frame::JobReport;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Fleet for the engine.
pub struct FleetHosts(pub Fleet);

impl Hosts for FleetHosts {
    fn liveness(&self, host: HostId) -> Liveness {
        self.0.liveness(host)
    }
    fn publish(&self, host: HostId, delta: Delta, complete: bool) {
        self.0.publish(host, delta.upserts, delta.removes, complete);
    }
    fn acknowledge(&self, host: HostId, tasks: Vec<TaskId>) {
        self.0.acknowledge(host, tasks);
    }
    fn forget(&self, host: HostId) {
        self.0.forget(host);
    }
    fn publish_neighbours(&self, neighbours: &Arc<Vec<Neighbour>>) {
        self.0.publish_neighbours(neighbours);
    }
    fn flows(&self) -> Flows {
        self.0.flows()
    }
    fn publish_topic(&self, topic: &Topic, carriers: &HashSet<HostId>) {
        self.0.publish_topic(topic, carriers);
    }
}

/// Fleet for the door.
pub struct FleetView {
    /// The hosts that are there.
    pub fleet: Fleet,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

impl LivenessView for FleetView {
    fn liveness(&self, host: HostId) -> Liveness {
        self.fleet.liveness(host)
    }
    fn usage(&self, node: NodeId) -> Option<UsageSample> {
        self.fleet.usage(node).map(|now| UsageSample {
            usage: now.usage,
            age_ms: self.clock.now_ms().saturating_sub(now.at),
            cpu_millis: now.cpu_millis,
        })
    }
    fn vm(&self, node: NodeId) -> Option<VmSample> {
        self.fleet.vm(node)
    }
    fn figures(&self, node: NodeId) -> Option<(Arc<[Figure]>, u64)> {
        let (figures, at) = self.fleet.figures(node)?;
        Some((figures, self.clock.now_ms().saturating_sub(at)))
    }
    fn usage_history(&self, node: NodeId) -> Vec<UsagePoint> {
        self.fleet.usage_history(node)
    }
    fn traffic(&self) -> Vec<(HostId, Arc<Traffic>)> {
        self.fleet.traffic()
    }
    fn flows(&self) -> Flows {
        self.fleet.flows()
    }
    fn unknown(&self) -> Vec<(HostId, NodeId)> {
        self.fleet.unknown()
    }
    fn all(&self) -> BTreeMap<HostId, Liveness> {
        self.fleet.all()
    }
}

/// What hosts say, in the engine's words.
pub fn heard(event: FleetEvent) -> Heard {
    match event {
        FleetEvent::Connected { host, facts, entries, nodes } => Heard::Connected {
            host,
            capacity: facts.capacity,
            attributes: facts.attributes,
            agent_version: facts.agent_version,
            underlay: facts.underlay,
            held: entries.into_iter().filter_map(node_of).collect(),
            nodes,
        },
        FleetEvent::Report { host, nodes, jobs, tasks } => {
            Heard::Report { host, nodes, jobs: jobs.into_iter().map(job_news).collect(), tasks }
        }
        FleetEvent::Lost { host } => Heard::Lost { host },
    }
}

fn node_of((entry, _): (EntryId, Generation)) -> Option<NodeId> {
    match entry {
        EntryId::Node(node) => Some(node),
        _ => None,
    }
}

fn job_news(report: JobReport) -> JobNews {
    JobNews {
        job: report.job,
        started_at: report.started_at,
        ended: report.ended.map(|end| JobEnded {
            at: end.at,
            exit: end.exit,
            detail: end.detail,
            last_lines: end.last_lines,
        }),
    }
}
