//! The protocol of PID 1 only grows: what each version said is understood for ever, and still said in the same words.
//!
//! A line here is never changed and never removed; a new version adds lines.

use lace_machine::protocol::{Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What agents have said, with the version that said it first.
const REQUESTS: &[(u32, &str)] = &[
    (1, r#"{"op":"status"}"#),
    (
        1,
        r#"{"op":"exec","spec":{"argv":["sh"],"env":{"A":"1"},"cwd":"/srv","user":"1000:1000","pty":[24,80],"detached":false}}"#,
    ),
    (1, r#"{"op":"exec","spec":{"argv":["true"]}}"#),
    (1, r#"{"op":"exec_signal","signal":15}"#),
    (1, r#"{"op":"stop","signal":null,"grace_ms":null}"#),
    (1, r#"{"op":"stop","signal":2,"grace_ms":500}"#),
    (1, r#"{"op":"start","process":null}"#),
    (
        1,
        r#"{"op":"start","process":{"argv":["sleep","9"],"env":{},"cwd":null,"user":null,"enabled":true,"one_shot":false,"restart_min_ms":100,"restart_max_ms":30000,"healthy_after_ms":10000,"stop_signal":15,"stop_grace_ms":10000,"log_bytes_max":8388608,"log_files":4}}"#,
    ),
    (1, r#"{"op":"restart"}"#),
    (1, r#"{"op":"signal","signal":1}"#),
    (1, r#"{"op":"shutdown","grace_ms":1000}"#),
    (1, r#"{"op":"subscribe"}"#),
    (1, r#"{"op":"reexec"}"#),
    (2, r#"{"op":"put","path":"/run/lace/context.json","mode":420}"#),
    (3, r#"{"op":"stand","life":{"pid":2,"started_at_ms":1700000000000},"preference":1}"#),
    (3, r#"{"op":"begin_use","life":{"pid":2,"started_at_ms":1700000000000}}"#),
    (3, r#"{"op":"end_use","life":{"pid":2,"started_at_ms":1700000000000}}"#),
];

/// What PID 1 has said.
const REPLIES: &[(u32, &str)] = &[
    (1, r#"{"kind":"hello","version":1}"#),
    (1, r#"{"kind":"done"}"#),
    (1, r#"{"kind":"error","message":"no such user"}"#),
    (
        1,
        r#"{"kind":"status","status":{"phase":"running","pid":2,"started_at_ms":1700000000000,"restarts":3}}"#,
    ),
    (
        1,
        r#"{"kind":"status","status":{"phase":"backoff","restarts":1,"next_start_at_ms":1700000000000,"last_exit":{"code":3,"signal":null,"oom":false,"reason":"exit code 3","at_ms":1,"lines":["boom"]},"execs":1,"reexecs":2,"notes":["a note"]}}"#,
    ),
    (1, r#"{"kind":"status","status":{"phase":"stopped"}}"#),
    (1, r#"{"kind":"status","status":{"phase":"stopping"}}"#),
    (1, r#"{"kind":"status","status":{"phase":"finished"}}"#),
    (1, r#"{"kind":"exec_started","pid":7}"#),
    (1, r#"{"kind":"exec_exited","exit":{"signal":9,"reason":"killed"}}"#),
    (1, r#"{"kind":"event","event":{"what":"started","pid":2}}"#),
    (1, r#"{"kind":"event","event":{"what":"exited","exit":{"code":0,"reason":"exit code 0"}}}"#),
    (1, r#"{"kind":"event","event":{"what":"backoff","delay_ms":100}}"#),
    (1, r#"{"kind":"event","event":{"what":"stopped"}}"#),
    (1, r#"{"kind":"event","event":{"what":"shutdown"}}"#),
    (
        3,
        r#"{"kind":"event","event":{"what":"vote","vote":{"generation":1,"seen":1,"votes":true,"stands":true,"holds":true,"in_use":false,"yields":false,"unheard":[2]}}}"#,
    ),
];

/// Is everything that was said in the former words said in the new ones too? More may be.
fn covers(former: &Value, now: &Value) -> bool {
    match (former, now) {
        (Value::Object(former), Value::Object(now)) => {
            former.iter().all(|(key, value)| now.get(key).map_or(value.is_null(), |now| covers(value, now)))
        }
        (former, now) => former == now,
    }
}

fn hold<T: Serialize + DeserializeOwned>(frames: &[(u32, &str)]) {
    for (version, text) in frames {
        let read: T = serde_json::from_str(text).unwrap_or_else(|e| panic!("version {version}: {text}: {e}"));
        let said = serde_json::to_value(&read).expect("said");
        let former: Value = serde_json::from_str(text).expect("json");
        assert!(covers(&former, &said), "version {version} said {text}, now {said}");
    }
}

#[test]
fn every_version_of_pid_1_and_agent_is_understood() {
    hold::<Request>(REQUESTS);
    hold::<Reply>(REPLIES);
    let unknown =
        |text: &str| serde_json::from_str::<Request>(text).is_ok_and(|r| matches!(r, Request::Unknown));
    assert!(REQUESTS.iter().all(|(_, text)| !unknown(text)), "each is understood, not only survived");
}
