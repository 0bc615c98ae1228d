//! Whatever comes in: a refusal with a reason, never a failure of ours.

use crate::house::House;
use lace_api::door::table;
use lace_wire::api::Accepted;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
});

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let house = House::new();
    let host = house.add_host(1);
    RUNTIME.block_on(async { house.apply("shop", 1).await.ok::<Accepted>() });
    house.place("shop/game/game", 1, host);
    house
});

fn json_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "verb",
        "target",
        "shop",
        "shop/game",
        "shop/game/1",
        "scale",
        "delete",
        "count",
        "force",
        "save",
        "step",
        "pause",
        "spec",
        "services",
        "app",
        "name",
        "role",
        "viewer",
        "command",
        "tree",
        "entries",
        "release",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(words.clone(), inner, 0..6)
                .prop_map(|m| m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// A body that is nearly right: one field of a good one is another value.
fn nearly() -> impl Strategy<Value = Value> {
    let good = prop::sample::select(vec![
        json!({"verb": "scale", "target": "shop/game", "count": "2", "save": false}),
        json!({"verb": "rollback", "target": "shop/game", "to": 1}),
        json!({"verb": "delete", "target": "shop/game", "force": false, "delete_data": false}),
        json!({"verb": "rollout", "target": "shop/game", "step": "pause"}),
        json!({"verb": "activate", "target": "shop/game", "release": "x@1"}),
        json!({"app": "shop", "spec": {"services": {"game": {"start": ["x"], "families": {}}}}, "prune": true}),
        json!({"target": "shop/game", "command": ["x"], "env": {}, "limits": null}),
        json!({"name": "x", "version": "1", "tree": {"entries": []}, "kind": "generic", "start": ["x"]}),
        json!({"name": "x", "role": "viewer", "apps": [], "expires_in": "1d"}),
    ]);
    (good, any::<prop::sample::Index>(), json_value()).prop_map(|(mut good, field, value)| {
        let map = good.as_object_mut().expect("an object");
        let key = map.keys().nth(field.index(map.len())).expect("a key").clone();
        map.insert(key, value);
        good
    })
}

fn check(method: &str, path: &str, body: Vec<u8>) {
    let house = &*HOUSE;
    let got = RUNTIME.block_on(house.call(&house.admin, method, path, body.clone()));
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(got.status < 500, "{method} {path} {text}: {} {:?}", got.status, got.body);
    if got.status >= 400 {
        got.problem(got.status);
    }
}

fn path_with(path: &str, part: &str) -> String {
    let mut out = String::new();
    for piece in path.split('/').filter(|p| !p.is_empty()) {
        out.push('/');
        out.push_str(if piece.starts_with('{') { part } else { piece });
    }
    if out.is_empty() { "/".into() } else { out }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn odd_bodies(value in prop_oneof![json_value(), nearly()]) {
        for path in ["/v1/verbs", "/v1/apps/shop/plan", "/v1/apps/shop/apply", "/v1/jobs", "/v1/releases",
            "/v1/tokens", "/v1/blobs/missing", "/v1/login"] {
            check("POST", path, value.to_string().into_bytes());
        }
    }

    #[test]
    fn odd_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for path in ["/v1/verbs", "/v1/apps/shop/apply", "/v1/releases", "/v1/login"] {
            check("POST", path, bytes.clone());
        }
    }

    #[test]
    fn odd_paths_and_queries(part in "[a-zA-Z0-9@%._~-]{1,40}", query in "[a-z_]{1,10}=[a-zA-Z0-9%/:{}.-]{0,40}") {
        for door in table() {
            let rule = door.rule;
            // These go on for ever, or end what the other cases stand on.
            if rule.path == "/v1/events" || rule.path == "/v1/server/backup" {
                continue;
            }
            let path = path_with(rule.path, &part);
            let uri = format!("{path}?{query}");
            if uri.parse::<axum::http::Uri>().is_ok() {
                check(rule.method, &uri, Vec::new());
            }
        }
    }
}
