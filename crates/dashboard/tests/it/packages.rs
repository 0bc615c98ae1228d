//! Forms that are made of a package's schema.

use crate::answers::family;
use crate::fake::{answered, page, pages};
use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// What became of `run` on a node.
fn task(node: u32, state: &str, operation: u128) -> Value {
    let id = |n: u128| uuid::Uuid::from_u128(n);
    json!({
        "id": id(u128::from(node) + operation), "path": format!("shop/web/web/{node}"), "node": id(1), "host": id(2),
        "verb": {"verb": "action", "name": "run", "tree": "0".repeat(64), "file": "x.sh", "timeout": "60s"},
        "deadline": 1, "operation": id(operation), "state": state, "cause": (state == "failed").then_some("run.sh still runs"),
        "lines": [], "actor": "tester", "created_at": 1,
    })
}

/// A value with some of its fields said anew.
fn with(mut usual: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return usual };
    for (key, value) in more {
        usual[key] = value;
    }
    usual
}

fn setting(kind: &str, default: Value, more: Value) -> Value {
    let help = format!("a {kind}");
    with(
        json!({"kind": kind, "default": default, "help": help, "min": null, "max": null, "choices": []}),
        more,
    )
}

fn action(more: Value) -> Value {
    let usual = json!({"file": "x.sh", "help": "<i>does</i>", "timeout": "60s", "roles": [], "once": false, "parameters": {}});
    with(usual, more)
}

fn package(name: &str, more: Value) -> Value {
    let usual = json!({
        "name": name, "version": "1", "summary": "", "state": "replaceable", "release": "none", "roles": {},
        "settings": {}, "ports": {}, "provides": {}, "consumes": {}, "templates": {}, "scripts": {}, "actions": {},
        "volumes": {}, "check": null, "live": null, "metrics": null, "metric": {}, "stop": {"signal": "TERM", "timeout": "10s"},
        "image": {"packages": [], "programs": []},
    });
    json!({"spec": with(usual, more), "tree": "0".repeat(64), "bytes": 1, "uploaded_at": 1})
}

/// The package of `web`: it asks for what `cache` provides.
fn web() -> Value {
    let settings = json!({
        "workers": setting("whole", json!("4"), json!({"min": "1", "max": "64"})),
        "memory": setting("size", json!("64MiB"), json!({})),
        "mode": setting("choice", json!("fast"), json!({"choices": ["fast", "slow"]})),
        "title": setting("text", Value::Null, json!({"help": "<b>bold</b>"})),
    });
    let parameter = setting("text", json!(""), json!({"max": "3000"}));
    let actions = json!({
        "run": action(json!({"parameters": {"parameters": parameter}})),
        "flush": action(json!({"roles": ["web"], "once": true})),
        "scripts": action(json!({})),
    });
    let consumes =
        json!({"store": {"interface": "redis", "required": true, "help": "where it keeps things"}});
    package("web", json!({"settings": settings, "consumes": consumes, "actions": actions}))
}

fn scripts() -> Value {
    let script = |name: &str, state: &str| json!({"name": name, "state": state});
    let of = |node: u32, trouble: Value, init: &str, run: &str| {
        let scripts = [script("init.sh", init), script("run.sh", run)];
        json!({"path": format!("shop/web/web/{node}"), "trouble": trouble, "scripts": scripts})
    };
    json!([
        of(1, Value::Null, "stopped (return code 0)", "running"),
        of(2, json!("away"), "stopped (return code 7)", "never started"),
    ])
}

/// How `web` is pushed: one key may.
fn pushes() -> Value {
    let key = json!({
        "name": "ada", "kind": "ssh-ed25519", "key": "AAAA", "fingerprint": "SHA256:abc", "auto_enable": true, "added_at": 1,
        "added_by": "<i>somebody</i>",
    });
    json!({"url": "ssh://git@lace.example:7442/shop/web", "host_key": "SHA256:xyz", "keys": [key]})
}

/// An application with a bare service and two of packages.
fn application() -> Router {
    let provides = json!({"redis": {"port": "redis", "roles": [], "password": true, "help": ""}});
    let services = json!({
        "web": {"package": {"name": "web"}, "settings": {"title": "\"><script>"}, "links": {"store": "cache"}},
        "cache": {"package": {"name": "cache"}},
        "plain": {"release": {"name": "plain"}},
    });
    let status = json!({
        "now": 1, "hosts": 1, "hosts_connected": 1, "adopt": false,
        "apps": [{"name": "shop", "health": "degraded", "families": [family(2)]}],
    });
    let change = json!({"service": "web", "action": "update", "field": "settings.workers", "from": "4", "to": "8", "effect": null});
    pages([
        ("/v1/status", status),
        ("/v1/apps/shop/export", json!({"services": services})),
        (
            "/v1/revision",
            json!({"spec": {"package": {"name": "web", "version": "1", "tree": "0".repeat(64), "roles": {}}}}),
        ),
        // What runs is pinned, whatever is the newest of that name.
        ("/v1/packages/web", package("web", json!({"version": "2"}))),
        ("/v1/packages/web@1", web()),
        ("/v1/packages/cache", package("cache", json!({"provides": provides}))),
        ("/v1/scripts", scripts()),
        (
            "/v1/tasks",
            json!([task(1, "done", 7), task(2, "failed", 7), task(1, "sent", 8), task(2, "queued", 8)]),
        ),
        ("/v1/verbs", json!({"operation": null, "message": "asked"})),
        ("/v1/history", json!([])),
        ("/v1/pushes", pushes()),
        ("/v1/keys", pushes()),
        ("/v1/why", json!({"target": "shop/web/web", "lines": []})),
        ("/v1/events", json!([])),
        ("/v1/releases", json!([])),
        ("/v1/apps/shop/plan", json!({"app": "shop", "digest": "1".repeat(64), "changes": [change]})),
    ])
}

