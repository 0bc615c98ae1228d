//! Is the new revision good? A node that crashes, cannot be made, or is not ready in time says no.

use super::draft::Draft;
use super::hot;
use super::input::JobGate;
use super::settle::turn;
use lace_model::Millis;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::rollout::{Phase, Rollout, Share};
use lace_model::target::PlannedNode;
use lace_model::task::TaskState;

/// A node that cannot be made for this long after it was planned fails its revision: its host has tried at least twice.
const CANNOT_BE_MADE_MS: Millis = 2_000;
/// Fewer answers than these say nothing.
const ANSWERS_MIN: u64 = 20;
/// Hosts' clocks may differ by this much before a restart is taken for one in the watched time.
const CLOCKS_DIFFER_MS: Millis = 1_000;

/// What speaks against a revision.
pub(super) struct Evidence {
    pub cause: String,
    pub last_lines: Vec<String>,
}

/// Judges the revision that is being rolled out (or back), and turns the rollout where it is bad.
pub(super) fn judge(draft: &mut Draft) {
    let Some(rollout) = draft.rollout.clone() else {
        return;
    };
    match rollout.phase {
        Phase::Rolling | Phase::Watching { .. } => {
            if let Some(evidence) = marked_bad(draft, &rollout)
                .or_else(|| job_failed(draft, rollout.to))
                .or_else(|| hot::failed(draft, &rollout))
                .or_else(|| worst_node(draft, &rollout))
                .or_else(|| answers_badly(draft, &rollout))
            {
                fail(draft, &rollout, evidence);
            }
        }
        Phase::Reverting { .. } | Phase::Aborted => {
            if let Some(evidence) = way_back(draft, &rollout) {
                let cause = format!("going back failed too: {}", evidence.cause);
                keep_lines(draft, evidence.last_lines);
                turn(draft, Phase::Failed { cause });
            }
        }
        _ => {}
    }
}

/// Another family of the service has found the revision bad.
fn marked_bad(draft: &Draft, rollout: &Rollout) -> Option<Evidence> {
    rollout.from.filter(|from| *from != rollout.to)?;
    let cause = draft.revision(rollout.to)?.bad.clone()?;
    Some(Evidence { cause, last_lines: Vec::new() })
}

fn job_failed(draft: &Draft, revision: u64) -> Option<Evidence> {
    match draft.input.gates.before_done.get(&revision)? {
        JobGate::Failed { cause, last_lines } => {
            Some(Evidence { cause: cause.clone(), last_lines: last_lines.clone() })
        }
        _ => None,
    }
}

/// Doors brought more errors back from the new revision than it may have, and clearly more than from the old one.
fn answers_badly(draft: &Draft, rollout: &Rollout) -> Option<Evidence> {
    let most = draft.family().rollout.max_errors?;
    let from = rollout.from.filter(|from| *from != rollout.to)?;
    let of = |revision: u64| draft.input.answered.get(&revision).copied().unwrap_or_default();
    let (new, old) = (of(rollout.to), of(from));
    let allowed = match most {
        Share::Count(number) => u64::from(number),
        Share::Percent(percent) => new.all * u64::from(percent) / 100,
    };
    // What is broken behind both is not the new one's doing.
    let worse = new.errors * old.all.max(1) > 2 * old.errors * new.all;
    if new.all < ANSWERS_MIN || new.errors <= allowed || !worse {
        return None;
    }
    let cause = format!(
        "{} of the last {} answers of revision {} are errors, and at most {most} may be (revision {from}: {} of {})",
        new.errors, new.all, rollout.to, old.errors, old.all
    );
    Some(Evidence { cause, last_lines: Vec::new() })
}

fn worst_node(draft: &mut Draft, rollout: &Rollout) -> Option<Evidence> {
    let nodes: Vec<PlannedNode> = draft.running().filter(|n| n.revision == rollout.to).cloned().collect();
    nodes.iter().find_map(|node| {
        not_restarted(draft, node, rollout).or_else(|| match rollout.phase {
            Phase::Watching { since } if draft.begun_at(node) <= since => watched(draft, node, since),
            _ => verdict(draft, node, rollout.started_at),
        })
    })
}

/// A restart in place that this rollout asked for and that did not come about.
fn not_restarted(draft: &Draft, node: &PlannedNode, rollout: &Rollout) -> Option<Evidence> {
    let task = draft.restart_of(node.id).filter(|task| task.created_at >= rollout.started_at)?;
    if rollout.from != Some(rollout.to) || task.state.is_open() || task.state == TaskState::Done {
        return None;
    }
    let name = draft.path(node.index).short();
    let cause = task.cause.as_deref().unwrap_or("nobody knows why");
    Some(Evidence { cause: format!("{name} was not restarted: {cause}"), last_lines: Vec::new() })
}

fn way_back(draft: &mut Draft, rollout: &Rollout) -> Option<Evidence> {
    let from = rollout.from?;
    let nodes: Vec<PlannedNode> =
        draft.running().filter(|n| n.revision == from && n.planned_at >= rollout.moved_at).cloned().collect();
    nodes.iter().find_map(|node| verdict(draft, node, rollout.moved_at))
}

