//! The table of doors against the router: nothing is open that the table does not open.

use crate::house::{House, name, request};
use axum::body::Body;
use lace_api::door::{Need, Rule, Scope, Trail, table};
use lace_api::{NewToken, PROBLEM_TYPE};
use lace_model::backup::Backup;
use lace_model::document::Verb;
use lace_model::job::{JobOrigin, NewJob};
use lace_model::operation::{Operation, OperationState};
use lace_model::task::NewTask;
use lace_model::token::Role;
use lace_model::{BackupId, Code, FamilyPath, HostId, JobId, NodeId, OperationId, Span, TaskId};
use lace_wire::api::{Accepted, TokenMade, UserMade};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const OPERATION: &str = "00000000-0000-0000-0000-0000000000aa";
const TASK: &str = "00000000-0000-0000-0000-0000000000cc";
const JOB: &str = "00000000-0000-0000-0000-0000000000bb";
const DIGEST: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

/// A house with one thing of each sort in the application `other`, so that every id leads somewhere.
async fn house() -> House {
    let house = House::new();
    house.add_host(1);
    house.apply("other", 1).await.ok::<Accepted>();
    house.put(&Operation {
        id: OPERATION.parse::<OperationId>().expect("an id"),
        verb: "scale".into(),
        subject: "other/game".into(),
        actor: "root".into(),
        waits: Vec::new(),
        state: OperationState::Running,
        code: None,
        message: String::new(),
        details: Vec::new(),
        started_at: 0,
        ended_at: None,
        held_until: None,
    });
    let spec =
        house.state.store.list::<lace_model::revision::Revision>("").expect("rows").remove(0).value.spec;
    let job = NewJob {
        id: JOB.parse::<JobId>().expect("an id"),
        app: name("other"),
        service: None,
        spec,
        origin: JobOrigin::Person,
        actor: "root".into(),
    };
    house.put(&job.queued(0));
    let task = NewTask {
        id: TASK.parse::<TaskId>().expect("an id"),
        path: "other/game/game".parse::<FamilyPath>().expect("a path").node(1),
        node: NodeId::derive(&[0; 32], "node"),
        host: HostId::derive(&[0; 32], "host"),
        verb: Verb::Restart,
        within: Span::secs(60),
        restarts: 0,
        actor: "root".into(),
    };
    house.put(&task.queued(0));
    let node = "other/game/game".parse::<FamilyPath>().expect("a path").node(1);
    house.put(&Backup {
        id: OPERATION.parse::<BackupId>().expect("an id"),
        service: node.family.service_path(),
        node,
        package: name("keeper"),
        version: "1".into(),
        tree: DIGEST.parse().expect("a digest"),
        bytes: 1,
        made_at: 0,
        made_by: "root".into(),
    });
    house
}

fn path_of(rule: &Rule) -> String {
    let id = match rule.path {
        job if job.starts_with("/v1/jobs") => JOB,
        task if task.starts_with("/v1/tasks") => TASK,
        _ => OPERATION,
    };
    let path = rule
        .path
        .replace("{app}", "other")
        .replace("{id}", id)
        .replace("{digest}", DIGEST)
        .replace("{release}", "ball@1.0")
        .replace("{package}", "ball@1.0")
        .replace("{host}", "other.example.com")
        .replace("/secrets/{name}", "/secrets/KEY")
        .replace("{name}", "alpha1");
    match rule.path {
        "/v1/status" | "/v1/history" | "/v1/revision" | "/v1/why" | "/v1/nodes" | "/v1/usage"
        | "/v1/beam" | "/v1/beam/adopted" | "/v1/scripts" | "/v1/pushes" | "/v1/backups" | "/v1/figures" => {
            format!("{path}?target=other")
        }
        "/v1/usage/history" | "/v1/beam/top" | "/v1/beam/dump" => format!("{path}?target=other/game/1"),
        "/v1/volumes/snapshot" | "/v1/volumes/restore" => {
            format!("{path}?target=other&name=data&snapshot=before")
        }
        "/v1/volumes" if rule.method == "DELETE" => format!("{path}?target=other&name=data"),
        "/v1/keys" if rule.method == "DELETE" => format!("{path}?target=other/game&name=ada"),
        "/v1/jobs" => format!("{path}?app=other"),
        "/v1/events" | "/v1/operations" => format!("{path}?subject=other"),
        "/v1/stream" => {
            format!("{path}?request=%7B%22target%22:%22other/game/1%22,%22action%22:%22logs%22%7D")
        }
        _ => path,
    }
}

