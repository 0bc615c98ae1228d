//! Applications: made, planned, applied, looked at, deleted.

use crate::house::{House, NOW, connected, name, request};
use lace_api::{FixedLiveness, UsageSample};
use lace_model::application::ApplicationSpec;
use lace_model::change::Plan;
use lace_model::family::{Application, Family};
use lace_model::host::{Host, Liveness};
use lace_model::node::NodeStatus;
use lace_model::operation::Operation;
use lace_model::target::Target;
use lace_model::{Code, FamilyPath};
use lace_planner::{FamilyInput, Gates, HostView, Used};
use lace_wire::api::{Accepted, AppSummary, Explanation, Health, HistoryLine, NodeView, Status, UsageView};
use lace_wire::link::frame::NodeUsage;
use serde_json::json;

#[tokio::test]
async fn an_application_is_made_once() {
    let house = House::new();
    let made: Application = house.post("/v1/apps/shop", json!(null)).await.ok();
    assert_eq!((made.name, made.created_at, made.deleting), (name("shop"), NOW, false));
    assert_eq!(house.last_audit(), ("root".into(), "create".into(), "shop".into(), "done".into()));
    assert_eq!(house.post("/v1/apps/shop", json!(null)).await.problem(409).code, Code::Conflict);
    assert_eq!(house.last_audit().3, "refused: 409");
    assert_eq!(house.post("/v1/apps/Shop", json!(null)).await.problem(422).code, Code::Usage);
    let listed: Vec<AppSummary> = house.get("/v1/apps").await.ok();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn what_is_planned_is_what_is_applied() {
    let house = House::new();
    let mut wanted = request("shop", 3);
    let plan: Plan = house.post("/v1/apps/shop/plan", json!(wanted)).await.ok();
    assert!(!plan.is_empty());
    assert!(house.state.store.list::<Family>("").expect("rows").is_empty(), "a plan changes nothing");
    assert_eq!(house.audits(), 0, "a plan leaves no trail");

    wanted.plan = Some(plan.digest);
    let accepted: Accepted = house.post("/v1/apps/shop/apply", json!(wanted)).await.ok();
    let id = accepted.operation.expect("an operation");
    let operation: Operation = house.get(&format!("/v1/operations/{id}")).await.ok();
    assert_eq!((operation.verb.as_str(), operation.actor.as_str()), ("apply", "root"));
    assert_eq!(operation.waits.len(), 1);
    assert_eq!((operation.waits[0].revision, operation.waits[0].ready), (Some(1), 3));
    assert_eq!(house.last_audit(), ("root".into(), "apply".into(), "shop".into(), "done".into()));
    assert!(house.state.store.events(0, 100).expect("events").iter().any(|e| e.kind == "app.applied"));

    let again = house.post("/v1/apps/shop/apply", json!(wanted)).await.problem(409);
    assert_eq!(again.code, Code::Conflict, "the pinned plan was for another world");
    let plan: Plan = house.post("/v1/apps/shop/plan", json!(request("shop", 3))).await.ok();
    assert!(plan.is_empty());
    let accepted: Accepted = house.apply("shop", 3).await.ok();
    assert_eq!(accepted.message, "shop: nothing changes");
    assert!(accepted.operation.is_some(), "it may not be so yet");
}

#[tokio::test]
async fn of_two_applies_at_once_one_gets_a_conflict() {
    for round in 0..20 {
        let house = House::on_disk();
        house.apply("shop", 1).await.ok::<Accepted>();
        let (one, two) = tokio::join!(house.apply("shop", 2), house.apply("shop", 3));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        // They may also come one after the other; what must never be is a mixture or a failure.
        assert!(statuses == [200, 409] || statuses == [200, 200], "{round}: {statuses:?}");
        let families = house.state.store.list::<Family>("").expect("rows");
        assert!([2, 3].contains(&families[0].value.count));
        if statuses == [200, 409] {
            let refused = if one.status == 409 { one } else { two };
            assert_eq!(refused.problem(409).code, Code::Conflict);
            return;
        }
    }
    panic!("in 20 rounds no two applies met");
}

#[tokio::test]
async fn a_manifest_for_another_application_is_refused() {
    let house = House::new();
    let got = house.post("/v1/apps/other/apply", json!(request("shop", 1))).await;
    assert_eq!(got.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_manifest_with_mistakes_changes_nothing() {
    let house = House::new();
    let mut wanted = request("shop", 1);
    let service = wanted.spec.services.get_mut(&name("game")).expect("the service");
    service.needs = Some(vec![name("nothing")]);
    service.release = Some(lace_model::release::ReleaseRef { name: name("unknown"), version: None });
    let problem = house.post("/v1/apps/shop/apply", json!(wanted)).await;
    assert!((400..500).contains(&problem.status), "{problem:?}");
    assert!(house.state.store.list::<Application>("").expect("rows").is_empty());
}

#[tokio::test]
async fn export_gives_back_what_was_applied() {
    let house = House::new();
    house.apply("shop", 3).await.ok::<Accepted>();
    let spec: ApplicationSpec = house.get("/v1/apps/shop/export").await.ok();
    assert_eq!(spec.services[&name("game")].start, request("shop", 3).spec.services[&name("game")].start);
    assert_eq!(house.get("/v1/apps/none/export").await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn status_says_how_everything_is() {
    let house = House::with_liveness(connected(&[1]));
    let host = house.add_host(1);
    house.add_host(2);
    house.apply("shop", 2).await.ok::<Accepted>();
    let status: Status = house.get("/v1/status").await.ok();
    assert_eq!((status.hosts, status.hosts_connected, status.adopt), (2, 1, false));
    assert_eq!(status.apps[0].families[0].ready, 0);
    assert!(status.apps[0].families[0].nodes.is_empty(), "not planned yet");

    house.place("shop/game/game", 2, host);
    let status: Status = house.get("/v1/status?target=shop/game").await.ok();
    let family = &status.apps[0].families[0];
    assert_eq!((family.wanted, family.ready, family.revision, family.since), (2, 2, 1, NOW + 5));
    assert_eq!(family.health, Health::Healthy, "{}", family.message);
    assert_eq!(family.nodes[0].host, "alpha1");
    assert_eq!(family.nodes[1].fqdn, "game-2.game.shop.lace.internal");
    assert!(family.nodes[0].host_connected);
    assert!(family.drift.is_empty(), "{:?}", family.drift);

    let summary: Vec<AppSummary> = house.get("/v1/apps").await.ok();
    assert_eq!((summary[0].services, summary[0].ready, summary[0].wanted), (1, 2, 2));
    for target in ["none", "shop/none", "shop/game/none", "shop/game/9"] {
        let got = house.get(&format!("/v1/status?target={target}")).await;
        assert_eq!(got.problem(404).code, Code::NotFound, "{target}");
    }
}

#[tokio::test]
async fn a_count_that_was_changed_by_hand_is_drift() {
    let house = House::new();
    house.apply("shop", 2).await.ok::<Accepted>();
    let scale = json!({"verb": "scale", "target": "shop/game", "count": "+3", "save": false});
    house.verb(scale).await.ok::<Accepted>();
    let status: Status = house.get("/v1/status").await.ok();
    assert_eq!(status.apps[0].families[0].drift, ["family.game.count: 5 live, 2 applied"]);
}

#[tokio::test]
async fn nodes_and_usage_of_a_target() {
    let family: FamilyPath = "shop/game/game".parse().expect("a path");
    let mut live: FixedLiveness = connected(&[1]);
    let node = crate::house::node_id(&family, 1);
    let usage = NodeUsage { node, cpu_us: 5, memory: 4096, pids: 2, oom_kills: 0, throttled: 0 };
    live.nodes.insert(node, UsageSample { usage, age_ms: 700, cpu_millis: 250 });
    let house = House::with_liveness(live);
    let host = house.add_host(1);
    house.apply("shop", 2).await.ok::<Accepted>();
    house.place("shop/game/game", 2, host);
    let nodes: Vec<NodeView> = house.get("/v1/nodes").await.ok();
    assert_eq!(nodes.len(), 2);
    let nodes: Vec<NodeView> = house.get("/v1/nodes?target=shop/game/2").await.ok();
    assert_eq!(nodes.iter().map(|n| n.status.path.index).collect::<Vec<_>>(), [2]);
    let usage: Vec<UsageView> = house.get("/v1/usage?target=shop").await.ok();
    assert_eq!(usage.len(), 1, "the other node was not heard of");
    assert_eq!((usage[0].memory, usage[0].cpu_millis, usage[0].age_ms), (4096, 250, 700));
    assert_eq!(usage[0].limits.pids, 1024);
}

#[tokio::test]
async fn history_and_why_speak_of_a_service() {
    let house = House::with_liveness(connected(&[1]));
    let host = house.add_host(1);
    house.apply("shop", 1).await.ok::<Accepted>();
    let mut second = request("shop", 1);
    let service = second.spec.services.get_mut(&name("game")).expect("the service");
    service.env = Some([("A".to_owned(), "1".to_owned())].into());
    house.post("/v1/apps/shop/apply", json!(second)).await.ok::<Accepted>();
    house.place("shop/game/game", 1, host);
    let history: Vec<HistoryLine> = house.get("/v1/history?target=shop").await.ok();
    let told: Vec<_> = history.iter().map(|l| (l.number, l.active, l.good)).collect();
    assert_eq!(told, [(2, true, false), (1, false, true)]);
    assert_eq!(history[0].created_by, "root");
    let why: Explanation = house.get("/v1/why?target=shop/game/1").await.ok();
    assert_eq!(why.target, "shop/game/1");
    assert!(!why.lines.is_empty());
    assert_eq!(house.get("/v1/history").await.problem(422).code, Code::Usage);
    assert_eq!(house.get("/v1/history?target=shop/none").await.problem(404).code, Code::NotFound);
    assert_eq!(house.get("/v1/why?target=none").await.problem(404).code, Code::NotFound);
}

/// What the engine would do with it, until nothing moves.
fn is_over_for_the_planner(house: &House) -> bool {
    let path: FamilyPath = "shop/game/game".parse().expect("a path");
    let family = house.state.store.get::<Family>("shop/game/game").expect("read").expect("there").value;
    let mut target = house.state.store.get::<Target>("shop/game/game").expect("read").map(|row| row.value);
    let nodes = house.state.store.list::<NodeStatus>("").expect("rows");
    let observed = nodes.into_iter().map(|row| (row.value.id, row.value)).collect();
    let rows = house.state.store.list::<Host>("").expect("rows");
    let liveness = Liveness { connected: false, last_seen: NOW, disk_used_permille: 0 };
    let view = |host| HostView {
        host,
        liveness,
        used: Used::default(),
        taken: Default::default(),
        ports: Default::default(),
        missing: Vec::new(),
        pool: None,
    };
    let hosts: Vec<_> = rows.into_iter().map(|row| view(row.value)).collect();
    assert_eq!(family.path, path);
    for _ in 0..5 {
        let outcome = lace_planner::plan(&FamilyInput {
            family: &family,
            current: target.as_ref(),
            observed: &observed,
            revisions: &Default::default(),
            hosts: &hosts,
            offers: &[],
            gates: &Gates::default(),
            restarts: &Default::default(),
            upgrades: &Default::default(),
            answered: &Default::default(),
            epoch: 1,
            now: NOW + 10,
            seed: [0; 32],
        });
        if outcome.family_done {
            return true;
        }
        target = outcome.target.or(target);
    }
    false
}

#[tokio::test]
async fn deleting_marks_and_waits_until_all_is_gone() {
    let house = House::new();
    let host = house.add_host(1);
    house.apply("shop", 1).await.ok::<Accepted>();
    house.place("shop/game/game", 1, host);
    let accepted: Accepted = house.delete("/v1/apps/shop?force=true").await.ok();
    let id = accepted.operation.expect("an operation");
    let operation: Operation = house.get(&format!("/v1/operations/{id}")).await.ok();
    assert_eq!(operation.verb, "delete --force");
    assert_eq!(operation.waits[0].revision, None);
    assert!(operation.details[0].contains("abandoned"), "{:?}", operation.details);
    assert!(is_over_for_the_planner(&house), "its host never answers, and it ends all the same");
    let app = house.state.store.get::<Application>("shop").expect("read").expect("there").value;
    assert!(app.deleting);
    assert_eq!(house.apply("shop", 1).await.problem(409).code, Code::Conflict);
    assert_eq!(house.delete("/v1/apps/none").await.problem(404).code, Code::NotFound);
    assert_eq!(house.delete("/v1/apps/shop?sure=yes").await.problem(422).code, Code::Usage);
}
