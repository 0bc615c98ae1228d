//! Three Erlang/OTP nodes from a release: clustered, failing over, rolling, reverting.

use crate::lace::{Lace, at_last, eventually, may_run};
use std::process::Command;
use std::time::Duration;

pub fn ball(lace: &Lace) -> String {
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ball");
    let to = lace.files().join("ball");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp");
    assert!(copied.success());
    let _ = std::fs::remove_dir_all(to.join("_build"));
    to.display().to_string()
}

/// Who says that it runs the distributed application, asked on each node.
pub fn runners(lace: &Lace) -> Vec<String> {
    let ran = lace.run(&["exec", "ball/ball", "--", "bin/ball", "rpc", "ball_srv", "ask"]);
    // One line begins the answer of each node; that of a node that took over goes on with the other's name.
    let begins = ran.out.lines().filter_map(|line| line.split_once("| {'"));
    begins.filter_map(|(_, answer)| Some(answer.split_once('\'')?.0.to_owned())).collect()
}

#[test]
fn a_cluster_fails_over_rolls_and_reverts() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(215);
    let dir = ball(&lace);
    lace.run(&["deploy", "ball", &dir]).ok();
    assert_eq!(lace.ready("ball"), 3);
    let all = runners(&lace);
    assert_eq!(all.len(), 3, "every node answers: {all:?}");
    assert!(all.iter().all(|r| r.starts_with("ball@ball-1.")), "the first node runs it: {all:?}");
    let cookie = lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "cat /proc/*/cmdline"]).ok().out;
    assert!(!cookie.contains("setcookie"), "the cookie is on a command line");

    let _ = lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed node was seen", || lace.run(&["events"]).out.contains("node.exited"));
    eventually("node 1 took it over again", || {
        lace.ready("ball") == 3
            && runners(&lace).iter().filter(|r| r.starts_with("ball@ball-1.")).count() == 3
    });

    lace.run(&["scale", "ball/ball", "5"]).ok();
    let all = runners(&lace);
    assert_eq!(all.len(), 5, "{all:?}");
    lace.run(&["scale", "ball/ball", "3"]).ok();
    // Old and new are one cluster while it rolls.
    let mut was_mixed = false;
    std::thread::scope(|scope| {
        let rolled = scope.spawn(|| lace.run(&["deploy", "ball", &dir, "--var", "version=2.0.0"]));
        while !rolled.is_finished() {
            let versions = |n: u32| {
                let asked = [
                    "beam",
                    "rpc",
                    &format!("ball/ball/{n}"),
                    "rpc",
                    "multicall",
                    "application",
                    "get_key",
                    "[court,vsn]",
                ];
                let ran = lace.run(&asked);
                if ran.status == 0 { ran.out } else { String::new() }
            };
            let seen = versions(1) + &versions(2);
            was_mixed |= seen.lines().any(|line| line.contains("1.0.0") && line.contains("2.0.0"));
        }
        rolled.join().expect("no panic").ok();
    });
    assert!(was_mixed, "nobody saw old and new side by side");
    let ran = lace.run(&["exec", "ball/ball/1", "--", "bin/ball", "rpc", "ball_srv", "ask"]).ok();
    assert!(ran.out.contains("2.0.0"), "{}", ran.out);
    let ran = lace.run(&["deploy", "ball", &dir, "--var", "version=3.0.0"]).ends(3);
    assert!(ran.err.contains("missing_setting"), "the cause is told: {}", ran.err);
    assert_eq!(lace.ready("ball"), 3);
    // Three boots at once, at addresses where somebody else was a moment ago: none waits for ever for another.
    for _ in 0..3 {
        lace.run(&["delete", "ball", "--yes"]).ok();
        lace.run(&["deploy", "ball", &dir, "--timeout", "60s"]).ok();
    }
    lace.down_and_nothing_left();
}

