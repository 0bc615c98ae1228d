//! Canary: a few nodes first, with a share of the requests, and more at each step; by time, or by a person's word.

use super::draft::Draft;
use lace_model::Reason;
use lace_model::rollout::{Phase, Rollout, Share, Strategy};

/// The step that the rollout is at; none where it has none left, or is not one of a canary.
fn step(draft: &Draft, rollout: &Rollout) -> Option<Share> {
    let family = draft.family();
    let split = rollout.split.as_ref().filter(|split| split.base.is_none())?;
    let sings = draft.strategy() == Strategy::Canary
        && rollout.phase == Phase::Rolling
        && family.promoted != Some(rollout.to);
    family.rollout.step(split.step).filter(|_| sings)
}

/// Nodes of the new revision that the step allows.
fn allowed(draft: &Draft, step: Share) -> usize {
    step.of(draft.family().count) as usize
}

fn changed(draft: &Draft, rollout: &Rollout) -> usize {
    draft.running().filter(|node| node.revision == rollout.to).count()
}

/// Why no more nodes change over now, if so.
pub(super) fn hold(draft: &Draft, rollout: &Rollout) -> Option<Reason> {
    let now = step(draft, rollout)?;
    let to_come = draft.running().any(|node| node.revision != rollout.to);
    let changed = changed(draft, rollout);
    if !to_come || changed < allowed(draft, now) {
        return None;
    }
    let path = &draft.family().path;
    let nodes = if changed == 1 { "one node runs".to_owned() } else { format!("{changed} nodes run") };
    let share = match now {
        Share::Percent(percent) => format!(" with {percent} % of the requests"),
        Share::Count(_) => String::new(),
    };
    let next = match draft.family().rollout.pause {
        Some(pause) => format!("the next step comes when they have been good for {pause}"),
        None => format!("`lace rollout promote {path}` rolls the rest, `abort` goes back"),
    };
    Some(Reason::Other { text: format!("{nodes} revision {}{share}: {next}", rollout.to) })
}

/// Moves on from step to step.
pub(super) fn progress(draft: &mut Draft, rollout: &Rollout) {
    let Some(mut split) = rollout.split.clone().filter(|split| split.base.is_none()) else { return };
    match step(draft, rollout) {
        Some(now) => {
            let new: Vec<_> = draft.running().filter(|node| node.revision == rollout.to).cloned().collect();
            let all = new.len() >= allowed(draft, now) && new.iter().all(|node| draft.is_good(node));
            split.permille = match now {
                Share::Percent(percent) => Some(u16::from(percent) * 10),
                Share::Count(_) => None,
            };
            split.since = if all { split.since.or(Some(draft.now())) } else { None };
            for node in &new {
                if draft.is_ready(node) {
                    draft.wake(draft.good_at(node));
                }
            }
            if is_over(draft, rollout, &split) {
                let subject = &draft.family().path;
                let text = format!("revision {}: step {} is good", rollout.to, split.step + 1);
                draft.event("rollout.step", subject, text);
                (split.step, split.since) = (split.step + 1, None);
            }
        }
        // All the others follow; each node gets its part.
        None => split.permille = None,
    }
    draft.rollout.iter_mut().for_each(|rollout| rollout.split = Some(split.clone()));
}

/// Is a step over: watched for long enough, or called good by a person?
fn is_over(draft: &mut Draft, rollout: &Rollout, split: &lace_model::rollout::Split) -> bool {
    let family = draft.family();
    if family.promoted_step.is_some_and(|(revision, step)| revision == rollout.to && step > split.step) {
        return true;
    }
    let (Some(pause), Some(since), false) = (family.rollout.pause, split.since, family.paused) else {
        return false;
    };
    draft.wake(since + pause.ms());
    draft.now() >= since + pause.ms()
}
