//! Bounds: sizes, disk, time.

use crate::house::{House, name, request};
use axum::body::Body;
use bytes::Bytes;
use lace_api::limit::JSON_BODY_MAX;
use lace_model::Code;
use lace_wire::api::{Accepted, Status};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_body_above_its_limit_is_refused() {
    let house = House::new();
    let large = " ".repeat(JSON_BODY_MAX + 1);
    let got = house.call(&house.admin, "POST", "/v1/verbs", large.clone()).await;
    assert_eq!(got.problem(413).code, Code::TooLarge);
    // Without a length in its head, too.
    let pieces =
        futures::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 600_000]))));
    let got = house.call(&house.admin, "POST", "/v1/verbs", Body::from_stream(pieces)).await;
    assert_eq!(got.problem(413).code, Code::TooLarge);
    let mut request = axum::http::Request::builder().method("POST").uri("/v1/verbs");
    request = request
        .header("authorization", format!("Bearer {}", house.admin))
        .header("content-length", large.len());
    let got = house.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(got.problem(413).code, Code::TooLarge, "before anything is read");
}

#[tokio::test]
async fn a_url_above_its_limit_is_refused() {
    let house = House::new();
    let got = house.get(&format!("/v1/status?target={}", "a".repeat(50_000))).await;
    assert_eq!(got.problem(422).code, Code::Usage);
    let got = house.get(&format!("/v1/events?subject={}", "a".repeat(60_000))).await;
    assert_eq!(got.problem(414).code, Code::TooLarge);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_problem() {
    let house = House::new();
    let broken = futures::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))]);
    let got = house.call(&house.admin, "POST", "/v1/verbs", Body::from_stream(broken)).await;
    assert_eq!(got.problem(400).code, Code::Usage);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_does_not_hold_the_door() {
    let house = House::new();
    let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let got = house.call(&house.admin, "POST", "/v1/verbs", Body::from_stream(never)).await;
    assert_eq!(got.problem(408).code, Code::StillWatching);
}

#[tokio::test]
async fn malformed_json_is_told_with_its_place() {
    let house = House::new();
    let got = house.call(&house.admin, "POST", "/v1/verbs", "{\n  \"verb\": }").await;
    assert!(got.problem(422).message.contains("line 2 column 11"), "{:?}", got.body);
    let got = house.post("/v1/verbs", json!({"verb": "stop", "target": "Shop"})).await;
    assert!(got.problem(422).message.contains("\"Shop\" is not a name"), "{:?}", got.body);
    let got = house.get("/v1/status?target=").await;
    assert_eq!(got.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_full_disk_refuses_new_work_and_lets_things_go() {
    let house = House::new();
    let host = house.add_host(1);
    house.apply("shop", 2).await.ok::<Accepted>();
    house.place("shop/game/game", 2, host);
    house.post("/v1/apps/empty", json!(null)).await;
    house.gauge.set(900);
    let scale = |count: &str| json!({"verb": "scale", "target": "shop/game", "count": count, "save": false});
    let refused = [
        house.apply("shop", 3).await,
        house.post("/v1/apps/new", json!(null)).await,
        house.verb(scale("+1")).await,
        house.verb(json!({"verb": "restart", "target": "shop"})).await,
        house.post("/v1/jobs", json!({"target": "shop", "command": ["ls"]})).await,
        house.call(&house.admin, "PUT", "/v1/apps/shop/secrets/KEY", "value").await,
        house.call(&house.admin, "PUT", &format!("/v1/blobs/{}", lace_model::Digest::of(b"x")), "x").await,
        house.post("/v1/releases", json!({"name": "x", "version": "1", "tree": {"entries": []}, "kind": "generic", "start": ["x"]})).await,
    ];
    for (n, got) in refused.iter().enumerate() {
        assert_eq!(got.problem(507).code, Code::DiskFull, "{n}");
    }
    assert_eq!(house.get("/v1/status").await.status, 200);
    house.verb(scale("-1")).await.ok::<Accepted>();
    house.verb(json!({"verb": "stop", "target": "shop"})).await.ok::<Accepted>();
    house.delete("/v1/apps/empty").await.ok::<Accepted>();
    house.delete("/v1/apps/shop").await.ok::<Accepted>();
    house.gauge.set(500);
    house.post("/v1/apps/new", json!(null)).await;
}

#[tokio::test]
async fn status_of_a_thousand_nodes_is_quick() {
    let house = House::on_disk();
    let host = house.add_host(1);
    let mut wanted = request("shop", 100);
    let service = wanted.spec.services[&name("game")].clone();
    for n in 1..10 {
        let mut other = service.clone();
        let family = other.families.remove(&name("game")).expect("the family");
        let named = name(&format!("game{n}"));
        other.families.insert(named.clone(), family);
        wanted.spec.services.insert(named, other);
    }
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    for service in wanted.spec.services.keys() {
        house.place(&format!("shop/{service}/{service}"), 100, host);
    }
    house.get("/v1/status").await;
    let begun = Instant::now();
    let status: Status = house.get("/v1/status").await.ok();
    let took = begun.elapsed();
    assert_eq!(status.apps[0].families.iter().map(|f| f.nodes.len()).sum::<usize>(), 1000);
    eprintln!("status of 1,000 nodes: {took:?}");
    // A bound against reading row by row, with room for a busy machine and a debug build; `make bench` measures.
    assert!(took < Duration::from_secs(2), "{took:?}");
}
