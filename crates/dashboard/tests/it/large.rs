//! Pages of large installations stay small. Bytes are asserted, times are printed.

use crate::fake::{page, pages};
use lace_model::node::{NodePhase, NodeStatus};
use lace_model::{Generation, HostId, NodeId};
use lace_wire::api::{FamilyStatus, Health, NodeView};
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

fn id(n: usize) -> Uuid {
    Uuid::from_u128(n as u128)
}

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
        path,
    };
    let fqdn = status.path.fqdn();
    NodeView { status, host: "host-1".into(), fqdn, host_connected: true, host_seen: 1 }
}

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

async fn weigh(answers: Vec<(&'static str, Value)>, path: &str, bytes_max: usize) -> String {
    let pages = pages(answers);
    let (head, plain) = page(&pages, path, false).await;
    assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&plain));
    let began = Instant::now();
    let (_, packed) = page(&pages, path, true).await;
    eprintln!(
        "{path}: {} bytes, {} packed, made in {} ms",
        plain.len(),
        packed.len(),
        began.elapsed().as_millis()
    );
    assert!(packed.len() < bytes_max, "{path} travels as {} bytes", packed.len());
    String::from_utf8(plain).expect("text")
}

#[tokio::test]
async fn ten_thousand_hosts_are_a_map() {
    let hosts = Value::Array((0..10_000).map(host).collect());
    let text = weigh(vec![("/v1/hosts", hosts.clone()), ("/v1/pools", json!([]))], "/hosts", 120_000).await;
    assert!(text.contains("host-1007") && text.contains("10000 in all"));
    let answers = vec![
        ("/v1/hosts", hosts),
        ("/v1/apps", json!([])),
        ("/v1/events", json!([])),
        ("/v1/operations", json!([])),
    ];
    weigh(answers, "/", 120_000).await;
}

#[tokio::test]
async fn a_thousand_nodes_are_squares_and_a_page_of_rows() {
    let status = json!({
        "now": 1, "hosts": 1, "hosts_connected": 1, "adopt": false,
        "apps": [{"name": "shop", "health": "degraded", "families": [family(1000)]}],
    });
    let answers = vec![
        ("/v1/status", status),
        ("/v1/apps/shop/export", json!({"services": {}})),
        ("/v1/apps/shop/secrets", json!([])),
        ("/v1/history", json!([])),
        ("/v1/pushes", json!({"url": null, "host_key": null, "keys": []})),
        ("/v1/why", json!({"target": "shop/web/web", "lines": []})),
        ("/v1/events", json!([])),
        ("/v1/operations", json!([])),
        ("/v1/releases", json!([])),
    ];
    let text = weigh(answers.clone(), "/apps/shop/web/web", 60_000).await;
    assert!(text.contains("1 to 100 of 1000"));
    weigh(answers, "/apps/shop", 60_000).await;
}
