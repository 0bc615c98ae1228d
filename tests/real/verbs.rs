//! Verbs on nodes, through the real binary: carried as tasks, done by PID 1.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use serde_json::Value;

/// Ids, restarts and starts of the nodes.
fn nodes(lace: &Lace) -> Vec<(String, u64, u64)> {
    let status = lace.status("shop");
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
    let of = |node: &Value| {
        let said = &node["status"];
        let id = said["id"].as_str().expect("an id").to_owned();
        (id, said["restarts"].as_u64().expect("a count"), said["started_at"].as_u64().unwrap_or(0))
    };
    nodes.iter().map(of).collect()
}

#[test]
fn processes_are_restarted_in_place_and_signalled_while_roles_die() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(211, 1);
    let catches = "trap 'echo caught >> /tmp/caught' USR1\nwhile :; do sleep 0.05; done";
    let dir = project(&lace, "shop", catches, "count = 3");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    lace.run(&["exec", "shop", "--", "sh", "-c", "echo kept > /tmp/kept"]).ok();
    let before = nodes(&lace);

    let said = lace.run(&["restart", "shop"]).ok();
    assert!(
        said.out.contains("3 of 3 ready") || said.err.contains("3 of 3 ready"),
        "{}{}",
        said.out,
        said.err
    );
    let after = nodes(&lace);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.0, after.1), (&after.0, 0), "the same node, and no crash");
        assert!(before.2 < after.2, "another process");
    }
    let kept = lace.run(&["exec", "shop", "--", "cat", "/tmp/kept"]).ok();
    assert_eq!(kept.out.matches("kept").count(), 3, "the same root file system");

    lace.run(&["restart", "shop/web/2"]).ok();
    let alone = nodes(&lace);
    assert!(alone[1].2 > after[1].2 && alone[0].2 == after[0].2);
    let operations = lace.run(&["op", "list", "--format", "json"]).ok().json();
    let id = operations[0]["id"].as_str().expect("an id").to_owned();
    let shown = lace.run(&["op", "show", &id]).ok();
    assert!(shown.out.contains("restart shop/web/2: done"), "{}", shown.out);

    lace.run(&["node", "signal", "shop", "USR1"]).ok();
    eventually("all have caught it", || {
        lace.run(&["exec", "shop", "--", "cat", "/tmp/caught"]).out.matches("caught").count() == 3
    });

    for role in ["agent", "server"] {
        let before = nodes(&lace);
        lace.kill(role);
        eventually(&format!("restarted although the {role} died"), || {
            lace.run(&["restart", "shop/web/1", "--timeout", "30s"]).status == 0
        });
        let after = nodes(&lace);
        assert!(after[0].0 == before[0].0 && after[0].2 > before[0].2, "{role}: {before:?} {after:?}");
    }
    lace.run(&["node", "signal", "shop/web/9", "USR1"]).ends(7);
    lace.run(&["node", "signal", "shop/web/1", "HELLO"]).ends(2);
    let replaced = lace.run(&["replace", "shop/web/1", "--yes"]).ok();
    assert!(nodes(&lace)[0].0 != before[0].0, "{}", replaced.out);
    lace.run(&["delete", "shop", "--yes"]).ok();
    lace.down_and_nothing_left();
}

#[test]
fn delete_by_force_ends_though_the_host_does_not_obey() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(212, 1);
    let manifest = "count = 2\nstop = { timeout = \"1s\" }";
    let dir = project(&lace, "shop", "echo up", manifest);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let agent = rustix::process::Pid::from_raw(lace.pid("agent")).expect("a pid");
    rustix::process::kill_process(agent, rustix::process::Signal::STOP).expect("stopped");
    let said = lace.run(&["delete", "shop", "--force", "--yes", "--timeout", "40s"]);
    rustix::process::kill_process(agent, rustix::process::Signal::CONT).expect("goes on");
    let said = said.ok();
    let text = said.out + &said.err;
    assert!(text.contains("shop/web/1") && text.contains("abandoned"), "{text}");
    lace.run(&["status", "shop"]).ends(7);
    eventually("the host removes them in the end", || {
        let dir = lace.state().join("agent/machine/nodes");
        std::fs::read_dir(dir).is_ok_and(|mut left| left.next().is_none())
    });
    lace.down_and_nothing_left();
}
