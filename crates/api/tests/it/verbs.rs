//! The verbs of daily work.

use crate::house::{House, connected, name, request};
use lace_api::NewToken;
use lace_model::Code;
use lace_model::beam::Beam;
use lace_model::document::Verb;
use lace_model::family::{Family, Service};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::operation::Operation;
use lace_model::revision::{Isolation, Revision};
use lace_model::rollout::{Phase, Rollout};
use lace_model::target::{PlannedNode, Target, VoteOrder, VoteSeat, Votes};
use lace_model::task::{NodeTask, TaskState};
use lace_model::token::Role;
use lace_store::{Batch, Expect};
use lace_wire::api::Accepted;
use serde_json::{Value, json};

async fn house() -> House {
    let house = House::with_liveness(connected(&[1]));
    let host = house.add_host(1);
    house.apply("shop", 3).await.ok::<Accepted>();
    house.place("shop/game/game", 3, host);
    house
}

fn family(house: &House) -> Family {
    house.state.store.get::<Family>("shop/game/game").expect("read").expect("there").value
}

async fn operation(house: &House, accepted: &Accepted) -> Operation {
    let id = accepted.operation.expect("an operation");
    house.get(&format!("/v1/operations/{id}")).await.ok()
}

#[tokio::test]
async fn scale_takes_numbers_and_steps() {
    let house = house().await;
    for (count, wanted) in [("5", 5), ("+2", 7), ("-3", 4), ("0", 0)] {
        let scale = json!({"verb": "scale", "target": "shop/game", "count": count, "save": false});
        let accepted: Accepted = house.verb(scale).await.ok();
        assert_eq!(family(&house).count, wanted);
        assert_eq!(operation(&house, &accepted).await.waits[0].ready, wanted);
        assert_eq!(house.last_audit(), ("root".into(), "scale".into(), "shop/game".into(), "done".into()));
    }
    let spec =
        |h: &House| h.state.store.get::<Service>("shop/game").expect("read").expect("there").value.spec;
    assert_eq!(spec(&house).families[&name("game")].count, Some(3));
    let scale = json!({"verb": "scale", "target": "shop", "count": "2", "save": true});
    house.verb(scale).await.ok::<Accepted>();
    assert_eq!(spec(&house).families[&name("game")].count, Some(2));
    for count in ["many", "-", "1000000"] {
        let scale = json!({"verb": "scale", "target": "shop/game", "count": count, "save": false});
        assert_eq!(house.verb(scale).await.problem(422).code, Code::Usage, "{count}");
    }
}

#[tokio::test]
async fn scales_at_once_all_count() {
    let house = house().await;
    let more = || house.verb(json!({"verb": "scale", "target": "shop/game", "count": "+1", "save": false}));
    let all = futures::future::join_all((0..4).map(|_| more())).await;
    assert!(all.iter().all(|got| got.status == 200), "{all:?}");
    assert_eq!(family(&house).count, 7);
}

#[tokio::test]
async fn stop_start_and_restart() {
    let house = house().await;
    house.verb(json!({"verb": "stop", "target": "shop"})).await.ok::<Accepted>();
    assert_eq!((family(&house).running, family(&house).count), (false, 3));
    house.verb(json!({"verb": "start", "target": "shop/game"})).await.ok::<Accepted>();
    assert!(family(&house).running);
    let accepted: Accepted = house.verb(json!({"verb": "restart", "target": "shop/game/game"})).await.ok();
    assert_eq!(family(&house).restart, 1);
    assert_eq!(operation(&house, &accepted).await.waits[0].restart, 1);
    let got = house.verb(json!({"verb": "stop", "target": "shop/game/1"})).await;
    assert!(got.problem(422).hint.expect("a hint").contains("lace replace shop/game/1"));
}

