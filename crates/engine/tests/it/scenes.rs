//! Scenes: what is wanted, what happens, what must be so afterwards.

use crate::hosts::{Scene, path};
use lace_engine::{Engine, Heard};
use lace_model::JobId;
use lace_model::certificate::{Certificate, CertificateSource};
use lace_model::document::EntryId;
use lace_model::family::{Application, Family, Service};
use lace_model::host::{DOOR, Host};
use lace_model::job::{Job, JobOrigin, JobState, LOGS_KEPT, NewJob};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::operation::{Goal, OperationState};
use lace_model::revision::Revision;
use lace_model::rollout::Phase;
use lace_model::route::RouteSpec;
use lace_model::scale::{IDLE_USUAL, ScalePolicy};
use lace_store::{Batch, Clock, Expect};
use std::collections::BTreeSet;

#[test]
fn a_family_starts_and_everybody_knows_its_members() {
    let mut scene = Scene::new(2);
    scene.serve("shop/web/web", 3, vec![]);
    scene.settle();
    assert_eq!(scene.running(), [(1, 1), (2, 1), (3, 1)]);
    for host in scene.hosts.values() {
        let topic = host.topics.get(&path("shop/web/web").app).expect("both hosts carry it");
        assert_eq!(topic.members.iter().filter(|m| m.up && m.ready).count(), 3);
    }
}

/// One node of shop/web on one of two hosts, with a route and its certificate.
fn certified() -> Scene {
    let mut scene = Scene::new(2);
    scene.serve("shop/web/web", 1, vec![]);
    let host = "shop.example.com".to_owned();
    scene.change::<Application>("shop", |a| {
        a.certificates.push(Certificate {
            host: host.clone(),
            names: vec![host.clone()],
            not_before: 0,
            not_after: u64::MAX,
            issuer: String::new(),
            digest: lace_model::Digest::of(b"a"),
            version: 1,
            added_at: 0,
            warned_days: None,
            source: CertificateSource::Given,
        });
    });
    let route = RouteSpec { host: Some(host.clone()), ..RouteSpec::new(80) };
    scene.change::<Service>("shop/web", |s| s.spec.routes = Some(vec![route]));
    scene
}

/// How many hosts have the key of its certificate.
fn keys(scene: &Scene) -> usize {
    let app = path("shop/web/web").app;
    let topics = scene.hosts.values().filter_map(|h| h.topics.get(&app));
    topics.filter(|topic| !topic.certificates.is_empty()).count()
}

/// A family that scales by load is looked at again and again: that never settles.
fn some_turns(scene: &mut Scene) {
    for _ in 0..10 {
        let heard = scene.obey();
        scene.turn(heard);
        scene.clock.advance(1_000);
    }
}

#[test]
fn doors_keep_the_certificate_of_who_sleeps_and_is_woken_by_a_request() {
    let mut scene = certified();
    let ids: Vec<_> = scene.hosts.keys().copied().collect();
    scene.change::<Host>(&ids[0].to_string(), |host| {
        host.attributes.insert(DOOR.to_owned(), "0.0.0.0:80".to_owned());
    });
    let policy = ScalePolicy { min: 0, max: 1, target: None, idle: IDLE_USUAL };
    scene.settle();
    scene.change::<Family>("shop/web/web", |f| (f.count, f.scale) = (0, Some(policy)));
    some_turns(&mut scene);
    assert!(scene.running().is_empty(), "it sleeps");
    assert_eq!(keys(&scene), 1, "the door that a request would come in at");
    let door = &scene.hosts[&ids[0]].topics[&path("shop/web/web").app];
    assert_eq!(door.certificates[0].hosts, ["shop.example.com"]);
    assert!(door.doors.values().all(|doors| doors.wakes), "{:?}", door.doors);
    scene.change::<Family>("shop/web/web", |f| f.running = false);
    some_turns(&mut scene);
    assert_eq!(keys(&scene), 0, "nobody is woken any more");
}