fn body_of(rule: &Rule) -> String {
    let body: Value = match rule.path {
        "/v1/apps/{app}/plan" | "/v1/apps/{app}/apply" => json!(request("other", 1)),
        "/v1/beam/call" => json!({"target": "other/game/1", "module": "erlang", "function": "node"}),
        "/v1/verbs" => json!({"verb": "stop", "target": "other"}),
        "/v1/jobs" => json!({"target": "other", "command": ["true"]}),
        "/v1/keys" if rule.method == "POST" => json!({"target": "other/game", "key": "ssh-ed25519 AAAA ada"}),
        "/v1/tokens" => json!({"name": "x", "role": "viewer"}),
        "/v1/authority" if rule.method == "PUT" => {
            json!({"directory": "https://acme.example.com", "terms_agreed": true})
        }
        "/v1/blobs/missing" => json!([]),
        _ => Value::Null,
    };
    if body.is_null() { String::new() } else { body.to_string() }
}

fn named(rule: &Rule) -> String {
    format!("{} {}", rule.method, rule.path)
}

fn rules() -> impl Iterator<Item = Rule> {
    table().into_iter().map(|door| door.rule)
}

#[tokio::test]
async fn without_a_token_only_open_doors_open() {
    let house = house().await;
    let mut open = Vec::new();
    for rule in rules() {
        let got = house.call("", rule.method, &path_of(&rule), body_of(&rule)).await;
        if rule.need == Need::Nothing {
            open.push(named(&rule));
            assert!(got.status != 404 && got.status != 405, "{} {}", named(&rule), got.status);
        } else {
            assert_eq!(got.problem(401).code, Code::NotAuthenticated, "{}", named(&rule));
        }
    }
    let people = ["POST /v1/login/password", "GET /v1/sign-up", "POST /v1/sign-up"];
    let usual = ["GET /", "GET /healthz", "GET /v1/openapi.json", "GET /login", "POST /v1/login"];
    assert_eq!(open, [&usual[..], &people].concat());
}

#[tokio::test]
async fn a_user_who_is_granted_nothing_opens_their_own_doors_only() {
    let house = house().await;
    let made = house.post("/v1/users", json!({"name": "anna"})).await.ok::<UserMade>();
    let once = json!({"token": made.login.expect("a link").token}).to_string();
    let anna = house.call("", "POST", "/v1/login", once).await.ok::<TokenMade>().token;
    let last = "DELETE /v1/session";
    for rule in rules().filter(|rule| named(rule) != last) {
        let Need::Token(_, scope) = rule.need else { continue };
        let got = house.call(&anna, rule.method, &path_of(&rule), body_of(&rule)).await;
        match scope {
            Scope::Own => assert_ne!(got.status, 401, "{}", named(&rule)),
            _ => assert_eq!(got.problem(403).code, Code::NotAllowed, "{}", named(&rule)),
        }
    }
}

#[tokio::test]
async fn wrong_tokens_open_nothing() {
    let house = house().await;
    let mut over = NewToken::new("over", Role::Admin);
    over.expires_at = Some(crate::house::NOW);
    let mut join = NewToken::new("join", Role::Admin);
    (join.join, join.once) = (true, true);
    let mut once = NewToken::new("once", Role::Admin);
    once.once = true;
    let mut forged = house.admin.clone();
    forged.replace_range(forged.len() - 1.., if forged.ends_with('0') { "1" } else { "0" });
    let tokens =
        [house.token(over), house.token(join), house.token(once), forged, "lace_x_y".into(), "é".into()];
    for token in &tokens {
        for rule in rules().filter(|r| r.need != Need::Nothing) {
            let got = house.call(token, rule.method, &path_of(&rule), body_of(&rule)).await;
            assert_eq!(got.status, 401, "{} with {token}", named(&rule));
        }
    }
}

#[tokio::test]
async fn a_lower_role_is_refused_and_noted() {
    let house = house().await;
    let deployer = house.token(NewToken::new("deployer", Role::Deployer));
    for rule in rules() {
        let Need::Token(role, _) = rule.need else { continue };
        let lower = match role {
            Role::Viewer => continue,
            Role::Deployer => &house.viewer,
            Role::Admin => &deployer,
        };
        let noted = house.audits();
        let got = house.call(lower, rule.method, &path_of(&rule), body_of(&rule)).await;
        assert_eq!(got.problem(403).code, Code::NotAllowed, "{}", named(&rule));
        let notes = usize::from(rule.trail == Trail::Kept);
        assert_eq!(house.audits() - noted, notes, "{}", named(&rule));
        if notes == 1 {
            assert_eq!(house.last_audit().3, "refused: 403");
        }
    }
}