#[tokio::test]
async fn a_node_is_restarted_and_signalled_by_tasks_of_an_operation() {
    let house = house().await;
    let tasks = async |query: &str| house.get(&format!("/v1/tasks{query}")).await.ok::<Vec<NodeTask>>();
    let accepted: Accepted = house.verb(json!({"verb": "restart", "target": "shop/game/2"})).await.ok();
    let operation = operation(&house, &accepted).await;
    assert!(operation.waits.is_empty());
    let found = tasks(&format!("?operation={}", operation.id)).await;
    assert_eq!(found.len(), 1);
    let task = &found[0];
    assert_eq!((task.node, task.state), (crate::house::node_id(&family(&house).path, 2), TaskState::Queued));
    assert_eq!((&task.verb, family(&house).restart), (&Verb::Restart, 0));
    let shown: NodeTask = house.get(&format!("/v1/tasks/{}", task.id)).await.ok();
    assert_eq!(shown, *task);
    let usr1 = json!({"verb": "signal", "target": "shop", "signal": "SIGUSR1"});
    house.verb(usr1).await.ok::<Accepted>();
    assert_eq!(tasks("").await.len(), 4, "one for each node");
    assert_eq!(tasks("?target=shop/game/1").await[0].verb, Verb::Signal { signal: 10 });
    let got = house.verb(json!({"verb": "signal", "target": "shop", "signal": "HELLO"})).await;
    assert!(got.problem(422).hint.expect("a hint").contains("USR1"));
    let got = house.verb(json!({"verb": "restart", "target": "shop/game/9"})).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
}

/// The house's family as one of Erlang nodes that vote, the first of which runs the application.
async fn voting() -> House {
    let house = house().await;
    let path = family(&house).path;
    let mut batch = Batch::new(None);
    let mut revision = house.state.store.list::<Revision>("").expect("read").remove(0).value;
    revision.spec.beam = Some(Beam { failover: Some("game".into()), ..Beam::default() });
    batch.put(&revision, Expect::Any);
    let mut target =
        house.state.store.get::<Target>(&path.to_string()).expect("read").expect("a target").value;
    let seat = |n: &PlannedNode| VoteSeat { index: n.index, address: n.address };
    let order =
        VoteOrder { generation: 1, seats: target.nodes.iter().map(seat).collect(), ..Default::default() };
    target.votes = Some(Votes { order, since: 1, ..Default::default() });
    batch.put(&target, Expect::Any);
    let first = crate::house::node_id(&path, 1).to_string();
    let mut holder = house.state.store.get::<NodeStatus>(&first).expect("read").expect("a status").value;
    holder.holds = true;
    batch.put(&holder, Expect::Any);
    house.state.store.commit(batch).expect("written");
    house
}

#[tokio::test]
async fn a_distributed_application_is_moved_by_a_task_and_refused_where_it_would_not_move() {
    let plain = house().await;
    let got = plain.verb(json!({"verb": "failover", "target": "shop/game"})).await;
    assert!(got.problem(409).message.contains("no distributed application"));

    let house = voting().await;
    let failover =
        async |to: Value| house.verb(json!({"verb": "failover", "target": "shop/game", "to": to})).await;
    let accepted: Accepted = failover(Value::Null).await.ok();
    let operation = operation(&house, &accepted).await;
    let query = format!("/v1/tasks?operation={}", operation.id);
    let tasks: Vec<NodeTask> = house.get(&query).await.ok();
    let path = family(&house).path;
    assert_eq!((tasks.len(), tasks[0].node), (1, crate::house::node_id(&path, 2)), "the first backup");
    assert!(matches!(tasks[0].verb, Verb::TakeCopy { preference } if preference > 1));
    let accepted: Accepted = failover(json!(1)).await.ok();
    assert!(accepted.operation.is_none() && accepted.message.contains("runs it already"), "{accepted:?}");
    assert!(failover(json!(3)).await.problem(409).message.contains("no backup"), "backups = 1");
    assert_eq!(failover(json!(9)).await.problem(404).code, Code::NotFound);

    let second = crate::house::node_id(&path, 2).to_string();
    let mut status = house.state.store.get::<NodeStatus>(&second).expect("read").expect("a status").value;
    let mut set = |change: &dyn Fn(&mut NodeStatus)| {
        change(&mut status);
        let mut batch = Batch::new(None);
        batch.put(&status, Expect::Any);
        house.state.store.commit(batch).expect("written");
    };
    set(&|status| status.ready = false);
    assert!(failover(json!(2)).await.problem(409).message.contains("is not ready"));
    let mut third = house.state.store.get::<NodeStatus>(&crate::house::node_id(&path, 3).to_string());
    third.as_mut().expect("read").as_mut().expect("a status").value.phase = NodePhase::Backoff;
    set(&|status| status.phase = NodePhase::Backoff);
    let mut batch = Batch::new(None);
    batch.put(&third.expect("read").expect("a status").value, Expect::Any);
    house.state.store.commit(batch).expect("written");
    assert!(failover(json!(2)).await.problem(409).message.contains("no majority"));
}