/// A node that was ready when the watch began: it must stay so.
fn watched(draft: &Draft, node: &PlannedNode, since: Millis) -> Option<Evidence> {
    let status = draft.status(node.id)?;
    // A node of which its host has nothing left was not ended by its revision.
    if !draft.is_connected(node.host) || status.phase == NodePhase::Gone {
        return None;
    }
    let restarted =
        draft.restarts(status) > 0 && status.started_at.is_some_and(|at| at > since + CLOCKS_DIFFER_MS);
    if status.ready && status.phase == NodePhase::Running && !restarted {
        return None;
    }
    let crashed = restarted || status.phase != NodePhase::Running;
    Some(evidence(draft, node, status, crashed, "is not ready any more"))
}

/// A node on its way: has it crashed, could it not be made, has its time run out? Nodes from before `begun` are only
/// judged by time: what they did earlier is not this rollout's doing.
fn verdict(draft: &mut Draft, node: &PlannedNode, begun: Millis) -> Option<Evidence> {
    let status = draft.status(node.id);
    if draft.is_ready(node) || !draft.is_connected(node.host) {
        return None;
    }
    if let Some(status) = status.filter(|_| draft.begun_at(node) >= begun) {
        if has_crashed(status, draft.restarts(status)) {
            return Some(evidence(draft, node, status, true, "ended"));
        }
        if status.phase == NodePhase::Failed {
            let at = node.planned_at + CANNOT_BE_MADE_MS;
            if draft.now() >= at {
                return Some(evidence(draft, node, status, false, "could not be made"));
            }
            draft.wake(at);
        }
    }
    out_of_time(draft, node, status, begun)
}

/// The process ended before it was ready, and once more after a restart; `restarts` are those that count.
pub(crate) fn has_crashed(status: &NodeStatus, restarts: u32) -> bool {
    !status.ready && (restarts >= 2 || restarts >= 1 && status.phase == NodePhase::Backoff)
}

fn out_of_time(
    draft: &mut Draft,
    node: &PlannedNode,
    status: Option<&NodeStatus>,
    begun: Millis,
) -> Option<Evidence> {
    let waits = draft.slots.get(&node.index).is_some_and(|s| !s.going.is_empty());
    let started = status.and_then(|s| s.started_at);
    let deadline = draft.family().rollout.deadline;
    // A node that was not started yet may have waited for its predecessor's grace time.
    let grace = match started {
        Some(_) => 0,
        None => draft.revision(node.revision).map_or(0, |r| r.spec.stop.timeout.ms()),
    };
    let at = draft.begun_at(node).max(begun).max(started.unwrap_or(0)) + deadline.ms() + grace;
    if waits || draft.now() < at {
        draft.wake(at);
        return None;
    }
    let what = format!("is not ready after {deadline}");
    Some(match status {
        Some(status) => evidence(draft, node, status, false, &what),
        None => Evidence {
            cause: format!("{} {what}: its host has not reported it", draft.path(node.index).short()),
            last_lines: Vec::new(),
        },
    })
}

fn evidence(draft: &Draft, node: &PlannedNode, status: &NodeStatus, crashed: bool, what: &str) -> Evidence {
    let name = draft.path(node.index).short();
    let exit = status.exit.as_ref();
    let cause = match (crashed, exit, &status.detail) {
        (true, Some(exit), _) => format!("{name} ended: {exit}"),
        (_, _, Some(detail)) => format!("{name} {what}: {detail}"),
        (_, Some(exit), None) => format!("{name} {what}: {exit}"),
        _ => format!("{name} {what}"),
    };
    Evidence { cause, last_lines: exit.map(|e| e.last_lines.clone()).unwrap_or_default() }
}

fn fail(draft: &mut Draft, rollout: &Rollout, evidence: Evidence) {
    let Evidence { cause, last_lines } = evidence;
    let is_restart = rollout.from == Some(rollout.to);
    let back = rollout.from.filter(|from| {
        draft.family().rollout.revert
            && !is_restart
            && draft.revision(*from).is_some()
            && !draft.is_bad(*from)
    });
    let subject = &draft.family().path;
    let next = back.map_or_else(String::new, |from| format!("; going back to revision {from}"));
    draft.event("rollout.failed", subject, format!("revision {}: {cause}{next}", rollout.to));
    keep_lines(draft, last_lines);
    if !is_restart && draft.revision(rollout.to).is_some_and(|r| r.bad.is_none()) {
        draft.bad = Some((rollout.to, cause.clone()));
    }
    turn(draft, if back.is_some() { Phase::Reverting { cause } } else { Phase::Failed { cause } });
}

fn keep_lines(draft: &mut Draft, lines: Vec<String>) {
    if let Some(rollout) = &mut draft.rollout
        && !lines.is_empty()
    {
        rollout.last_lines = lines;
    }
}
