//! The controller itself: backup, adopt mode, audit, metrics, pages.

use crate::house::{House, NOW, connected, host_id, node_id};
use axum::body::Body;
use lace_api::FixedLiveness;
use lace_model::Code;
use lace_model::family::Family;
use lace_store::{ManualClock, MasterKey, Store};
use lace_wire::api::{Accepted, AuditLine, AuditVerdict, ServerInfo};
use serde_json::json;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_an_archive_that_can_be_restored() {
    let house = House::on_disk();
    house.apply("shop", 3).await.ok::<Accepted>();
    house.state.store.blobs().put(b"a chunk").expect("kept");
    let got = house.post("/v1/server/backup", json!(null)).await;
    assert_eq!((got.status, got.headers["content-type"].as_bytes()), (200, &b"application/x-tar"[..]));
    assert_eq!(house.last_audit().1, "backup");
    let dir = tempfile::tempdir().expect("a directory");
    tar::Archive::new(&got.body[..]).unpack(dir.path().join("backup")).expect("an archive");
    let clock = Arc::new(ManualClock::at(NOW));
    let key = MasterKey::from_bytes([7; 32]);
    let restored = Store::restore(&dir.path().join("backup"), &dir.path().join("state"), key, clock);
    let restored = restored.expect("restored");
    assert_eq!(restored.list::<Family>("").expect("rows")[0].value.count, 3);
    assert!(restored.meta().expect("meta").adopt);
    let left = std::fs::read_dir(&house.state.config.scratch).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0, "the copy is gone");
}

#[tokio::test]
async fn the_controller_says_what_it_is() {
    let family = "shop/game/game".parse().expect("a path");
    let unknown = vec![(host_id(1), node_id(&family, 9))];
    let house = House::with_liveness(FixedLiveness { unknown: unknown.clone(), ..connected(&[1]) });
    let info: ServerInfo = house.get("/v1/server").await.ok();
    assert_eq!((info.version.as_str(), info.epoch, info.adopt), ("0.1.0-test", 1, false));
    assert_eq!(info.installation, house.state.store.installation().to_string());
    assert_eq!(info.unknown_nodes, unknown);
    assert_eq!(house.post("/v1/server/adopted", json!(null)).await.status, 204);
    assert_eq!(house.last_audit(), ("root".into(), "adopt".into(), "controller".into(), "ended".into()));
}

#[tokio::test]
async fn the_audit_log_is_read_and_checked() {
    let house = House::new();
    house.apply("shop", 1).await.ok::<Accepted>();
    house.delete("/v1/apps/shop").await.ok::<Accepted>();
    let rows: Vec<AuditLine> = house.get("/v1/audit").await.ok();
    assert_eq!(rows.iter().map(|r| r.action.as_str()).collect::<Vec<_>>(), ["apply", "delete"]);
    assert_eq!((rows[0].hash.len(), &rows[1].prev_hash), (64, &rows[0].hash));
    let rows: Vec<AuditLine> = house.get("/v1/audit?after=1&limit=5").await.ok();
    assert_eq!(rows.len(), 1);
    let verdict: AuditVerdict = house.get("/v1/audit/verify").await.ok();
    assert_eq!((verdict.rows, verdict.whole, verdict.broken), (2, true, None));
    assert_eq!(house.get("/v1/audit?limit=x").await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn numbers_for_prometheus() {
    let house = House::with_liveness(connected(&[1]));
    let host = house.add_host(1);
    house.apply("shop", 3).await.ok::<Accepted>();
    house.place("shop/game/game", 2, host);
    let got = house.get("/metrics").await;
    let text = String::from_utf8(got.body.to_vec()).expect("text");
    for line in
        ["lace_apps 1", "lace_nodes_wanted 3", "lace_nodes_ready 2", "lace_hosts_connected 1", "lace_epoch 1"]
    {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.split_once(' ').expect("name and value");
        assert!(name.starts_with("lace_") && value.parse::<u64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn pages_for_people() {
    let house = House::new();
    let got = house.call("", "GET", "/", Body::empty()).await;
    let text = String::from_utf8(got.body.to_vec()).expect("text");
    assert!(text.contains("Lace 0.1.0-test") && text.contains("/v1/openapi.json"));
    assert!(got.headers["content-security-policy"].to_str().expect("text").contains("default-src 'none'"));
    let got = house.call("", "GET", "/healthz", Body::empty()).await;
    assert_eq!((got.status, &got.body[..]), (200, &b"ok\n"[..]));
}
