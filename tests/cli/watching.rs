//! Watching: operations, conditions, events, jobs, and what happens when the time is over.

use crate::fake::{Fake, NOW};
use crate::samples::{self, accepted, operation, uuid};
use lace_model::event::Event;
use lace_model::operation::OperationState;
use lace_wire::api::{Accepted, Health};
use lace_wire::stream::{LogLine, StreamFrame};
use serde_json::{Value, json};

fn op_line() -> String {
    format!("GET /v1/operations/{}", uuid(1))
}

#[test]
fn an_operation_is_watched_to_its_end() {
    let fake = Fake::start();
    fake.on("POST /v1/verbs", accepted())
        .on(&op_line(), operation(OperationState::Running, None, "waits"))
        .on(&op_line(), operation(OperationState::Done, None, "5 of 5 nodes are ready"));
    let ran = fake.lace(&["scale", "shop/game", "+2"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "5 of 5 nodes are ready\n"), "{ran:?}");
    let body: Value = serde_json::from_slice(&fake.called()[0].body).expect("json");
    assert_eq!(body, json!({ "verb": "scale", "target": "shop/game", "count": "+2", "save": false }));
}

#[test]
fn still_watching_names_the_way_to_go_on() {
    let fake = Fake::start();
    fake.on("POST /v1/verbs", accepted())
        .on(&op_line(), operation(OperationState::Running, None, "waits until shop/game/5 is ready"));
    let ran = fake.lace(&["scale", "shop/game", "5", "--timeout", "50ms"]);
    assert_eq!(ran.exit, 4, "{ran:?}");
    assert!(ran.err.contains(&format!("lace op wait {}", uuid(1))), "{ran:?}");
    assert!(ran.err.contains("waits until shop/game/5 is ready"), "{ran:?}");
}

#[test]
fn nothing_to_do_is_done() {
    let fake = Fake::start();
    fake.on("POST /v1/verbs", Accepted { operation: None, message: "it has 5 nodes already".into() });
    let ran = fake.lace(&["scale", "shop/game", "5"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "it has 5 nodes already\n"));
}

#[test]
fn conditions_are_waited_for() {
    let fake = Fake::start();
    let degraded = samples::family("shop/game/game", Health::Degraded, samples::nodes());
    fake.on("GET /v1/status", samples::estate(Health::Degraded, vec![degraded]))
        .on("GET /v1/status", samples::game());
    assert_eq!(fake.lace(&["wait", "shop/game", "--for", "healthy"]).exit, 0);
    for (condition, exit) in [
        ("nodes>=3", 0),
        ("nodes=3", 0),
        ("nodes<3", 4),
        ("revision=3", 0),
        ("revision>3", 4),
        ("stopped", 4),
        ("gone", 4),
    ] {
        let ran = fake.lace(&["wait", "shop/game", "--for", condition, "--timeout", "20ms"]);
        assert_eq!(ran.exit, exit, "{condition}: {ran:?}");
    }
}

#[test]
fn the_last_node_can_be_removed_and_no_other() {
    let fake = Fake::start();
    fake.on("GET /v1/status", samples::game())
        .on("POST /v1/verbs", accepted())
        .on(&op_line(), operation(OperationState::Done, None, "done"));
    assert_eq!(fake.lace(&["node", "remove", "shop/game/2"]).exit, 2);
    assert_eq!(fake.lace(&["node", "remove", "shop/game/3"]).exit, 0);
    let called = fake.called();
    let verb = called.iter().find(|c| c.line == "POST /v1/verbs").expect("a verb");
    let body: Value = serde_json::from_slice(&verb.body).expect("json");
    assert_eq!((&body["count"], &body["target"]), (&json!("2"), &json!("shop/game")));
}

fn event(seq: u64) -> Event {
    Event {
        seq,
        at: NOW,
        kind: "node.ready".into(),
        subject: "shop/game/1".into(),
        message: "is ready".into(),
        actor: None,
    }
}

fn feed(seqs: &[u64]) -> Vec<u8> {
    let message =
        |seq: &u64| format!("id: {seq}\ndata: {}\n\n", serde_json::to_string(&event(*seq)).expect("json"));
    seqs.iter().map(message).collect::<String>().into_bytes()
}

#[test]
fn the_feed_goes_on_where_it_broke() {
    let fake = Fake::start();
    fake.on_raw("GET /v1/events?follow=true&since=6", 200, feed(&[7, 8])).on_raw(
        "GET /v1/events?follow=true&since=8",
        200,
        feed(&[8, 9]),
    );
    let words = ["events", "-f", "--since", "6", "--limit", "3", "--format", "jsonl"];
    let ran = fake.lace(&words);
    let seqs: Vec<u64> =
        ran.out.lines().map(|line| serde_json::from_str::<Event>(line).expect("json").seq).collect();
    assert_eq!((ran.exit, seqs), (0, vec![7, 8, 9]), "no gap and nothing twice");
}

fn job(state: &str, exit: Option<i32>) -> Value {
    json!({
        "id": uuid(4), "app": "shop", "service": "shop/game", "state": state, "exit": exit,
        "spec": { "release": "", "tree": null, "kind": "generic", "start": ["true"] },
        "origin": { "from": "person" }, "host": null, "address": null, "actor": "anna",
        "created_at": NOW, "started_at": null, "ended_at": null, "last_lines": ["last words"],
        "detail": "no host can take it",
    })
}

#[test]
fn a_job_is_as_if_it_ran_here() {
    let fake = Fake::start();
    fake.on("POST /v1/jobs", job("queued", None))
        .on(&format!("GET /v1/jobs/{}", uuid(4)), job("running", None))
        .on(&format!("GET /v1/jobs/{}", uuid(4)), job("failed", Some(9)));
    fake.says(|_| {
        let line = LogLine { at: NOW, stderr: false, text: "working".into() };
        vec![StreamFrame::Line(line), StreamFrame::Exit(9)]
    });
    let ran = fake.lace(&["run", "shop/game", "--out", "kept", "--cpu", "2", "--", "true"]);
    assert_eq!((ran.exit, ran.out.as_str()), (9, "working\n"), "{ran:?}");
    let kept = std::fs::read_to_string(fake.dir().join("kept/stdout")).expect("kept");
    assert_eq!(kept, "working\n");
    let body: Value = serde_json::from_slice(&fake.called()[0].body).expect("json");
    assert_eq!(body["limits"]["cpu"], "2");
}

#[test]
fn a_job_that_does_not_run_is_125() {
    let fake = Fake::start();
    fake.on("POST /v1/jobs", job("failed", None));
    fake.on(&format!("GET /v1/jobs/{}", uuid(4)), job("failed", None));
    let ran = fake.lace(&["run", "shop", "--", "true"]);
    assert_eq!(ran.exit, 125, "{ran:?}");
    assert!(ran.err.contains("no host can take it"), "{ran:?}");
    assert_eq!(ran.out, "last words\n");
    let ran = fake.lace(&["run", "--detach", "shop", "--", "true"]);
    assert_eq!((ran.exit, ran.out), (0, format!("{}\n", uuid(4))));
}
