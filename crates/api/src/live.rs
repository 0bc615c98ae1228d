//! What the door knows of the moment: who is connected, what nodes use. Fleet knows it; the composition hands it in.

use lace_model::host::Liveness;
use lace_model::package::Figure;
use lace_model::traffic::{Flows, Traffic};
use lace_model::vm::VmSample;
use lace_model::{HostId, NodeId};
use lace_wire::api::UsagePoint;
use lace_wire::link::frame::NodeUsage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a node used at its host's last beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSample {
    /// The numbers as the host sent them.
    pub usage: NodeUsage,
    /// How old they are, in milliseconds.
    pub age_ms: u64,
    /// Processor use between the last two beats, in thousandths of a processor.
    pub cpu_millis: u32,
}

/// The view of fleet that the door needs. Every answer is local and immediate.
pub trait LivenessView: Send + Sync {
    /// What is known of a host; the default value where nothing is.
    fn liveness(&self, host: HostId) -> Liveness;
    /// The last numbers of a node, if there are any.
    fn usage(&self, node: NodeId) -> Option<UsageSample>;
    /// What a node's Erlang runtime said last of itself.
    fn vm(&self, node: NodeId) -> Option<VmSample>;
    /// What a node of a package said last of itself, and how old that is, in milliseconds.
    fn figures(&self, _node: NodeId) -> Option<(Arc<[Figure]>, u64)> {
        None
    }
    /// What a node used over the last hours, the oldest first.
    fn usage_history(&self, node: NodeId) -> Vec<UsagePoint>;
    /// What the doors of connected hosts carried.
    fn traffic(&self) -> Vec<(HostId, Arc<Traffic>)>;
    /// What these doors carried lately, together.
    fn flows(&self) -> Flows;
    /// Every host that was heard of since the controller started.
    fn all(&self) -> BTreeMap<HostId, Liveness>;
    /// Nodes that hosts hold and the controller does not know (adopt mode shows them).
    fn unknown(&self) -> Vec<(HostId, NodeId)>;
}

/// A view that says what it was told: for tests and the simulated world.
#[derive(Clone, Debug, Default)]
pub struct FixedLiveness {
    /// Hosts.
    pub hosts: BTreeMap<HostId, Liveness>,
    /// Nodes.
    pub nodes: BTreeMap<NodeId, UsageSample>,
    /// Erlang runtimes.
    pub vms: BTreeMap<NodeId, VmSample>,
    /// Doors.
    pub traffic: BTreeMap<HostId, Arc<Traffic>>,
    /// What they carried lately.
    pub flows: Flows,
    /// Nodes that nobody knows.
    pub unknown: Vec<(HostId, NodeId)>,
}

impl LivenessView for FixedLiveness {
    fn liveness(&self, host: HostId) -> Liveness {
        self.hosts.get(&host).copied().unwrap_or_default()
    }

    fn usage(&self, node: NodeId) -> Option<UsageSample> {
        self.nodes.get(&node).copied()
    }

    fn vm(&self, node: NodeId) -> Option<VmSample> {
        self.vms.get(&node).cloned()
    }

    fn usage_history(&self, node: NodeId) -> Vec<UsagePoint> {
        let point = |s: &UsageSample| UsagePoint {
            at: 1,
            cpu_millis: s.cpu_millis,
            memory: s.usage.memory,
            pids: s.usage.pids,
        };
        self.nodes.get(&node).map(point).into_iter().collect()
    }

    fn flows(&self) -> Flows {
        self.flows.clone()
    }
    fn traffic(&self) -> Vec<(HostId, Arc<Traffic>)> {
        self.traffic.iter().map(|(host, traffic)| (*host, Arc::clone(traffic))).collect()
    }

    fn all(&self) -> BTreeMap<HostId, Liveness> {
        self.hosts.clone()
    }

    fn unknown(&self) -> Vec<(HostId, NodeId)> {
        self.unknown.clone()
    }
}
