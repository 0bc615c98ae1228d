//! Verbs: each is written down before it is done, done once, and its outcome said until it is acknowledged.

use crate::clock::now;
use crate::hands::Hands;
use crate::held::Record;
use crate::node::Order;
use lace_model::Millis;
use lace_model::document::{EntryId, Resume, Task, TaskOutcome};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What is to be done about a task, given what was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Do it.
    Do,
    /// It has ended so.
    Say(TaskOutcome),
}

fn step(ended: Option<TaskOutcome>, begun: Option<Resume>, deadline: Millis, now: Millis) -> Step {
    match (ended, begun) {
        (Some(outcome), _) => Step::Say(outcome),
        (None, Some(Resume::Again)) => Step::Do,
        (None, Some(Resume::Unknown)) => Step::Say(TaskOutcome::Unknown),
        (None, None) if deadline < now => Step::Say(TaskOutcome::Failed {
            cause: "its deadline passed before it came to the host".to_owned(),
        }),
        (None, None) => Step::Do,
    }
}

/// Takes a task on. `node` takes orders for the node that it is about, if there is one.
pub fn take(hands: Arc<Hands>, task: Task, node: Option<mpsc::Sender<Order>>) {
    let id = EntryId::Task(task.id);
    let (ended, begun) =
        hands.held.read(|state| (state.tasks.get(&task.id).cloned(), state.begun.contains_key(&id)));
    match step(ended, begun.then(|| task.verb.resume()), task.deadline, now()) {
        Step::Say(outcome) => finish(&hands, &task, outcome),
        Step::Do => {
            hands.held.commit(vec![Record::Begun(id, now())]);
            tokio::spawn(async move {
                let outcome = order(&task, node).await;
                finish(&hands, &task, outcome);
            });
        }
    }
}

async fn order(task: &Task, node: Option<mpsc::Sender<Order>>) -> TaskOutcome {
    let no = || TaskOutcome::Failed { cause: "the node is not on this host".to_owned() };
    let Some(node) = node else { return no() };
    let (done, outcome) = oneshot::channel();
    if node.send(Order { verb: task.verb.clone(), done }).await.is_err() {
        return no();
    }
    outcome.await.unwrap_or(TaskOutcome::Failed { cause: "the node went away meanwhile".to_owned() })
}

fn finish(hands: &Hands, task: &Task, outcome: TaskOutcome) {
    hands.held.commit(vec![Record::TaskEnded(task.id, outcome.clone())]);
    hands.outbox.task(task.id, outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_done_once_and_in_time() {
        let done = || TaskOutcome::Done { lines: Vec::new() };
        let table = [
            (None, None, 10, Step::Do),
            (
                None,
                None,
                4,
                Step::Say(TaskOutcome::Failed {
                    cause: "its deadline passed before it came to the host".to_owned(),
                }),
            ),
            (None, Some(Resume::Unknown), 10, Step::Say(TaskOutcome::Unknown)),
            (None, Some(Resume::Again), 4, Step::Do),
            (Some(done()), Some(Resume::Again), 4, Step::Say(done())),
        ];
        for (ended, begun, deadline, expected) in table {
            assert_eq!(step(ended.clone(), begun, deadline, 5), expected, "{ended:?} {begun:?} {deadline}");
        }
    }
}
