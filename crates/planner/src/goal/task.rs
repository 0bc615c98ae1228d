//! Where an operation stands by one of its tasks.

use super::GoalProgress::{self, Done, Failed, Running};
use super::{GoalFacts, is_ready};
use lace_model::Code;
use lace_model::document::Verb;
use lace_model::rollout::RolloutPolicy;
use lace_model::task::{NodeTask, TaskState};

/// A task is done when its host says so; a restart, when its node is ready again.
pub(super) fn state(task: &NodeTask, facts: &GoalFacts) -> GoalProgress {
    let name = task.path.short();
    let cause = || task.cause.clone().unwrap_or_else(|| "nobody knows why".into());
    let failed = |text: String| Failed(Code::Error, text, task.lines.clone());
    match task.state {
        TaskState::Queued => Running(format!("{name}: {} waits for its host", task.verb)),
        TaskState::Sent => Running(format!("{name}: {} is with its host", task.verb)),
        TaskState::Failed => failed(format!("{name}: {} failed: {}", task.verb, cause())),
        TaskState::Unknown => {
            failed(format!("{name}: whether {} was done is not known: {}", task.verb, cause()))
        }
        TaskState::Expired => failed(format!("{name}: {} was not begun in time: {}", task.verb, cause())),
        TaskState::Done if task.verb == Verb::Restart => comes_back(task, facts),
        TaskState::Done => Done(format!("{name}: {} done", task.verb)),
    }
}

fn comes_back(task: &NodeTask, facts: &GoalFacts) -> GoalProgress {
    let name = task.path.short();
    let Some(status) = facts.observed.get(&task.node) else {
        return Failed(Code::Conflict, format!("{name} went away meanwhile"), Vec::new());
    };
    if is_ready(status) {
        return Done(format!("{name}: restarted in place, ready"));
    }
    let family = facts.families.get(&task.path.family);
    let deadline = family.map_or(RolloutPolicy::default().deadline, |f| f.rollout.deadline);
    let crashed = crate::family::has_crashed(status, status.restarts.saturating_sub(task.restarts));
    let late = facts.now >= task.ended_at.unwrap_or(task.created_at) + deadline.ms();
    if !crashed && !late {
        return Running(format!("{name}: restarted, not ready yet"));
    }
    let exit = status.exit.as_ref().filter(|_| crashed);
    let why = exit.map_or_else(|| format!("not ready after {deadline}"), ToString::to_string);
    let lines = exit.map(|e| e.last_lines.clone()).unwrap_or_default();
    Failed(Code::FailedNotReverted, format!("{name} does not come up again: {why}"), lines)
}