#[test]
fn a_stopped_application_is_known_so_that_doors_say_so() {
    let mut scene = certified();
    scene.settle();
    let app = path("shop/web/web").app;
    assert_eq!(keys(&scene), 1, "the host that carries it has the key");
    scene.change::<Family>("shop/web/web", |f| f.running = false);
    scene.settle();
    assert_eq!(keys(&scene), 0, "nobody needs the key now");
    let known = |scene: &Scene| scene.hosts.values().filter(|h| h.topics.contains_key(&app)).count();
    assert_eq!(known(&scene), 2);
    scene.restart_controller();
    scene.settle();
    assert_eq!(known(&scene), 2);
    scene.change::<Service>("shop/web", |s| s.deleting = true);
    scene.change::<Family>("shop/web/web", |f| f.deleting = true);
    scene.change::<Application>("shop", |a| a.deleting = true);
    scene.settle();
    assert_eq!(known(&scene), 0);
}

#[test]
fn scaling_down_leaves_no_entry_behind() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 5, vec![]);
    scene.settle();
    scene.change::<Family>("shop/web/web", |f| f.count = 2);
    scene.settle();
    assert_eq!(scene.running(), [(1, 1), (2, 1)]);
    let host = scene.hosts.values().next().expect("a host");
    assert_eq!((host.entries.len(), host.nodes.len()), (2, 2));
    assert_eq!(scene.store.list::<lace_model::node::NodeStatus>("").expect("rows").len(), 2);
}

#[test]
fn a_good_revision_rolls_and_a_bad_one_reverts_with_its_cause() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 3, vec![]);
    scene.settle();
    scene.release("shop/web/web", 2);
    scene.settle();
    assert_eq!(scene.running(), [(1, 2), (2, 2), (3, 2)]);
    assert_eq!(scene.target("shop/web/web").good, Some(2));
    scene.crashing.insert(3);
    scene.release("shop/web/web", 3);
    scene.settle();
    assert_eq!(scene.running(), [(1, 2), (2, 2), (3, 2)]);
    let rollout = scene.target("shop/web/web").rollout.expect("a rollout");
    assert!(
        matches!(&rollout.phase, Phase::Reverted { cause } if cause.contains("exit status 1")),
        "{rollout:?}"
    );
    assert_eq!(rollout.last_lines, ["no scoreboard"]);
    let bad = scene.store.get::<Revision>("shop/web#0000000003").expect("readable").expect("there");
    assert!(bad.value.bad.is_some());
}

#[test]
fn jobs_before_a_rollout_gate_it() {
    let mut scene = Scene::new(1);
    scene.failing_jobs.insert("migrate badly".into());
    scene.serve("shop/a/a", 1, vec![vec!["migrate".into()]]);
    scene.serve("shop/b/b", 1, vec![vec!["migrate".into(), "badly".into()]]);
    scene.settle();
    let states: Vec<_> =
        scene.store.list::<Job>("").expect("jobs").into_iter().map(|r| r.value.state).collect();
    assert!(states.contains(&JobState::Done) && states.contains(&JobState::Failed), "{states:?}");
    assert_eq!(scene.running().len(), 1, "only the family whose job ended well");
    assert!(scene.hosts.values().all(|h| h.entries.len() == 3), "what both jobs wrote stays for a day");
    scene.clock.advance(25 * 3_600_000);
    scene.settle();
    assert!(scene.hosts.values().all(|h| h.entries.len() == 1), "then they leave the document");
}

#[test]
fn what_is_deleted_leaves_no_row() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 2, vec![]);
    scene.settle();
    scene.change::<Application>("shop", |a| a.deleting = true);
    scene.change::<Service>("shop/web", |s| s.deleting = true);
    scene.change::<Family>("shop/web/web", |f| f.deleting = true);
    scene.settle();
    assert!(scene.running().is_empty());
    assert!(scene.store.get::<Application>("shop").expect("readable").is_none());
    assert!(scene.store.list::<Revision>("").expect("readable").is_empty());
    assert!(scene.hosts.values().all(|h| h.entries.is_empty()));
}

