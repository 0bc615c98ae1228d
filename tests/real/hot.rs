//! Hot upgrades of a running Erlang/OTP release: state and process stay, what is bad goes back by itself.

use crate::lace::{Lace, eventually, may_run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const NODES: u64 = 3;

/// The versions of the release, each with a way from the former one.
fn build(lace: &Lace) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hot/build.escript");
    let place = |version: &str| lace.files().join(version);
    let make = |version: &str, former: Option<PathBuf>| {
        let mut command = Command::new("escript");
        command.arg(script).arg(version).arg(place(version)).args(former);
        let made = command.output().expect("escript");
        assert!(made.status.success(), "{}{}", text(&made.stdout), text(&made.stderr));
        upload(lace, version, &place(version));
    };
    make("1.0.0", None);
    make("2.0.0", Some(place("1.0.0")));
    make("3.0.0", Some(place("2.0.0")));
    // Without a way from 2.0.0.
    make("4.0.0", None);
}

fn upload(lace: &Lace, version: &str, dir: &Path) {
    lace.run(&["release", "upload", "counter", &dir.display().to_string(), "--version", version]).ok();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What each node says: version, number, process id, what its configuration was made for, net_ticktime.
fn values(lace: &Lace) -> Vec<Value> {
    let of = |n| {
        let name = format!("count/count/{n}");
        let said = lace.run(&["beam", "rpc", &name, "counter", "value", "--format", "json"]).ok().json();
        said["value"].clone()
    };
    (1..=NODES).map(of).collect()
}

/// The same but for version and configuration.
fn stays(before: &[Value], after: &[Value], version: &str) {
    for (before, after) in before.iter().zip(after) {
        assert_eq!((&after[0], &after[3]), (&version.into(), &version.into()), "{after}");
        for part in [1, 2, 4] {
            assert_eq!(before[part], after[part], "{before} became {after}");
        }
    }
}

fn deploy(lace: &Lace, healthy_for: &str) {
    let manifest = format!(
        r#"
[application]
name = "count"

[service.count]
release = "counter@1.0.0"
count = 3
cpu = 0.25
memory = "256MiB"
beam = {{ net_ticktime = 9, applications = ["counter"] }}
check = {{ exec = ["bin/counter", "rpc", "counter", "healthy"], interval = "500ms", timeout = "10s", grace = "20s" }}
rollout = {{ strategy = "hot", healthy_for = "{healthy_for}" }}
"#
    );
    let dir = lace.files().join("count");
    std::fs::create_dir(&dir).expect("made");
    std::fs::write(dir.join("lace.toml"), manifest).expect("written");
    lace.run(&["deploy", "count", &dir.display().to_string()]).ok();
}

#[test]
fn a_running_release_is_upgraded_and_a_bad_one_goes_back() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(239);
    build(&lace);
    deploy(&lace, "500ms");
    for (n, times) in [(1, 3), (2, 1), (3, 2)] {
        for _ in 0..times {
            lace.run(&["beam", "rpc", &format!("count/count/{n}"), "counter", "bump"]).ok();
        }
    }
    let before = values(&lace);
    assert_eq!(before[0][1], 3);

    let began = std::time::Instant::now();
    lace.run(&["release", "activate", "count/count", "counter@2.0.0"]).ok();
    eprintln!("hot upgrade of {NODES} nodes: {:?} with the watch over all at the end", began.elapsed());
    for line in lace.run(&["events"]).ok().out.lines().filter(|line| line.contains("hot upgrade")) {
        eprintln!("{line}");
    }
    stays(&before, &values(&lace), "2.0.0");
    assert_eq!(lace.ready("count"), NODES);

    // What is sick goes back, and says why; what has no relup is not begun.
    let ran = lace.run(&["release", "activate", "count/count", "counter@3.0.0", "--hot"]).ends(3);
    assert!(
        ran.err.contains("was not upgraded") && ran.err.contains("release 2.0.0 runs again"),
        "{}",
        ran.err
    );
    stays(&before, &values(&lace), "2.0.0");
    let ran = lace.run(&["release", "activate", "count/count", "counter@4.0.0", "--hot"]).ends(3);
    assert!(ran.err.contains("release 4.0.0 has no relup"), "{}", ran.err);
    stays(&before, &values(&lace), "2.0.0");

    // The new one is what it boots; and the way back is hot, too.
    lace.run(&["rollback", "count/count", "--to", "2"]).ok();
    lace.run(&["restart", "count"]).ok();
    let again = values(&lace);
    for (before, again) in before.iter().zip(&again) {
        assert_eq!((&again[0], &again[1], &again[4]), (&"2.0.0".into(), &0.into(), &before[4]), "{again}");
    }
    lace.run(&["beam", "rpc", "count/count/1", "counter", "bump"]).ok();
    let before = values(&lace);
    lace.run(&["rollback", "count/count", "--to", "1"]).ok();
    stays(&before, &values(&lace), "1.0.0");
    eventually("all are ready", || lace.ready("count") == NODES);
    lace.down_and_nothing_left();
}

/// Whatever is being upgraded at the moment, it has the new release and not for good yet.
fn until_first_has(lace: &Lace, version: &str) {
    eventually("the first node tries the new release", || {
        let said = lace.run(&["beam", "rpc", "count/count/1", "counter", "value"]);
        said.status == 0 && said.out.contains(&format!("'{version}'"))
    });
}

#[test]
fn a_runtime_that_dies_meanwhile_boots_the_old_release_and_an_agent_that_dies_begins_again() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(239, 1);
    build(&lace);
    deploy(&lace, "4s");
    let activate = || lace.run(&["release", "activate", "count/count", "counter@2.0.0"]);
    let ran = std::thread::scope(|scope| {
        let activated = scope.spawn(activate);
        until_first_has(&lace, "2.0.0");
        let _ = lace.run(&["exec", "count/count/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
        activated.join().expect("no panic")
    });
    assert!(ran.ends(3).err.contains("release 1.0.0 runs again"));
    eventually("all are ready", || lace.ready("count") == NODES);
    for n in 1..=NODES {
        lace.run(&["beam", "rpc", &format!("count/count/{n}"), "counter", "bump"]).ok();
    }
    let before = values(&lace);
    stays(&before, &before, "1.0.0");
    std::thread::scope(|scope| {
        let resumed = scope.spawn(|| lace.run(&["rollout", "resume", "count/count"]));
        until_first_has(&lace, "2.0.0");
        lace.kill("agent");
        resumed.join().expect("no panic").ok();
    });
    eventually("all have the new release", || {
        values(&lace).iter().all(|value| value[0] == "2.0.0") && lace.ready("count") == NODES
    });
    stays(&before, &values(&lace), "2.0.0");
    lace.down_and_nothing_left();
}
