//! What people see, and what programs read.

use crate::fake::{Fake, NOW};
use crate::samples::{self, operation, uuid};
use lace_model::change::{Action, Change, Plan};
use lace_model::event::Event;
use lace_model::money::{Cost, PoolCost, Rate, ServiceCost};
use lace_model::operation::OperationState;
use lace_model::pool::Price;
use lace_model::secret::SecretInfo;
use lace_model::{Code, Digest};
use lace_wire::api::{Explanation, HistoryLine};
use serde_json::{Value, json};

fn check(name: &str, fake: &Fake, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ran = fake.lace(&words);
    assert_eq!(ran.exit, 0, "{line}: {ran:?}");
    for text in ran.out.lines() {
        assert!(text.chars().count() <= 100, "{line}: too wide: {text}");
        assert_eq!(text, text.trim_end(), "{line}: blanks at the end");
    }
    insta::assert_snapshot!(name, format!("$ lace {line}\n{}", ran.out));
}

fn estate() -> Fake {
    let fake = Fake::start();
    let game = samples::game();
    fake.on("GET /v1/status", samples::status())
        .on("GET /v1/status?target=shop%2Fgame", game)
        .on("GET /v1/nodes", samples::nodes())
        .on("GET /v1/apps", samples::apps())
        .on("GET /v1/hosts", samples::hosts())
        .on("GET /v1/usage", samples::usage())
        .on("GET /v1/releases", [samples::release("1.2.0"), samples::release("1.1.0")])
        .on("GET /v1/releases/game@1.2.0", samples::release("1.2.0"));
    let running = operation(OperationState::Running, None, "waits until shop/game/2 is ready");
    let failed = operation(OperationState::Failed, Some(Code::CannotPlace), "no host can take it");
    fake.on("GET /v1/operations", [running, failed.clone()])
        .on(&format!("GET /v1/operations/{}", uuid(1)), failed);
    more(&fake);
    fake
}

fn more(fake: &Fake) {
    let line = |number, active, good, bad: Option<&str>| HistoryLine {
        number,
        release: format!("game@1.{number}.0"),
        created_at: NOW - 60_000 * (10 - number),
        created_by: "anna".into(),
        note: "apply".into(),
        active,
        good,
        bad: bad.map(str::to_owned),
    };
    let history =
        [line(3, false, false, Some("exit status 1")), line(2, true, true, None), line(1, false, true, None)];
    let why = Explanation {
        target: "shop/web/backend".into(),
        lines: vec!["host alpha: 128 MiB memory free, 512 MiB wanted".into(), "beta is away".into()],
    };
    let secret = SecretInfo {
        app: "shop".parse().expect("name"),
        name: "KEY".into(),
        version: 2,
        updated_at: NOW - 4000,
        generated: false,
    };
    let event = |seq: u64, kind: &str, actor: Option<&str>| Event {
        seq,
        at: NOW - 1000 + seq,
        kind: kind.into(),
        subject: "shop/game/2".into(),
        message: "is ready".into(),
        actor: actor.map(str::to_owned),
    };
    fake.on("GET /v1/history", history)
        .on("GET /v1/why", why)
        .on("GET /v1/apps/shop/secrets", [secret])
        .on("GET /v1/events", [event(1, "node.ready", None), event(2, "app.applied", Some("anna"))])
        .on(
            "GET /v1/tokens",
            json!([{ "id": uuid(7), "name": "ci", "role": "deployer", "apps": ["shop"],
                "created_at": NOW - 1000, "expires_at": null, "once": false, "join": false }]),
        )
        .on("GET /v1/audit/verify", json!({ "rows": 12, "whole": true, "broken": null }))
        .on(
            "GET /v1/audit",
            json!([{ "seq": 1, "at": NOW, "actor": "anna", "action": "scale", "subject": "shop/game",
                "outcome": "done", "prev_hash": "00", "hash": "01" }]),
        )
        .on(
            "GET /v1/server",
            json!({ "version": "0.1.0", "installation": uuid(8), "epoch": 2, "adopt": true,
                "agent_address": "127.0.0.1:7441", "unknown_nodes": [[uuid(90), uuid(12)]] }),
        );
}

