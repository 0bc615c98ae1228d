//! A person wants the processes of a family anew: each is restarted in place, by a task for its host.

use super::draft::Draft;
use super::wish;
use lace_model::document::Verb;
use lace_model::node::NodePhase;
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::PlannedNode;
use lace_model::task::NewTask;
use lace_model::{Span, TaskId};

/// A host has this long to take a restart on.
pub const RESTART_WITHIN: Span = Span::secs(60);

/// A restart that failed leaves the other nodes alone, until somebody asks again.
pub(super) fn has_failed(draft: &Draft) -> bool {
    let failed = |r: &Rollout| r.from == Some(r.to) && matches!(r.phase, Phase::Failed { .. });
    draft.rollout.as_ref().is_some_and(failed)
}

/// The restarts so far of a process that only has to be restarted: the node has the right revision, and is made.
/// Nothing for nodes that have to be replaced.
pub(super) fn status_of(draft: &Draft, node: &PlannedNode) -> Option<u32> {
    let behind = node.restart < draft.family().restart && node.revision == wish::of_node(draft, node);
    let status = draft.status(node.id).filter(|_| behind)?;
    let made = matches!(status.phase, NodePhase::Running | NodePhase::Backoff | NodePhase::Stopped);
    made.then_some(status.restarts)
}

/// Plans the restart of a node's process. The node keeps its id, its address and its root file system.
pub(super) fn in_place(draft: &mut Draft, node: &PlannedNode, restarts: u32) {
    let wanted = draft.family().restart;
    let task = NewTask {
        id: TaskId::derive(&draft.input.seed, &format!("restart/{}/{wanted}", node.id)),
        path: draft.path(node.index),
        node: node.id,
        host: node.host,
        verb: Verb::Restart,
        within: RESTART_WITHIN,
        restarts,
        actor: "lace".into(),
    };
    draft.tasks.push(task.queued(draft.now()));
    draft.change(node.index, |slot| {
        if let Some(run) = &mut slot.run {
            run.restart = wanted;
        }
    });
}