fn job(scene: &Scene, command: &str) -> Job {
    let rows = scene.store.list::<Job>("").expect("jobs").into_iter().map(|row| row.value);
    rows.into_iter().find(|job| job.spec.start == [command]).expect("the job")
}

#[test]
fn jobs_of_what_is_deleted_end_before_it_is_gone() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 1, vec![]);
    scene.settle();
    let revision =
        scene.store.get::<Revision>("shop/web#0000000001").expect("readable").expect("there").value;
    let mut batch = Batch::new(None);
    for (n, command) in ["lasts", "hugs"].into_iter().enumerate() {
        let id = JobId::derive(&[9; 32], command);
        let mut spec = revision.spec.clone();
        spec.start = vec![command.into()];
        let service = (n == 0).then(|| revision.service.clone());
        let app = revision.service.app.clone();
        let new = NewJob { id, app, service, spec, origin: JobOrigin::Person, actor: "anna".into() };
        batch.put(&new.queued(scene.clock.now_ms()), Expect::Absent);
        scene.lasting_jobs.insert(command.into());
    }
    scene.store.commit(batch).expect("jobs");
    scene.settle();
    assert_eq!(job(&scene, "lasts").state, JobState::Running);
    scene.change::<Application>("shop", |a| a.deleting = true);
    scene.change::<Service>("shop/web", |s| s.deleting = true);
    scene.change::<Family>("shop/web/web", |f| f.deleting = true);
    for _ in 0..5 {
        let heard = scene.obey();
        scene.turn(heard);
    }
    assert!(scene.running().is_empty(), "its nodes are gone");
    assert!(scene.store.get::<Family>("shop/web/web").expect("readable").is_some(), "it waits for its jobs");
    let told = scene
        .hosts
        .values()
        .flat_map(|h| h.entries.values())
        .filter(|entry| matches!(&entry.body, lace_model::document::EntryBody::Job(job) if job.cancel));
    assert_eq!(told.count(), 2, "the host is told to end both");
    scene.lasting_jobs.clear();
    scene.settle();
    assert!(scene.store.get::<Application>("shop").expect("readable").is_none());
    assert!(scene.store.list::<Job>("").expect("readable").is_empty());
    assert!(scene.hosts.values().all(|h| h.entries.is_empty()));
}

#[test]
fn a_host_speaks_of_its_own_nodes_only() {
    let mut scene = Scene::new(2);
    scene.serve("shop/web/web", 2, vec![]);
    scene.settle();
    let hosts: Vec<_> = scene.hosts.keys().copied().collect();
    let mine = scene.hosts[&hosts[0]].nodes.values().next().expect("a node").clone();
    let mut theirs = scene.hosts[&hosts[1]].nodes.values().next().expect("a node").clone();
    theirs.phase = NodePhase::Failed;
    let claimed = NodeStatus { host: hosts[0], ..theirs.clone() };
    let unready = NodeStatus { ready: false, ..mine.clone() };
    let nodes = vec![theirs.clone(), claimed, unready];
    scene.turn(vec![Heard::Report { host: hosts[0], nodes, jobs: vec![], tasks: vec![] }]);
    let stored = |id: lace_model::NodeId| {
        scene.store.get::<NodeStatus>(&id.to_string()).expect("readable").expect("there").value
    };
    assert_eq!((stored(theirs.id).phase, stored(theirs.id).host), (NodePhase::Running, hosts[1]));
    assert!(!stored(mine.id).ready);
}

