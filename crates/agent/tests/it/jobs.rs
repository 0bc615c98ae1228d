//! Work that ends, and verbs that are done once.

use crate::controller::now;
use crate::world::{World, shell};
use lace_model::document::{Task, TaskOutcome, Verb};
use lace_model::job::{Job, JobOrigin, JobState, NewJob};
use lace_model::{JobId, NodeId, TaskId};
use lace_wire::stream::{StreamFrame, StreamRequest};

fn job(world: &World, script: &str) -> Job {
    let asked = NewJob {
        id: JobId(uuid::Uuid::new_v4()),
        app: "shop".parse().unwrap(),
        service: None,
        spec: shell(script),
        origin: JobOrigin::Person,
        actor: "test".into(),
    };
    let (host, address) = (Some(world.controller.fake.host), Some(world.address(20)));
    Job { state: JobState::Running, host, address, ..asked.queued(now()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_once_and_its_log_stays() {
    let Some(mut world) = World::start().await else { return };
    let job = job(&world, "echo working; exit 4");
    let entry = world.controller.job(&job);
    let ended = world.controller.until("the end", |seen| seen.jobs.get(&job.id)?.ended.clone()).await;
    assert_eq!((ended.exit, ended.last_lines.as_slice()), (Some(4), ["working".to_owned()].as_slice()));
    world.kill_agent();
    world.controller.seen.lock().unwrap().jobs.clear();
    world.start_agent(false);
    let again = world.controller.until("said again", |seen| seen.jobs.get(&job.id)?.ended.clone()).await;
    assert_eq!(again, ended);
    let node = NodeId(job.id.0);
    let request = StreamRequest::Logs { node, since: None, until: None, tail: None, follow: false };
    let mut pair = world.controller.open(request).await;
    match pair.from.recv().await {
        Some(StreamFrame::Line(line)) => assert_eq!(line.text, "working"),
        other => panic!("{other:?}"),
    }
    world.controller.remove(&entry);
    let dir = world.state.join(format!("agent/machine/nodes/{}", job.id));
    world.controller.until("removed", |_| (!dir.exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops() {
    let Some(world) = World::start().await else { return };
    let mut job = job(&world, "trap 'exit 9' TERM; while :; do sleep 0.05; done");
    world.controller.job(&job);
    world.controller.until("it runs", |seen| seen.jobs.get(&job.id)?.started_at).await;
    job.cancel = true;
    world.controller.job(&job);
    let ended = world.controller.until("the end", |seen| seen.jobs.get(&job.id)?.ended.clone()).await;
    assert_eq!(ended.exit, Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_is_done_once_and_its_outcome_said_until_acknowledged() {
    let Some(mut world) = World::start().await else { return };
    let node = world.node(1, "echo start >> /tmp/starts; exec sleep 1000");
    world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    let task =
        |verb| Task { id: TaskId(uuid::Uuid::new_v4()), node: node.id, verb, deadline: now() + 10_000 };
    let restart = task(Verb::Restart);
    world.controller.task(&restart);
    let done = |id| move |seen: &crate::controller::Seen| seen.tasks.get(&id).map(|o| o[0].clone());
    assert_eq!(
        world.controller.until("done", done(restart.id)).await,
        TaskOutcome::Done { lines: Vec::new() }
    );
    let signal = task(Verb::Signal { signal: 15 });
    world.controller.task(&signal);
    assert_eq!(
        world.controller.until("done", done(signal.id)).await,
        TaskOutcome::Done { lines: Vec::new() }
    );
    let mut late = task(Verb::Restart);
    late.deadline = 1;
    world.controller.task(&late);
    assert!(matches!(world.controller.until("late", done(late.id)).await, TaskOutcome::Failed { .. }));
    world.controller.until_node("up", node.id, |n| n.ready && n.restarts == 1).await;
    world.kill_agent();
    world.start_agent(false);
    world.controller.until("a second session", |seen| (seen.connected > 1).then_some(())).await;
    world.controller.until_node("up", node.id, |n| n.ready).await;
    // Ready is who runs: its shell may not have come to its first line yet.
    let third = "until [ $(wc -l < /tmp/starts) -ge 3 ]; do sleep 0.01; done; cat /tmp/starts";
    let starts = crate::streams::says(&world, node.id, &["timeout", "30", "sh", "-c", third]).await;
    assert_eq!(starts.lines().count(), 3, "each verb once");
}
