//! Controller, agent or both are killed at random moments; afterwards the world is as wanted.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::time::Duration;

/// A small generator, so that a failing run can be repeated with its seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn rounds(count: u64, net: u8, seed: u64) {
    if !may_run() {
        return;
    }
    let seed = std::env::var("LACE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let lace = Lace::up(net);
    let dir = project(&lace, "shop", "echo up", "count = 2");
    let path = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", path]).ok();
    for round in 0..count {
        let wanted = 1 + dice.throw(5);
        let delay = Duration::from_millis(dice.throw(120));
        let victims: &[&str] =
            [&["server"][..], &["agent"], &["server", "agent"], &["net"]][dice.throw(4) as usize];
        let roll = dice.throw(3) == 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if roll {
                    lace.run(&["restart", "shop", "--timeout", "20s"]);
                }
                lace.run(&["scale", "shop/web", &wanted.to_string(), "--timeout", "20s"])
            });
            std::thread::sleep(delay);
            victims.iter().for_each(|role| lace.kill(role));
        });
        // A command that was cut off may not have been taken: it is typed again, as a person would.
        eventually("the command is taken", || {
            lace.run(&["scale", "shop/web", &wanted.to_string()]).status == 0
        });
        let what = format!("round {round} (seed {seed}): {wanted} ready after killing {victims:?}");
        eventually(&what, || lace.ready("shop") == wanted && as_wanted(&lace, wanted));
    }
    lace.down_and_nothing_left();
}

/// As many nodes on the machine as wanted, no more: counted by their cgroups.
fn as_wanted(lace: &Lace, wanted: u64) -> bool {
    lace.cgroups().iter().all(|root| {
        let nodes = std::fs::read_dir(root).into_iter().flatten().flatten();
        nodes.filter(|entry| entry.path().is_dir()).count() as u64 == wanted
    })
}

// Two hundred rounds in all, side by side.
#[test]
fn rounds_of_kills_leave_the_world_as_wanted() {
    rounds(100, 216, 20_261_122);
}

#[test]
fn rounds_of_kills_with_another_seed() {
    rounds(100, 220, 7);
}

#[test]
#[ignore = "long: 1,000 rounds"]
fn long_rounds_of_kills_leave_the_world_as_wanted() {
    rounds(1_000, 217, 11);
}

#[test]
fn nodes_outlive_controller_and_agent_and_come_back_after_a_reboot() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(218);
    let dir = project(&lace, "shop", "echo up", "count = 3");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let started = |lace: &Lace| {
        let status = lace.status("shop");
        let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(|n| n["status"]["started_at"].to_string()).collect::<Vec<_>>()
    };
    let before = started(&lace);
    for role in ["server", "agent", "net"] {
        lace.kill(role);
    }
    eventually("all ready again", || lace.ready("shop") == 3);
    assert_eq!(started(&lace), before, "no process was started anew");

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
    assert_ne!(started(&lace), before);
    lace.down_and_nothing_left();
}