#[tokio::test]
async fn a_token_of_one_application_does_not_reach_another() {
    let house = house().await;
    let mut new = NewToken::new("keeper", Role::Admin);
    new.apps = vec![name("shop")];
    let keeper = house.token(new);
    for rule in rules() {
        let Need::Token(_, scope) = rule.need else { continue };
        let got = house.call(&keeper, rule.method, &path_of(&rule), body_of(&rule)).await;
        match scope {
            // Its own session is anybody's; who a door is about alone knows that they are.
            Scope::Own if rule.path != "/v1/events" => assert_ne!(got.status, 401, "{}", named(&rule)),
            Scope::Shared => assert_ne!(got.status, 403, "{}", named(&rule)),
            // Without a target: a list of what is its own, which is nothing.
            Scope::Target if rule.path == "/v1/accounts" => {
                let view: Value = got.ok();
                assert_eq!((&view["accounts"], &view["hosts"]), (&json!([]), &json!([])));
            }
            Scope::Target if got.status == 200 => assert_eq!(&got.body[..], b"[]", "{}", named(&rule)),
            _ => assert_eq!(got.problem(403).code, Code::NotAllowed, "{}", named(&rule)),
        }
    }
}

#[tokio::test]
async fn lists_hold_only_what_a_token_may_see() {
    let house = house().await;
    house.apply("shop", 1).await.ok::<Accepted>();
    for path in ["/v1/apps", "/v1/nodes", "/v1/operations", "/v1/jobs", "/v1/events?since=0"] {
        let got = house.call(&house.shop, "GET", path, Body::empty()).await;
        assert_eq!(got.status, 200, "{path}");
        let text = String::from_utf8(got.body.to_vec()).expect("text");
        assert!(!text.contains("other"), "{path}: {text}");
    }
    let got = house.call(&house.shop, "GET", "/v1/status", Body::empty()).await;
    let status: lace_wire::api::Status = got.ok();
    assert_eq!(status.apps.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    let got = house.call(&house.shop, "GET", "/v1/events?subject=host/alpha1", Body::empty()).await;
    assert_eq!(got.problem(403).code, Code::NotAllowed);
}

#[tokio::test]
async fn the_document_and_the_router_know_the_same_doors() {
    let house = house().await;
    let document: Value = house.call("", "GET", "/v1/openapi.json", Body::empty()).await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            told.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let known: BTreeSet<_> = rules().map(|rule| named(&rule)).collect();
    assert_eq!(told, known);
    for rule in rules() {
        let path = path_of(&rule);
        let call = house.call(&house.admin, rule.method, &path, body_of(&rule));
        // One that waits for hosts leads somewhere.
        let Ok(got) = tokio::time::timeout(Duration::from_secs(2), call).await else { continue };
        let unrouted =
            got.status == 405 || (got.status == 404 && got.problem(404).message.ends_with(rule.path));
        assert!(!unrouted, "{} leads nowhere", named(&rule));
    }
}

#[tokio::test]
async fn every_schema_that_is_named_is_there() {
    let house = house().await;
    let document: Value = house.call("", "GET", "/v1/openapi.json", Body::empty()).await.ok();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    let named: BTreeSet<&str> =
        text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let missing: Vec<_> = named.iter().filter(|n| !schemas.contains_key(**n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.contains("Status") && named.contains("Problem"));
}

#[test]
fn the_table_of_the_wire_names_every_door() {
    let told = include_str!("../../../wire/src/api/mod.rs");
    let told: String = told.lines().filter(|l| l.starts_with("//! |")).collect();
    for rule in rules() {
        let short = rule.path.trim_start_matches("/v1/apps/{app}");
        let words = [rule.path.to_owned(), short.replace("/{release}", "/{name@version}")];
        let last = rule.path.rsplit('/').next().unwrap_or_default();
        let known = words.iter().any(|w| !w.is_empty() && told.contains(w.as_str()))
            || told.contains(&format!("/{last}"));
        // The page for people and its login link are for browsers, not for clients.
        assert!(known || matches!(rule.path, "/" | "/login"), "{}", named(&rule));
    }
}

#[tokio::test]
async fn a_door_that_is_not_there_is_a_problem_too() {
    let house = house().await;
    let got = house.call(&house.admin, "GET", "/v1/nothing", Body::empty()).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
    let got = house.call(&house.admin, "PATCH", "/v1/status", Body::empty()).await;
    assert_eq!(got.problem(405).code, Code::Usage);
    assert_eq!(got.headers["content-type"], PROBLEM_TYPE);
}
