//! A release that rebar3's relx made: its own start script with hooks, a cluster, its tools, a hot upgrade, its own stop.

use crate::lace::{Lace, eventually, may_run};
use crate::tools::Terminal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const NODES: u64 = 2;
/// How many processes the runtime of 1.1.0 may have.
const PROCESSES: u32 = 65_536;

fn rebar3(dir: &Path, words: &[&str]) {
    let made = Command::new("rebar3").args(words).current_dir(dir).env("HOME", dir).output();
    let made = made.expect("rebar3 (scripts/install.sh --for test)");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(made.status.success(), "{words:?}: {}{}", text(&made.stdout), text(&made.stderr));
}

/// The archives of 1.0.0, and of 1.1.0 with a way from there.
pub fn build(lace: &Lace) -> [PathBuf; 2] {
    let dir = lace.files().join("ring");
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relx");
    assert!(Command::new("cp").arg("-r").arg(from).arg(&dir).status().expect("cp").success());
    let archive = |version: &str| dir.join(format!("_build/default/rel/ring/ring-{version}.tar.gz"));
    let kept = lace.files().join("ring-1.0.0.tar.gz");
    rebar3(&dir, &["release"]);
    rebar3(&dir, &["tar"]);
    std::fs::copy(archive("1.0.0"), &kept).expect("copied");
    for name in ["rebar.config", "src/ring.app.src"] {
        let text = std::fs::read_to_string(dir.join(name)).expect("read");
        std::fs::write(dir.join(name), text.replace("1.0.0", "1.1.0")).expect("written");
    }
    // What counts from the next start on.
    let flags = dir.join("config/vm.args.src");
    let text = std::fs::read_to_string(&flags).expect("read");
    std::fs::write(&flags, format!("{text}+P {PROCESSES}\n")).expect("written");
    rebar3(&dir, &["compile"]);
    let way = "[{\"1.0.0\",[{update,ring,{advanced,[]}}]}]";
    let appup = dir.join("_build/default/lib/ring/ebin/ring.appup");
    std::fs::write(appup, format!("{{\"1.1.0\",{way},{way}}}.\n")).expect("written");
    rebar3(&dir, &["release"]);
    rebar3(&dir, &["relup", "-n", "ring", "-v", "1.1.0", "-u", "1.0.0"]);
    rebar3(&dir, &["tar"]);
    [kept, archive("1.1.0")]
}

pub const MANIFEST: &str = r#"
[application]
name = "ring"

[service.ring]
release = "ring@1.0.0"
count = 2
cpu = 0.25
memory = "192MiB"
env = { GREETING = "node_{{index}}" }
beam = { applications = ["ring"] }
volumes = [{ name = "data", size = "16MiB", at = "/data" }]
stop = { timeout = "30s" }
rollout = { strategy = "hot", healthy_for = "500ms" }
"#;

/// What a node says of itself: version, how often it was asked, process, greeting.
pub fn asked(lace: &Lace, n: u64) -> Value {
    let node = format!("ring/ring/{n}");
    lace.run(&["beam", "rpc", &node, "ring", "ask", "--format", "json"]).ok().json()["value"].clone()
}

fn in_node(lace: &Lace, words: &[&str]) -> String {
    lace.run(&[&["exec", "ring/ring/1", "--"], words].concat()).ok().out
}