#[tokio::test]
async fn replace_names_the_node_that_is_there() {
    let house = house().await;
    house.verb(json!({"verb": "replace", "target": "shop/game/2"})).await.ok::<Accepted>();
    let family = family(&house);
    assert_eq!(family.replace[&2], crate::house::node_id(&family.path, 2));
    for target in ["shop/game/9", "shop/none/1", "none/game/1"] {
        let got = house.verb(json!({"verb": "replace", "target": target})).await;
        assert_eq!(got.problem(404).code, Code::NotFound, "{target}");
    }
    assert_eq!(house.verb(json!({"verb": "replace", "target": "shop"})).await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn rollback_goes_to_a_revision_that_is_there() {
    let house = house().await;
    let mut second = request("shop", 3);
    let service = second.spec.services.get_mut(&name("game")).expect("the service");
    service.env = Some([("A".to_owned(), "1".to_owned())].into());
    house.post("/v1/apps/shop/apply", json!(second)).await.ok::<Accepted>();
    assert_eq!(family(&house).revision, 2);
    house.verb(json!({"verb": "rollback", "target": "shop/game", "to": null})).await.ok::<Accepted>();
    assert_eq!(family(&house).revision, 1);
    let got = house.verb(json!({"verb": "rollback", "target": "shop/game", "to": 77})).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
}

/// With isolation `host` nodes have what is their host's, and a host carries more than one application.
#[tokio::test]
async fn who_is_limited_to_applications_gives_no_host_away() {
    let house = house().await;
    let mut limited = NewToken::new("limited", Role::Admin);
    limited.apps = vec![name("shop")];
    let limited = house.token(limited);
    let on_host = |isolation: Isolation| {
        let mut request = request("shop", 3);
        request.spec.services.get_mut(&name("game")).expect("the service").isolation = Some(isolation);
        json!(request).to_string()
    };
    let apply = "/v1/apps/shop/apply";
    for isolation in [Isolation::Host, Isolation::HostRoot] {
        for token in [&house.shop, &limited] {
            let got = house.call(token, "POST", apply, on_host(isolation)).await;
            assert_eq!(got.problem(403).code, Code::NotAllowed, "{isolation:?}");
        }
    }
    house.call(&house.admin, "POST", apply, on_host(Isolation::Host)).await.ok::<Accepted>();
    let as_before = on_host(Isolation::Border);
    house.call(&limited, "POST", apply, as_before).await.ok::<Accepted>();
    let back = json!({"verb": "rollback", "target": "shop/game", "to": 2}).to_string();
    for token in [&house.shop, &limited] {
        let got = house.call(token, "POST", "/v1/verbs", back.clone()).await;
        assert_eq!(got.problem(403).code, Code::NotAllowed);
    }
    house.call(&house.admin, "POST", "/v1/verbs", back).await.ok::<Accepted>();
    assert_eq!(family(&house).revision, 2);
}

fn steer(step: &str) -> Value {
    json!({"verb": "rollout", "target": "shop/game", "step": step})
}

#[tokio::test]
async fn a_rollout_is_steered() {
    let house = house().await;
    assert_eq!(house.verb(steer("abort")).await.problem(409).code, Code::Conflict);
    assert_eq!(house.verb(steer("pause")).await.problem(409).code, Code::Conflict, "nothing is under way");
    under_way(&house);
    let paused: Accepted = house.verb(steer("pause")).await.ok();
    assert!(paused.operation.is_none(), "nothing to wait for");
    assert!(family(&house).paused);
    house.verb(steer("resume")).await.ok::<Accepted>();
    assert!(!family(&house).paused);
    house.verb(steer("promote")).await.ok::<Accepted>();
    assert_eq!(family(&house).promoted, Some(1));
    house.verb(steer("abort")).await.ok::<Accepted>();
    assert_eq!(family(&house).aborted, Some(1));
    let refused = house.verb(steer("promote")).await.problem(409);
    assert!(refused.message.contains("was aborted"), "{refused:?}");
}

fn under_way(house: &House) {
    let mut target = house.state.store.get::<Target>("shop/game/game").expect("read").expect("there").value;
    target.rollout = Some(Rollout {
        from: None,
        to: 1,
        phase: Phase::Rolling,
        started_at: 0,
        moved_at: 0,
        last_lines: Vec::new(),
        split: None,
        mesh: None,
    });
    house.put(&target);
}

#[tokio::test]
async fn a_number_that_no_host_could_carry_is_refused_and_changes_nothing() {
    let house = house().await;
    let before = family(&house).count;
    let got =
        house.verb(json!({"verb": "scale", "target": "shop/game", "count": "9999", "save": false})).await;
    let problem = got.problem(422);
    assert_eq!(problem.code, Code::CannotPlace, "{problem:?}");
    assert_eq!(family(&house).count, before);
}

#[tokio::test]
async fn deleting_a_service_or_a_family_spares_the_rest() {
    let house = house().await;
    let delete = |target| json!({"verb": "delete", "target": target, "force": false, "delete_data": false});
    house.verb(delete("shop/game/game")).await.ok::<Accepted>();
    assert!(family(&house).deleting);
    let service = || house.state.store.get::<Service>("shop/game").expect("read").expect("there").value;
    assert!(!service().deleting);
    let accepted: Accepted = house.verb(delete("shop/game")).await.ok();
    assert!(service().deleting);
    assert_eq!(operation(&house, &accepted).await.waits[0].revision, None);
    assert_eq!(house.verb(delete("shop/none")).await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn a_verb_that_needs_one_family_lists_them() {
    let house = house().await;
    let mut two = request("shop", 1);
    let mut other = two.spec.services[&name("game")].clone();
    other.families = [(name("web"), other.families[&name("game")].clone())].into();
    two.spec.services.insert(name("web"), other);
    house.post("/v1/apps/shop/apply", json!(two)).await.ok::<Accepted>();
    let got = house.verb(json!({"verb": "scale", "target": "shop", "count": "2", "save": false})).await;
    let problem = got.problem(422);
    assert_eq!(problem.hint.as_deref(), Some("name one: shop/game/game, shop/web/web"));
    let got = house.verb(json!({"verb": "rollback", "target": "shop", "to": null})).await;
    assert_eq!(got.problem(422).hint.as_deref(), Some("name one: shop/game, shop/web"));
    assert_eq!(house.get("/v1/history?target=shop").await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_row_that_changes_meanwhile_is_read_again() {
    let house = house().await;
    let writer = house.state.store.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let busy = std::thread::spawn(move || {
        let mut n = 0;
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            let mut family = writer.get::<Family>("shop/game/game").expect("read").expect("there");
            family.value.promoted = Some(n);
            n += 1;
            let mut batch = Batch::new(None);
            batch.put(&family.value, Expect::Rev(family.rev));
            let _ = writer.commit(batch);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    for _ in 0..20 {
        house.verb(json!({"verb": "restart", "target": "shop"})).await.ok::<Accepted>();
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    busy.join().expect("the other writer");
    assert_eq!(family(&house).restart, 20);
}
