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
    make("5.0.0", Some(place("2.0.0")));
    make("6.0.0", Some(place("2.0.0")));
    make("7.0.0", Some(place("2.0.0")));
    make("8.0.0", Some(place("2.0.0")));
    make("9.0.0", Some(place("2.0.0")));
    make("10.0.0", Some(place("2.0.0")));
    make("11.0.0", Some(place("2.0.0")));
    make("12.0.0", Some(place("2.0.0")));
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
        let mut said = Value::Null;
        // On a busy machine the counter may take longer to answer than whoever asks it in the node waits.
        eventually(&format!("{name} answers"), || {
            let ran = lace.run(&["beam", "rpc", &name, "counter", "value", "--format", "json"]);
            said = if ran.status == 0 { ran.json()["value"].clone() } else { Value::Null };
            !said.is_null()
        });
        said
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
    deploy_with(lace, healthy_for, "applications = [\"counter\"]");
}

fn deploy_with(lace: &Lace, healthy_for: &str, beam: &str) {
    deploy_as(lace, "hot", healthy_for, beam);
}

fn deploy_as(lace: &Lace, strategy: &str, healthy_for: &str, beam: &str) {
    let manifest = format!(
        r#"
[application]
name = "count"

[service.count]
release = "counter@1.0.0"
count = 3
cpu = 0.25
memory = "256MiB"
beam = {{ net_ticktime = 9, {beam} }}
check = {{ exec = ["bin/counter", "rpc", "counter", "healthy"], interval = "500ms", timeout = "10s", grace = "20s" }}
rollout = {{ strategy = "{strategy}", healthy_for = "{healthy_for}" }}
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
    // A person's own settings, beside the configuration and above it: they are there whatever is installed.
    let own = |function: &str, words: &[&str]| {
        let said = lace
            .run(&[&["beam", "rpc", "count/count/1", "application", function, "counter"], words].concat());
        said.ok().out.trim().to_owned()
    };
    own("set_env", &["by_hand", "17"]);
    own("set_env", &["step", "5"]);
    let own_stay = || {
        assert_eq!(
            (own("get_env", &["by_hand"]), own("get_env", &["step"])),
            ("{ok,17}".into(), "{ok,5}".into())
        );
        let function = own("get_env", &["callback"]);
        assert!(function.starts_with("{ok,#Fun<counter."), "{function}");
    };
    own_stay();

    let began = std::time::Instant::now();
    lace.run(&["release", "activate", "count/count", "counter@2.0.0"]).ok();
    eprintln!("hot upgrade of {NODES} nodes: {:?} with the watch over all at the end", began.elapsed());
    for line in lace.run(&["events"]).ok().out.lines().filter(|line| line.contains("hot upgrade")) {
        eprintln!("{line}");
    }
    stays(&before, &values(&lace), "2.0.0");
    own_stay();
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

    // What sets itself other than its configuration says goes back; what would restart the runtime is not begun.
    let ran = lace.run(&["release", "activate", "count/count", "counter@5.0.0", "--hot"]).ends(3);
    let doubt = "settings in doubt: counter made_for is not as its sys.config says";
    assert!(ran.err.contains(doubt) && ran.err.contains("release 2.0.0 runs again"), "{}", ran.err);
    stays(&before, &values(&lace), "2.0.0");
    let ran = lace.run(&["release", "activate", "count/count", "counter@6.0.0", "--hot"]).ends(3);
    assert!(ran.err.contains("the relup of release 6.0.0 restarts the runtime"), "{}", ran.err);
    stays(&before, &values(&lace), "2.0.0");
    // What fails when its settings are in place already leaves none of them.
    let ran = lace.run(&["release", "activate", "count/count", "counter@8.0.0", "--hot"]).ends(3);
    assert!(
        ran.err.contains("install_release: ") && ran.err.contains("release 2.0.0 runs again"),
        "{}",
        ran.err
    );
    stays(&before, &values(&lace), "2.0.0");
    own_stay();
    // The release handler finds that its code is missing before it changes anything.
    let ran = lace.run(&["release", "activate", "count/count", "counter@7.0.0", "--hot"]).ends(3);
    assert!(ran.err.contains("check_install_release: ") && ran.err.contains("counter.beam"), "{}", ran.err);
    // What could be undone by a restart only is not begun, nor what would leave old code running.
    for (version, why) in [
        ("9.0.0", "no relup knows a way back from release 9.0.0 to 2.0.0"),
        ("10.0.0", "is another build under the same version (lib/sasl-"),
    ] {
        let release = format!("counter@{version}");
        let ran = lace.run(&["release", "activate", "count/count", &release, "--hot"]).ends(3);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
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
    deploy(&lace, "6s");
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
    let by_hand = |function: &str, words: &[&str]| {
        let asked = ["beam", "rpc", "count/count/1", "application", function, "counter", "by_hand"];
        lace.run(&[&asked, words].concat()).ok().out.trim().to_owned()
    };
    by_hand("set_env", &["17"]);
    std::thread::scope(|scope| {
        let resumed = scope.spawn(|| lace.run(&["rollout", "resume", "count/count"]));
        until_first_has(&lace, "2.0.0");
        // One at a time: the others come when it has stayed well for long enough.
        let others: Vec<_> = values(&lace)[1..].iter().map(|value| value[0].clone()).collect();
        assert_eq!(others, ["1.0.0", "1.0.0"]);
        // What was set before is with the runtime.
        let note =
            lace.run(&["beam", "rpc", "count/count/1", "application", "get_env", "lace_hot", "before"]);
        assert!(note.ok().out.contains("by_hand"));
        lace.kill("agent");
        resumed.join().expect("no panic").ok();
    });
    eventually("all have the new release", || {
        values(&lace).iter().all(|value| value[0] == "2.0.0") && lace.ready("count") == NODES
    });
    stays(&before, &values(&lace), "2.0.0");
    // The agent that came after knew what had been set before the one that is gone began.
    assert_eq!(by_hand("get_env", &[]), "{ok,17}");

    // What becomes sick while it is watched goes back; where even that fails the runtime begins anew, with what it boots.
    let ran = lace.run(&["release", "activate", "count/count", "counter@11.0.0", "--hot"]).ends(3);
    assert!(ran.err.contains("release 2.0.0 runs again"), "{}", ran.err);
    stays(&before, &values(&lace), "2.0.0");
    let ran = lace.run(&["release", "activate", "count/count", "counter@12.0.0", "--hot"]).ends(3);
    assert!(ran.err.contains("release 2.0.0 runs again"), "{}", ran.err);
    let after = values(&lace);
    assert!(after.iter().all(|value| value[0] == "2.0.0"), "{after:?}");
    let anew = after.iter().zip(&before).filter(|(after, before)| after[1] != before[1]).count();
    assert_eq!(anew, 1, "one node began anew, the others were not touched: {after:?}");
    eventually("all are ready", || lace.ready("count") == NODES);
    lace.down_and_nothing_left();
}

/// Where the counter runs now: its process on each node, where it has one.
fn copies(lace: &Lace) -> Vec<Option<String>> {
    let of = |n| {
        let said = lace.run(&["beam", "rpc", &format!("count/count/{n}"), "erlang", "whereis", "counter"]);
        Some(said.out.trim().to_owned()).filter(|pid| said.status == 0 && pid != "undefined")
    };
    (1..=NODES).map(of).collect()
}

#[test]
fn the_one_copy_of_a_family_that_votes_stays_where_it_is_and_keeps_its_state() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(239, 2);
    build(&lace);
    // The manifest rolls; who upgrades hot says so.
    deploy_as(&lace, "rolling", "500ms", "failover = \"counter\", backups = 2");
    eventually("the first node runs it", || copies(&lace).iter().filter(|copy| copy.is_some()).count() == 1);
    let before = copies(&lace);
    let mut nodes = NODES;
    assert!(before[0].is_some(), "{before:?}");
    let first = |function: &str| {
        lace.run(&["beam", "rpc", "count/count/1", "counter", function, "--format", "json"]).ok().json()["value"].clone()
    };
    for _ in 0..5 {
        first("bump");
    }
    let value = first("value");
    assert_eq!((&value[0], &value[1]), (&"1.0.0".into(), &5.into()));
    let version = |n: u64| {
        let asked = ["beam", "rpc", &format!("count/count/{n}"), "application", "get_key", "counter", "vsn"];
        lace.run(&asked).ok().out
    };
    // Up, and back again: at no moment it is anywhere else, nor away. In between the family grows, and what its runtimes
    // are told of each other is not what the release that they go back to was told.
    for (words, to) in [
        (["release", "activate", "count/count", "counter@2.0.0", "--hot"].as_slice(), "2.0.0"),
        (["rollback", "count/count", "--to", "1", "--hot"].as_slice(), "1.0.0"),
        (["rollback", "count/count", "--to", "2", "--hot"].as_slice(), "2.0.0"),
    ] {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| lace.run(words));
            let mut looks = 0;
            while !done.is_finished() || looks == 0 {
                // A runtime that is suspended for the change may be slow; another process is what must not be.
                let now = copies(&lace);
                assert!(now[1].is_none() && now[2].is_none(), "it moved: {now:?}");
                assert!(now[0].is_none() || now[0] == before[0], "it was begun again: {now:?}");
                looks += 1;
            }
            done.join().expect("no panic").ok();
        });
        assert_eq!(copies(&lace), before);
        let now = first("value");
        assert_eq!(
            (&now[0], &now[1], &now[2], &now[4]),
            (&to.into(), &5.into(), &value[2], &value[4]),
            "{now}"
        );
        assert!((1..=nodes).all(|n| version(n).contains(to)), "{to}");
        let restarts = lace.status("count");
        assert!(!restarts.to_string().contains("\"restarts\":1"), "{restarts}");
        let own = ["beam", "rpc", "count/count/1", "application", "get_env", "kernel", "sync_nodes_optional"];
        let peers = lace.run(&own).ok().out;
        assert_eq!(peers.matches("@").count() as u64, nodes - 1, "{peers}");
        if nodes == NODES {
            nodes = NODES + 2;
            lace.run(&["scale", "count/count", &nodes.to_string()]).ok();
        }
    }
    // Whoever takes it over has the new release, too, and still only one runs it.
    let _ = lace.run(&["exec", "count/count/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("another one runs it", || copies(&lace)[1..].iter().any(Option::is_some));
    eventually("the first one takes it again", || {
        let now = copies(&lace);
        lace.ready("count") == nodes && now[0].is_some() && now[1].is_none() && now[2].is_none()
    });
    assert!((1..=nodes).all(|n| version(n).contains("2.0.0")));
    lace.down_and_nothing_left();
}
