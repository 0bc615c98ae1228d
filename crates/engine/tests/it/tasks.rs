//! Tasks: told, done once, acknowledged, and given up where nobody answers.

use crate::hosts::{START, Scene, path};
use lace_engine::Heard;
use lace_model::document::{EntryId, TaskOutcome, Verb};
use lace_model::family::Family;
use lace_model::operation::{Goal, Operation, OperationState};
use lace_model::task::{NewTask, NodeTask, TaskState};
use lace_model::{Code, OperationId, Span, TaskId};
use lace_store::{Batch, Clock, Expect};

pub fn operation(scene: &Scene, waits: Vec<Goal>) -> OperationId {
    let id = OperationId::derive(&[1; 32], &scene.clock.now_ms().to_string());
    let operation = Operation {
        id,
        verb: "restart".into(),
        subject: "shop/web/web".into(),
        actor: "anna".into(),
        waits,
        state: OperationState::Running,
        code: None,
        message: String::new(),
        details: Vec::new(),
        started_at: scene.clock.now_ms(),
        ended_at: None,
        held_until: None,
    };
    let mut batch = Batch::new(None);
    batch.put(&operation, Expect::Absent);
    scene.store.commit(batch).expect("an operation");
    id
}

pub fn ended(scene: &Scene, id: OperationId) -> Operation {
    scene.store.get::<Operation>(&id.to_string()).expect("readable").expect("there").value
}

fn tasks(scene: &Scene) -> Vec<NodeTask> {
    scene.store.list::<NodeTask>("").expect("rows").into_iter().map(|row| row.value).collect()
}

/// A person wants something of the first node.
fn ask(scene: &Scene, verb: Verb) -> OperationId {
    let operation = operation(scene, vec![]);
    let node = scene.target("shop/web/web").nodes[0].clone();
    let now = scene.clock.now_ms();
    let task = NewTask {
        id: TaskId::derive(&[2; 32], &now.to_string()),
        path: path("shop/web/web").node(1),
        node: node.id,
        host: node.host,
        verb,
        within: Span::secs(10),
        restarts: 0,
        actor: "anna".into(),
    };
    let task = NodeTask { operation: Some(operation), ..task.queued(now) };
    let mut batch = Batch::new(None);
    batch.put(&task, Expect::Absent);
    scene.store.commit(batch).expect("a task");
    operation
}

fn told(scene: &Scene) -> usize {
    let entries = scene.hosts.values().flat_map(|h| h.entries.keys());
    entries.filter(|id| matches!(id, EntryId::Task(_))).count()
}

fn scene() -> Scene {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 3, vec![]);
    scene.settle();
    scene
}

#[test]
fn a_family_is_restarted_by_tasks_that_belong_to_the_operation() {
    let mut scene = scene();
    let before = scene.target("shop/web/web").nodes;
    scene.change::<Family>("shop/web/web", |f| f.restart = 1);
    let goal = Goal { family: path("shop/web/web"), revision: Some(1), restart: 1, ready: 3 };
    let id = operation(&scene, vec![goal]);
    scene.settle();
    assert_eq!(ended(&scene, id).state, OperationState::Done);
    let after = scene.target("shop/web/web").nodes;
    assert!(before.iter().zip(&after).all(|(b, a)| b.id == a.id && a.restart == 1));
    let tasks = tasks(&scene);
    assert_eq!(tasks.len(), 3);
    for task in &tasks {
        assert_eq!((task.state, task.operation, task.actor.as_str()), (TaskState::Done, Some(id), "anna"));
        assert!(task.created_at > START && task.sent_at.is_some() && task.ended_at.is_some());
    }
    assert_eq!(told(&scene), 0, "ended tasks leave the document");
    assert!(scene.hosts.values().all(|h| h.outcomes.is_empty()), "all acknowledged");
}

#[test]
fn a_signal_is_told_once_over_the_deaths_of_controllers() {
    let mut scene = scene();
    let id = ask(&scene, Verb::Signal { signal: 10 });
    scene.turn(vec![]);
    assert_eq!((told(&scene), tasks(&scene)[0].state), (1, TaskState::Sent));
    scene.restart_controller();
    scene.turn(vec![]);
    assert_eq!(told(&scene), 1);
    let heard = scene.obey();
    scene.turn(heard.clone());
    assert_eq!(ended(&scene, id).state, OperationState::Done);
    scene.restart_controller();
    // The former controller died before it said "acknowledged": the host says it again, and nothing moves but that.
    scene.turn(heard);
    assert_eq!(tasks(&scene)[0].state, TaskState::Done);
    assert!(scene.hosts.values().all(|h| h.outcomes.is_empty()));
}

#[test]
fn what_a_host_does_not_take_in_time_expires_and_what_it_took_is_unknown() {
    for (connected, state) in [(false, TaskState::Expired), (true, TaskState::Unknown)] {
        let mut scene = scene();
        scene.hosts.values_mut().for_each(|h| h.connected = connected);
        let id = ask(&scene, Verb::Signal { signal: 10 });
        scene.turn(vec![]);
        scene.clock.advance(100_000);
        scene.turn(vec![]);
        assert_eq!(tasks(&scene)[0].state, state);
        let operation = ended(&scene, id);
        assert_eq!((operation.state, operation.code), (OperationState::Failed, Some(Code::Error)));
        let host = *scene.hosts.keys().next().expect("a host");
        let late = vec![(tasks(&scene)[0].id, TaskOutcome::Done { lines: vec!["late".into()] })];
        scene.turn(vec![Heard::Report { host, nodes: vec![], jobs: vec![], tasks: late }]);
        let believed = if connected { TaskState::Done } else { state };
        assert_eq!(tasks(&scene)[0].state, believed, "a host that took it knows better");
    }
}

#[test]
fn a_failed_restart_of_one_node_says_why() {
    let mut scene = scene();
    let id = ask(&scene, Verb::Restart);
    scene.turn(vec![]);
    let host = *scene.hosts.keys().next().expect("a host");
    let no = vec![(tasks(&scene)[0].id, TaskOutcome::Failed { cause: "the node does not run".into() })];
    scene.turn(vec![Heard::Report { host, nodes: vec![], jobs: vec![], tasks: no }]);
    let operation = ended(&scene, id);
    assert_eq!(operation.state, OperationState::Failed);
    assert!(operation.message.contains("the node does not run"), "{}", operation.message);
}