#[test]
fn a_release_of_rebar3_clusters_is_upgraded_and_stops_with_its_hooks() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(150, 0);
    for archive in build(&lace) {
        lace.run(&["release", "upload", "ring", &archive.display().to_string()]).ok();
    }
    let dir = lace.files().join("project");
    std::fs::create_dir(&dir).expect("made");
    std::fs::write(dir.join("lace.toml"), MANIFEST).expect("written");
    lace.run(&["deploy", "ring", &dir.display().to_string()]).ok();
    assert_eq!(lace.ready("ring"), NODES);
    assert!(lace.run(&["logs", "ring/ring/1", "--tail", "50"]).ok().out.contains("hook pre_start"));
    assert!(in_node(&lace, &["bin/ring", "greet", "you"]).contains("hello you"));
    let cluster = in_node(&lace, &["bin/ring", "eval", "nodes()."]);
    assert!(cluster.contains("ring@ring-2.ring.ring.lace.internal"), "{cluster}");

    let before: Vec<Value> = (1..=NODES).map(|n| asked(&lace, n)).collect();
    // What the start script exports is in templates, too.
    let root =
        || lace.run(&["beam", "rpc", "ring/ring/1", "application", "get_env", "ring", "root"]).ok().out;
    let root_before = root();
    assert!(root_before.contains("{ok,\"/app"), "{root_before}");
    lace.run(&["release", "activate", "ring/ring", "ring@1.1.0"]).ok();
    for (n, before) in (1..=NODES).zip(&before) {
        let after = asked(&lace, n);
        let expected = (&"1.1.0".into(), &2.into(), &before[2], &format!("node_{n}").into());
        assert_eq!((&after[0], &after[1], &after[2], &after[3]), expected, "{before} became {after}");
    }
    assert_eq!(root(), root_before);
    // The script that has 1.0.0 written into it boots what is permanent.
    let pid = before[0][2].to_string();
    let _ = lace.run(&["exec", "ring/ring/1", "--", "kill", "-9", &pid]);
    eventually("it runs again", || {
        let status = lace.status("ring");
        let restarts = &status["apps"][0]["families"][0]["nodes"][0]["status"]["restarts"];
        restarts.as_u64() == Some(1) && lace.ready("ring") == NODES
    });
    assert_eq!(asked(&lace, 1)[0], "1.1.0");
    let limit = ["beam", "rpc", "ring/ring/1", "erlang", "system_info", "process_limit"];
    assert_eq!(lace.run(&limit).ok().out.trim(), PROCESSES.to_string(), "the vm.args of 1.1.0");

    // Lace's own tools speak to it, whatever its script can do.
    assert!(lace.run(&["beam", "top", "ring/ring/1"]).ok().out.contains("init"));
    let mut shell = Terminal::begin(&lace, &["beam", "shell", "ring/ring/1"], 132, 41);
    shell.shows("1>");
    shell.press("{node(), 40 + 2}.\n");
    shell.shows("{'ring@ring-1.ring.ring.lace.internal',42}");
    // Longer than the cluster's time it says nothing.
    let since = std::time::Instant::now();
    eventually("a silent while", || since.elapsed() > std::time::Duration::from_secs(12));
    shell.press("{there, 40 + 3}.\n");
    shell.shows("{there,43}");
    drop(shell);

    // No tool of it shows the cookie on a command line.
    let cookie = in_node(&lace, &["cat", "/run/lace/home/.erlang.cookie"]);
    let cookie = cookie.rsplit([' ', '|']).next().expect("a cookie").trim().to_owned();
    assert!(cookie.len() >= 20, "{cookie}");
    let sleeps = ["exec", "ring/ring/1", "--", "bin/ring", "eval", "timer:sleep(1500)."];
    std::thread::scope(|scope| {
        let tool = scope.spawn(|| lace.run(&sleeps));
        while !tool.is_finished() {
            let lines = crate::elixir::command_lines();
            assert!(!lines.contains(&cookie), "the cookie is on a command line");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        tool.join().expect("it ran").ok();
    });

    // `bin/ring stop` waits until nobody answers: PID 1 starts nothing meanwhile, and all of its hooks run.
    let stop = "stop = { command = [\"bin/ring\", \"stop\"], timeout = \"30s\" }";
    let manifest = MANIFEST.replace("stop = { timeout = \"30s\" }", stop).replace("1.0.0", "1.1.0");
    std::fs::write(dir.join("lace.toml"), &manifest).expect("written");
    lace.run(&["deploy", "ring", &dir.display().to_string()]).ok();
    std::fs::write(dir.join("lace.toml"), manifest.replace("node_", "host_")).expect("written");
    lace.run(&["deploy", "ring", &dir.display().to_string()]).ok();
    let hooks = in_node(&lace, &["cat", "/data/hooks"]);
    assert!(hooks.contains("hook pre_stop") && hooks.contains("hook post_stop"), "{hooks}");
    let log = std::fs::read_to_string(lace.state().join("run/agent.log")).unwrap_or_default();
    assert!(!log.contains("stop command failed"), "no stop waited for its deadline: {log}");
    lace.down_and_nothing_left();
}