#[test]
fn tables_are_for_people() {
    let fake = estate();
    let cases = [
        ("status", "status"),
        ("status-target", "status shop/game"),
        ("history", "history shop/game"),
        ("why", "why shop/web/backend"),
        ("rollout", "rollout show shop/game"),
        ("nodes", "node list"),
        ("node", "node show shop/game/2"),
        ("apps", "app list"),
        ("hosts", "host list"),
        ("host", "host show alpha"),
        ("top", "top"),
        ("releases", "release list"),
        ("release", "release show game@1.2.0"),
        ("operations", "op list"),
        ("secrets", "secret list shop"),
        ("events", "events"),
        ("tokens", "token list"),
        ("audit", "audit"),
        ("audit-verify", "audit --verify"),
        ("server", "server info"),
        ("errors", "errors"),
        ("error", "errors cannot-place"),
    ];
    for (name, line) in cases {
        check(name, &fake, line);
    }
}

#[test]
fn an_operation_is_shown_with_its_end() {
    let fake = estate();
    fake.on("GET /v1/tasks", [samples::task()]);
    check("operation", &fake, &format!("op show {}", uuid(1)));
}

#[test]
fn json_is_the_answer_of_the_api() {
    let fake = estate();
    for (line, value) in [
        ("status", serde_json::to_value(samples::status())),
        ("node list", serde_json::to_value(samples::nodes())),
        ("app list", serde_json::to_value(samples::apps())),
        ("host list", serde_json::to_value(samples::hosts())),
    ] {
        let value = value.expect("json");
        let words: Vec<&str> = line.split_whitespace().chain(["--format", "json"]).collect();
        let ran = fake.lace(&words);
        assert_eq!(ran.json(), value, "{line}");
        let words: Vec<&str> = line.split_whitespace().chain(["--format", "jsonl"]).collect();
        let lines: Vec<Value> =
            fake.lace(&words).out.lines().map(|l| serde_json::from_str(l).expect("json")).collect();
        let expected = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        assert_eq!(lines, expected, "{line}");
    }
}

#[test]
fn color_is_for_terminals_only() {
    let fake = estate();
    assert!(!fake.lace(&["status"]).out.contains('\x1b'));
    assert!(fake.line().terminal().run(&["status"]).out.contains("\x1b["));
    let plain = fake.line().terminal().env("NO_COLOR", "1").run(&["status"]);
    assert!(!plain.out.contains('\x1b'), "{plain:?}");
}

fn cost() -> Cost {
    let rate = |micro: i64, unknown| Rate { micro_per_hour: [("USD".to_owned(), micro)].into(), unknown };
    let game = Some("game".parse().expect("name"));
    let pool = |name: &str, price: Option<&str>, after: Rate| PoolCost {
        pool: Some(name.parse().expect("name")),
        profile: Some("t3.small".into()),
        price: price.map(|price| Price::said(price, 0).expect("a price")),
        hosts_now: 1,
        ordered: 1,
        idle: 0,
        now: after.clone(),
        after,
    };
    Cost {
        at: 100 * 24 * 3_600_000,
        now: rate(11_600, 0),
        after: rate(23_200, 1),
        services: vec![ServiceCost { service: game, now: rate(11_600, 0), after: rate(23_200, 1) }],
        pools: vec![pool("eu", Some("0.0228"), rate(22_800, 0)), pool("rack", None, rate(0, 1))],
        notes: vec!["1 of 3 nodes of shop/game find no host: what they would cost is not counted".into()],
    }
}

#[test]
fn a_plan_reads_like_a_diff() {
    let fake = Fake::start();
    let change = |action, field: &str, from: Option<&str>, to: Option<&str>, effect: Option<&str>| Change {
        service: Some("game".parse().expect("name")),
        action,
        field: field.into(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        effect: effect.map(str::to_owned),
    };
    let plan = Plan {
        app: "shop".parse().expect("name"),
        changes: vec![
            change(Action::Create, "", None, None, Some("starts 2 nodes")),
            change(Action::Update, "env.PORT", Some("80"), Some("8080"), Some("rolls 3 nodes")),
            change(Action::Delete, "family.old", Some("1"), None, None),
            change(Action::Drift, "family.game.count", Some("3"), Some("5"), None),
        ],
        digest: Digest::of(b"plan"),
        cost: Some(cost()),
    };
    fake.on("POST /v1/apps/shop/plan", plan);
    let manifest = "[application]\nname = \"shop\"\n[service.game]\nrelease = \"game\"\n";
    std::fs::write(fake.dir().join("lace.toml"), manifest).expect("written");
    check("plan", &fake, "plan");
    assert_eq!(fake.lace(&["plan", "--exit-code"]).exit, 11);
}
