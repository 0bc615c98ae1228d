//! Hot upgrades: a node takes the other release on in its running runtime, by a task for its host, one node at a time.
//!
//! The node keeps its id, its process and its state. Its revision changes in the target when its host says that the
//! runtime boots the new release from now on: a node that has to be made anew meanwhile gets what it had.

use super::draft::Draft;
use super::judge::Evidence;
use super::{gate, replace, wish};
use lace_model::document::{Upgrade, Verb};
use lace_model::release::ReleaseKind;
use lace_model::revision::RevisionSpec;
use lace_model::rollout::{Phase, Rollout, Strategy};
use lace_model::target::PlannedNode;
use lace_model::task::{NewTask, NodeTask, TaskState};
use lace_model::{Span, TaskId};

/// A host has this long to take an upgrade on, beside the time that it watches it.
const UPGRADE_WITHIN: Span = Span::secs(60);

/// Lets a node change over in place. Says whether the node is away for that; nothing where it has to be replaced.
pub(super) fn change_over(draft: &mut Draft, node: &PlannedNode) -> Option<bool> {
    let to = wish::of_node(draft, node);
    let spec = spec(draft, node, to)?;
    match newest(draft, node, to).map(|task| task.state) {
        Some(TaskState::Done) => {
            draft.change(node.index, |slot| slot.run.iter_mut().for_each(|run| run.revision = to));
            Some(false)
        }
        Some(state) if state.is_open() => {
            let name = draft.path(node.index).short();
            draft.say(format!("{name} changes over to revision {to} in its running runtime"));
            Some(true)
        }
        // Going back must end: what does not go back hot is made anew.
        Some(_) => (draft.phase() == Some(&Phase::Rolling)).then_some(true),
        // What serves nobody loses nothing by being made anew.
        None if !draft.is_ready(node) => None,
        None => Some(begin(draft, node, to, spec)),
    }
}

/// A node has the revision that its host brought it to last, also where that was said when nobody waited for it any more.
pub(super) fn believe(draft: &mut Draft) {
    let nodes: Vec<PlannedNode> = draft.running().cloned().collect();
    for node in nodes {
        let last = draft.input.upgrades.get(&node.id).and_then(|tasks| tasks.last());
        let Some(NodeTask { state: TaskState::Done, verb: Verb::Upgrade(upgrade), .. }) = last else {
            continue;
        };
        let has = upgrade.revision;
        if has != node.revision && draft.revision(has).is_some() {
            draft.change(node.index, |slot| slot.run.iter_mut().for_each(|run| run.revision = has));
        }
    }
}

/// The revision's content, where the node can take it on as it runs.
fn spec(draft: &mut Draft, node: &PlannedNode, to: u64) -> Option<RevisionSpec> {
    let rolls = draft.rollout.as_ref().is_some_and(|r| r.from.is_some_and(|from| from != r.to));
    if draft.strategy() != Strategy::Hot || !rolls || node.revision == to {
        return None;
    }
    let (old, new) = (&draft.revision(node.revision)?.spec, &draft.revision(to)?.spec);
    if differ_in_release_only(old, new) {
        return Some(new.clone());
    }
    draft.say(format!(
        "revision {to} changes more than the release of an Erlang node: nodes are replaced, one after the other"
    ));
    None
}

fn differ_in_release_only(old: &RevisionSpec, new: &RevisionSpec) -> bool {
    let release = (new.release.clone(), new.tree, new.templates.clone());
    let same = RevisionSpec { release: release.0, tree: release.1, templates: release.2, ..old.clone() };
    same == *new && old.tree.is_some() && old.beam.is_some() && old.kind != ReleaseKind::Generic
}

/// The newest task of this rollout that brings the node to that revision.
fn newest<'d>(draft: &'d Draft, node: &PlannedNode, to: u64) -> Option<&'d NodeTask> {
    let since = draft.rollout.as_ref()?.started_at;
    let known = draft.input.upgrades.get(&node.id).into_iter().flatten();
    let is_it = |task: &&NodeTask| {
        let leads = matches!(&task.verb, Verb::Upgrade(upgrade) if upgrade.revision == to);
        task.node == node.id && task.created_at >= since && leads
    };
    known.chain(&draft.tasks).rfind(is_it)
}

fn begin(draft: &mut Draft, node: &PlannedNode, to: u64, spec: RevisionSpec) -> bool {
    if let Err(reason) = replace::permit(draft, node).and_then(|()| gate::check(draft, to)) {
        draft.reason(reason);
        return false;
    }
    let healthy_for = draft.healthy_for();
    let began = draft.rollout.as_ref().map_or(0, |rollout| rollout.started_at);
    let task = NewTask {
        id: TaskId::derive(&draft.input.seed, &format!("upgrade/{}/{to}/{began}", node.id)),
        path: draft.path(node.index),
        node: node.id,
        host: node.host,
        verb: Verb::Upgrade(Box::new(Upgrade { revision: to, spec, healthy_for })),
        within: Span(UPGRADE_WITHIN.0 + healthy_for.0),
        restarts: draft.status(node.id).map_or(0, |status| status.restarts),
        actor: "lace".into(),
    };
    draft.tasks.push(task.queued(draft.now()));
    true
}

/// An upgrade of this rollout that did not come about: the node itself has gone back already.
pub(super) fn failed(draft: &Draft, rollout: &Rollout) -> Option<Evidence> {
    draft.running().filter(|node| node.revision != rollout.to).find_map(|node| {
        let task = newest(draft, node, rollout.to)?;
        if task.state.is_open() || task.state == TaskState::Done {
            return None;
        }
        let name = draft.path(node.index).short();
        let cause = task.cause.as_deref().unwrap_or("nobody knows why");
        let last_lines = task.lines.clone();
        Some(Evidence { cause: format!("{name} was not upgraded: {cause}"), last_lines })
    })
}