#[test]
fn what_a_host_does_not_remove_is_abandoned_by_force_and_named() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 2, vec![]);
    scene.settle();
    let now = scene.clock.now_ms();
    let gone = Goal { family: path("shop/web/web"), revision: None, restart: 0, ready: 0 };
    let id = crate::tasks::operation(&scene, vec![gone]);
    scene.change::<Service>("shop/web", |s| s.deleting = true);
    scene.change::<Family>("shop/web/web", |f| (f.deleting, f.force_at) = (true, Some(now + 15_000)));
    // The host is there and does nothing of what it is told.
    scene.turn(vec![]);
    scene.clock.advance(14_000);
    scene.turn(vec![]);
    assert_eq!(scene.target("shop/web/web").nodes.len(), 2, "they may still go");
    assert!(scene.engine.wake_at().is_some_and(|at| at <= now + 15_000));
    scene.clock.advance(2_000);
    scene.turn(vec![]);
    scene.turn(vec![]);
    assert!(scene.store.get::<Family>("shop/web/web").expect("readable").is_none());
    let operation = crate::tasks::ended(&scene, id);
    assert_eq!(operation.state, OperationState::Done);
    assert!(operation.details[0].starts_with("shop/web/1 (") && operation.details[0].contains("host h0"));
    assert_eq!(operation.details.len(), 2);
    assert!(scene.hosts.values().all(|h| h.entries.is_empty()), "the host is told that nothing names them");
}

#[test]
fn nodes_of_a_silent_host_come_up_elsewhere_and_the_old_ones_go_when_it_returns() {
    let mut scene = Scene::new(2);
    scene.serve("shop/web/web", 4, vec![]);
    scene.settle();
    let silent = *scene.hosts.keys().next().expect("a host");
    scene.hosts.get_mut(&silent).expect("there").connected = false;
    scene.turn(vec![Heard::Lost { host: silent }]);
    scene.clock.advance(10_000);
    for _ in 0..5 {
        let heard = scene.obey();
        scene.turn(heard);
        scene.clock.advance(2_000);
    }
    let other = scene.hosts.iter().find(|(id, _)| **id != silent).expect("another").1;
    assert_eq!(other.nodes.values().filter(|n| n.phase == NodePhase::Running).count(), 4);
    scene.hosts.get_mut(&silent).expect("there").connected = true;
    let nodes = scene.hosts[&silent].nodes.values().cloned().collect();
    let host = silent;
    let capacity = scene.store.list::<lace_model::host::Host>("").expect("hosts")[0].value.capacity.clone();
    let attributes = Default::default();
    let (held, agent_version) = (Default::default(), "t".into());
    scene.turn(vec![Heard::Connected {
        host,
        capacity,
        attributes,
        agent_version,
        underlay: None,
        held,
        nodes,
    }]);
    scene.settle();
    assert_eq!(scene.running(), [(1, 1), (2, 1), (3, 1), (4, 1)], "no double after the return");
}

#[test]
fn what_a_host_was_told_and_never_took_is_gone_when_it_calls() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 1, vec![]);
    let host = *scene.hosts.keys().next().expect("a host");
    // It is told, and its agent dies with what it was told.
    scene.turn(vec![]);
    scene.change::<Family>("shop/web/web", |f| f.running = false);
    scene.turn(vec![]);
    assert_eq!(scene.target("shop/web/web").nodes.len(), 1, "it may have been started");
    scene.hosts.get_mut(&host).expect("there").entries.clear();
    let capacity = scene.store.list::<lace_model::host::Host>("").expect("hosts")[0].value.capacity.clone();
    let (attributes, held, nodes) = Default::default();
    let agent_version = "t".into();
    scene.turn(vec![Heard::Connected {
        host,
        capacity,
        attributes,
        agent_version,
        underlay: None,
        held,
        nodes,
    }]);
    scene.settle();
    assert_eq!(scene.target("shop/web/web").nodes, []);
    assert_eq!(scene.store.list::<lace_model::node::NodeStatus>("").expect("rows").len(), 0);
}

