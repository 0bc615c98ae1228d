//! What `--force` gives up: nodes on hosts that do not answer. They count as gone from now on; when such a host comes
//! back, its document no longer names them, so it removes what is left of them.

use crate::scene::Scene;
use crate::state::ApiState;
use lace_model::TargetPath;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::target::{PlannedNode, Target};
use lace_store::{Batch, Expect};

/// Nodes under a target whose hosts do not answer.
pub(crate) struct Silent<'a> {
    nodes: Vec<(&'a Target, &'a PlannedNode)>,
    scene: &'a Scene,
}

impl<'a> Silent<'a> {
    /// Finds them.
    pub fn under(state: &ApiState, scene: &'a Scene, target: &TargetPath) -> Self {
        let targets = scene.targets.values().filter(|t| target.covers(&t.family));
        let all = targets.flat_map(|t| t.nodes.iter().map(move |n| (t, n)));
        let nodes = all.filter(|(_, n)| !state.liveness.liveness(n.host).connected).collect();
        Self { nodes, scene }
    }

    /// A line for each, with what becomes of it.
    pub fn lines(&self, fate: &str) -> Vec<String> {
        let line = |(target, node): &(&Target, &PlannedNode)| {
            let host = self.scene.host_name(node.host);
            let path = target.family.node(node.index).short();
            format!("{path} ({}) {fate}: its host {host} does not answer", node.id)
        };
        self.nodes.iter().map(line).collect()
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
    }
}