#[test]
fn a_boot_that_waits_for_ever_for_a_peer_is_begun_again() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(219, 1);
    lace.run(&["deploy", "ball", &ball(&lace)]).ok();
    // As if what it answers were lost: whoever boots asks it what it knows, and has no deadline.
    lace.run(&["beam", "rpc", "ball/ball/3", "sys", "suspend", "dist_ac"]).ok();
    let _ = lace.run(&["exec", "ball/ball/2", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("it is told, and begun again", || {
        lace.run(&["events"]).out.contains("the answer of a peer that was lost") && lace.ready("ball") == 2
    });
    lace.run(&["beam", "rpc", "ball/ball/3", "sys", "resume", "dist_ac"]).ok();
    eventually("all are ready", || lace.ready("ball") == 3);
    lace.down_and_nothing_left();
}

#[test]
fn a_lock_on_global_names_that_stayed_is_given_back() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(219, 2);
    lace.run(&["deploy", "ball", &ball(&lace)]).ok();
    // As OTP itself forgets it where connections are lost and made again: at the third node, in the name of one that lives.
    let plant = "spawn(fun() -> global:set_lock({global, [self()]}, ['ball@ball-3.ball.ball.lace.internal'], 0), \
                 receive never -> ok end end).";
    lace.run(&["exec", "ball/ball/2", "--", "sh", "-c", "echo \"$0\" > /tmp/plant", plant]).ok();
    lace.run(&["beam", "rpc", "ball/ball/2", "file", "eval", "\"/tmp/plant\""]).ok();
    let locks = || lace.run(&["beam", "rpc", "ball/ball/3", "ets", "tab2list", "global_locks"]).ok().out;
    eventually("it is taken", || locks().contains("global"));
    let _ = lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("who was killed is missed", || lace.ready("ball") == 2);
    // Meanwhile nobody piles up questions that the runtime cannot answer.
    let count = "length([P || P <- element(2, process_info(whereis(global_name_server), monitored_by)), \
                 is_pid(P), process_info(P, initial_call) =:= {initial_call, {erpc, execute_call, 4}}]).";
    lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "echo \"$0\" > /tmp/count", count]).ok();
    let mut most = 0;
    at_last(Duration::from_secs(120), "names are shared again", || {
        let said = lace.run(&["beam", "rpc", "ball/ball/1", "file", "script", "\"/tmp/count\""]).out;
        let waits =
            said.trim().strip_prefix("{ok,").and_then(|n| n.trim_end_matches('}').trim().parse().ok());
        most = most.max(waits.unwrap_or(0));
        lace.ready("ball") == 3 && !locks().contains("{global,")
    });
    assert_eq!(most, 1, "questions about global names that wait at one time");
    lace.down_and_nothing_left();
}

#[test]
fn a_mesh_that_is_not_whole_by_will_becomes_ready() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(219, 3);
    let dir = ball(&lace);
    let file = std::path::Path::new(&dir).join("lace.toml");
    let manifest = std::fs::read_to_string(&file).expect("read");
    let loose = manifest.replace("failover = \"ball\", backups = 2,", "connect_all = false,");
    assert_ne!(loose, manifest);
    std::fs::write(&file, loose).expect("written");
    // `global` shares no names then, and answers nobody who waits for them.
    lace.run(&["deploy", "ball", &dir, "--timeout", "90s"]).ok();
    let flag = lace.run(&["beam", "rpc", "ball/ball/1", "init", "get_argument", "connect_all"]).ok().out;
    assert!(flag.contains("false"), "{flag}");
    let seen = lace.run(&["beam", "rpc", "ball/ball/1", "erlang", "nodes"]).ok().out;
    assert!(seen.contains("ball-2") && seen.contains("ball-3"), "{seen}");
    lace.down_and_nothing_left();
}

#[test]
fn who_asks_right_after_a_deployment_finds_the_application() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(232, 1);
    let dir = ball(&lace);
    let found = |what: &str| {
        let ran = lace.run(&["exec", "ball/ball/2", "--", "bin/ball", "rpc", "ball_srv", "ask"]);
        assert!(ran.status == 0 && ran.out.contains("ball@ball-"), "after {what}: {}{}", ran.out, ran.err);
    };
    for nodes in ["nodes=2", "nodes=3"] {
        lace.run(&["deploy", "ball", &dir, "--var", nodes]).ok();
        found("deploy");
        lace.run(&["restart", "ball"]).ok();
        found("restart");
        lace.run(&["delete", "ball", "--yes"]).ok();
    }
    lace.down_and_nothing_left();
}