#[test]
fn a_restarted_controller_picks_up_where_it_was() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 3, vec![]);
    scene.settle();
    let before = scene.target("shop/web/web");
    scene.engine = Engine::load(&scene.store, scene.clock.now_ms()).expect("loaded");
    scene.settle();
    assert_eq!(scene.target("shop/web/web").nodes, before.nodes);
    assert_eq!(scene.running().len(), 3);
}

#[test]
fn a_large_topic_is_told_with_newcomers_at_once_and_with_states_together() {
    let mut scene = Scene::new(3);
    scene.serve("shop/web/web", 80, vec![]);
    scene.turn(vec![]);
    let told = |scene: &Scene| {
        let host = scene.hosts.values().next().expect("a host");
        let members = &host.topics.get(&path("shop/web/web").app).expect("a topic").members;
        (members.len(), members.iter().filter(|m| m.up).count())
    };
    assert_eq!(told(&scene), (80, 0), "newcomers know each other before they start");
    let heard = scene.obey();
    scene.turn(heard);
    assert_eq!(told(&scene), (80, 0), "states wait");
    assert!(scene.engine.wake_at().is_some_and(|at| at <= scene.clock.now_ms() + 100), "not for long");
    scene.clock.advance(100);
    scene.turn(vec![]);
    assert_eq!(told(&scene), (80, 80));
}

#[test]
fn the_last_runs_of_a_task_stay_on_their_host_for_a_day() {
    let mut scene = Scene::new(1);
    scene.serve("shop/web/web", 1, vec![]);
    let task = serde_json::json!({"command": ["sweep"], "schedule": "* * * * *"});
    scene.change::<Service>("shop/web", |s| {
        s.spec.tasks = serde_json::from_value(serde_json::json!({ "sweep": task })).expect("tasks");
    });
    let kept = |scene: &Scene| {
        let held = scene.hosts.values().flat_map(|h| h.entries.keys());
        held.filter(|id| matches!(id, EntryId::Job(_))).copied().collect::<BTreeSet<_>>()
    };
    for _ in 0..30 {
        let heard = scene.obey();
        scene.turn(heard);
        scene.clock.advance(30_000);
    }
    scene.change::<Service>("shop/web", |s| {
        s.spec.tasks.iter_mut().flatten().for_each(|(_, t)| t.schedule = "0 0 1 1 *".into())
    });
    let heard = scene.obey();
    scene.turn(heard);
    let last = kept(&scene);
    assert_eq!(last.len(), LOGS_KEPT, "of some fifteen runs");
    scene.restart_controller();
    scene.turn(vec![]);
    assert_eq!(kept(&scene), last, "another controller keeps the same");
    scene.clock.advance(25 * 3_600_000);
    scene.turn(vec![]);
    assert!(kept(&scene).is_empty());
}

#[test]
fn runs_of_a_task_queue_skip_or_overlap_as_its_manifest_says() {
    let states = |overlap: &str| {
        let mut scene = Scene::new(1);
        scene.lasting_jobs.insert("sweep".into());
        scene.serve("shop/web/web", 1, vec![]);
        let task = serde_json::json!({"command": ["sweep"], "schedule": "* * * * *", "overlap": overlap});
        scene.change::<Service>("shop/web", |s| {
            s.spec.tasks = serde_json::from_value(serde_json::json!({ "sweep": task })).expect("tasks");
        });
        for _ in 0..5 {
            let heard = scene.obey();
            scene.turn(heard);
            scene.clock.advance(60_000);
        }
        let jobs = scene.store.list::<Job>("").expect("jobs");
        let in_state = |state| jobs.iter().filter(|row| row.value.state == state).count();
        (in_state(JobState::Running), in_state(JobState::Queued))
    };
    assert_eq!(states("skip"), (1, 0));
    assert_eq!(states("queue"), (1, 1));
    let (running, queued) = states("allow");
    assert!(running > 2 && queued == 0, "{running} run, {queued} wait");
}
