//! Nodes outlive whoever looks after them, and come back after a reboot.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};

/// Id and start of each node.
fn lives(lace: &Lace) -> Vec<String> {
    let status = lace.status("shop");
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().map(|n| format!("{} {}", n["status"]["id"], n["status"]["started_at"])).collect()
}

/// Events of a kind so far.
fn events(lace: &Lace, kind: &str) -> usize {
    lace.run(&["events", "--format", "jsonl"]).ok().out.lines().filter(|line| line.contains(kind)).count()
}

#[test]
fn an_agent_that_is_killed_again_and_again_costs_no_node() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(213, 1);
    let dir =
        project(&lace, "shop", "echo up", "count = 15\ncheck = { exec = [\"true\"], interval = \"1s\" }");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let before = lives(&lace);
    for kill in 1..=20 {
        let sessions = events(&lace, "host.connected");
        let ready = events(&lace, "node.ready");
        lace.kill("agent");
        eventually(&format!("a session after kill {kill}"), || events(&lace, "host.connected") > sessions);
        assert_eq!(lace.ready("shop"), 15, "after kill {kill}: what was ready is ready");
        assert_eq!(events(&lace, "node.ready"), ready, "after kill {kill}");
    }
    assert_eq!(lives(&lace), before);
    assert_eq!(events(&lace, "node.lost"), 0);
    lace.down_and_nothing_left();
}

#[test]
fn nodes_outlive_controller_and_agent_and_come_back_after_a_reboot() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(218);
    let dir = project(&lace, "shop", "echo up", "count = 3");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let before = lives(&lace);
    for role in ["server", "agent", "net"] {
        lace.kill(role);
    }
    eventually("all ready again", || lace.ready("shop") == 3);
    assert_eq!(lives(&lace), before, "no process was started anew");

    // A reboot: every process is gone at once, the disk stays.
    for role in ["up", "server", "agent", "net"] {
        lace.kill(role);
    }
    for root in lace.cgroups() {
        for node in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let pids = std::fs::read_to_string(node.path().join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|p| p.parse().ok()).filter_map(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    lace.start();
    eventually("the nodes came back", || lace.ready("shop") == 3);
    assert_ne!(lives(&lace), before);
    lace.down_and_nothing_left();
}
