//! An API that says what it was told, and what it is told of large installations.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::any;
use lace_dashboard::Config;
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::{Generation, HostId, NodeId};
use lace_wire::api::{FamilyStatus, Health, NodeView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The pages before an API with these answers; everything else is not there.
pub fn pages(answers: impl IntoIterator<Item = (&'static str, Value)>) -> Router {
    let answers: Arc<BTreeMap<&str, Value>> = Arc::new(answers.into_iter().collect());
    let api = Router::new().fallback(any(move |request: Request<Body>| {
        let found = answers.get(request.uri().path()).map(Value::to_string);
        std::future::ready(answer(found))
    }));
    lace_dashboard::router(api, Config { version: "0".into(), secure: true, commands: Vec::new() })
}

fn answer(found: Option<String>) -> Response<Body> {
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let text = found
        .unwrap_or_else(|| json!({"code": "not-found", "message": "there is no such thing"}).to_string());
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn id(n: usize) -> Uuid {
    Uuid::from_u128(n as u128)
}

/// One of many hosts.
fn host(n: usize) -> Value {
    json!({
        "host": {
            "id": id(n), "name": format!("host-{n}"), "capacity": {"cpu": "8", "memory": "32GiB", "slots": 500},
            "attributes": {"region": format!("r{}", n % 3), "zone": format!("z{}", n % 2)},
            "blocks": [], "agent_version": "0.1.0", "joined_at": 1,
        },
        "liveness": {"connected": n % 1000 != 7, "last_seen": 1, "disk_used_permille": 100},
        "nodes": 20, "cpu_used": 4000, "memory_used": 1u64 << 34,
    })
}

fn node(n: usize) -> NodeView {
    let family: lace_model::FamilyPath = "shop/web/web".parse().expect("a path");
    let path = family.node(u32::try_from(n).expect("small"));
    let status = NodeStatus {
        id: NodeId(id(n)),
        revision: 3,
        host: HostId(id(1)),
        address: [10, 192, 0, 2].into(),
        generation: Generation::default(),
        phase: NodePhase::Running,
        ready: n % 100 != 1,
        since: 1,
        started_at: Some(1),
        restarts: 0,
        exit: None,
        detail: None,
        alarms: Default::default(),
        votes_seen: None,
        holds: false,
        joined: false,
        path,
    };
    let fqdn = status.path.fqdn();
    NodeView { status, host: "host-1".into(), fqdn, host_connected: true, host_seen: 1 }
}

/// A family of so many nodes, some of them in trouble.
pub fn family(nodes: usize) -> FamilyStatus {
    FamilyStatus {
        path: "shop/web/web".parse().expect("a path"),
        health: Health::Degraded,
        message: "990 of 1000 ready".into(),
        wanted: 1000,
        ready: 990,
        revision: 3,
        release: "web@3".into(),
        running: None,
        since: 1,
        rollout: None,
        nodes: (1..=nodes).map(node).collect(),
        drift: Vec::new(),
    }
}

/// What pages of hosts are made of.
pub fn of_hosts(count: usize) -> Vec<(&'static str, Value)> {
    vec![
        ("/v1/hosts", Value::Array((0..count).map(host).collect())),
        ("/v1/pools", json!([])),
        ("/v1/apps", json!([])),
        ("/v1/events", json!([])),
        ("/v1/operations", json!([])),
    ]
}

/// What pages of a family of so many nodes are made of.
pub fn of_nodes(count: usize) -> Vec<(&'static str, Value)> {
    let status = json!({
        "now": 1, "hosts": 1, "hosts_connected": 1, "adopt": false,
        "apps": [{"name": "shop", "health": "degraded", "families": [family(count)]}],
    });
    vec![
        ("/v1/status", status),
        ("/v1/apps/shop/export", json!({"services": {}})),
        ("/v1/apps/shop/secrets", json!([])),
        ("/v1/history", json!([])),
        ("/v1/pushes", json!({"url": null, "host_key": null, "keys": []})),
        ("/v1/why", json!({"target": "shop/web/web", "lines": []})),
        ("/v1/events", json!([])),
        ("/v1/operations", json!([])),
        ("/v1/releases", json!([])),
        ("/v1/packages", json!([])),
    ]
}