#[tokio::test]
async fn a_package_is_a_form() {
    let (head, text) = page(&application(), "/apps/shop/web/web", false).await;
    let text = String::from_utf8(text).expect("text");
    assert_eq!(head.status, 200, "{text}");
    for expected in [
        r#"name="setting.workers" type="number" step="1" min="1" max="64" value="" placeholder="4""#,
        r#"name="setting.memory" type="text" value="" placeholder="64MiB""#,
        r#"<option value="">fast (default)</option><option value="fast">fast</option>"#,
        // What somebody has to say is asked for, and what is said is no markup.
        r#"name="setting.title" type="text" value="&#34;&#62;&#60;script&#62;" placeholder="" aria-describedby="set-title-help" required"#,
        "&#60;b&#62;bold",
        r#"<select id="link-store" name="link.store" aria-describedby="link-store-help" required><option selected>cache</option>"#,
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("new-link"), "a package says which links there are");
}

#[tokio::test]
async fn settings_are_planned_and_then_done_as_they_were_shown() {
    let pages = application();
    let form = "about=settings&target=shop/web&setting.workers=8&setting.memory=&setting.title=x%26y";
    let (status, text) = answered(&pages, "/act/settings", form).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    for expected in [
        "settings.workers",
        r#"hx-post="/act/settings""#,
        r#"<textarea name="setting.title" hidden>x&#38;y</textarea>"#,
        &format!(r#"name="plan" value="{}""#, "1".repeat(64)),
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for (form, says) in [
        ("about=settings&target=shop", "shop is not a service"),
        ("about=else&target=shop/web", "a form about"),
        ("about=links&target=shop/web&link.store=No%20name", "link store"),
        ("about=settings&target=shop/web&plan=x", "this is not the digest of a plan"),
    ] {
        let (status, text) = answered(&pages, "/act/settings", form).await;
        assert!(status.is_client_error() && text.contains(says), "{form}: {status} {text}");
    }
}

#[tokio::test]
async fn actions_are_buttons_with_what_became_of_them_and_scripts_have_lights() {
    let (head, text) = page(&application(), "/apps/shop/web/web", false).await;
    let text = String::from_utf8(text).expect("text");
    assert_eq!(head.status, 200, "{text}");
    for expected in [
        r#"<input id="act-run-parameters" name="parameter.parameters" type="text" class="wide""#,
        r#"<button id="act-run">run</button>"#,
        "one node of web",
        "&#60;i&#62;does",
        // Two runs: one that failed on a node, one that goes on.
        "run.sh still runs",
        r#"<progress max="2" value="0" aria-label="nodes that have done run">"#,
        // The lights.
        "</svg>stopped (return code 0)</span>",
        "</svg>stopped (return code 7)</span>",
        "</svg>never started</span>",
        r#"<td class="text bad">away</td>"#,
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let light = |class: &str, word: &str| {
        text.contains(&format!("<span class=\"state {class}\">")) && text.contains(word)
    };
    assert!(
        light("good", "code 0")
            && light("bad", "code 7")
            && light("moving", "running")
            && light("off", "never")
    );
    assert!(!text.contains("act-scripts"), "how scripts stand is a table, not a button");
    let (status, said) =
        answered(&application(), "/act/action", "target=shop/web&action=run&parameter.parameters=one+two")
            .await;
    assert!(status == StatusCode::OK && said.contains("asked"), "{said}");
}

#[tokio::test]
async fn how_code_is_pushed_is_told_to_be_copied() {
    let (_, text) = page(&application(), "/apps/shop/web/web", false).await;
    let text = String::from_utf8(text).expect("text");
    for expected in [
        "git remote add lace ssh://git@lace.example:7442/shop/web\ngit push lace main",
        "ED25519 <code>SHA256:xyz</code>",
        "<code>ssh-ed25519 SHA256:abc</code></td><td>at once</td>",
        "&#60;i&#62;somebody",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let add = "verb=add&target=shop/web&key=ssh-ed25519+AAAA+ada&name=&auto_enable=on";
    let (status, said) = answered(&application(), "/act/key", add).await;
    assert!(status == StatusCode::OK && said.contains("key ada may push releases of shop/web"), "{said}");
    let wrong = "verb=add&target=shop/web&key=x&name=No%20name";
    assert!(answered(&application(), "/act/key", wrong).await.0.is_client_error());
}
