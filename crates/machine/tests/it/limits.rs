//! Limits that bite.

use std::time::Duration;

use lace_machine::{Event, Limits, Phase};

use crate::world::{DEADLINE, run, says, shell, until, world};

const HOG: &str = "python3 -c \"x = bytearray(200 << 20); import time; time.sleep(1000)\"";

#[test]
fn a_memory_hog_is_killed_and_named() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "sleep 1000");
    spec.limits.memory_bytes = Some(64 << 20);
    let node = world.start(&spec);
    let mut events = node.subscribe().unwrap();
    let mut process = shell(&format!("echo about to grow; exec {HOG}"));
    process.one_shot = true;
    node.start(Some(&process)).unwrap();
    let exit = loop {
        match events.next_within(Some(DEADLINE)).unwrap().expect("an event") {
            Event::Exited { exit } if exit.oom => break exit,
            _ => {}
        }
    };
    assert_eq!(exit.reason, "killed: memory limit 64 MiB");
    assert_eq!(exit.signal, Some(9));
    assert_eq!(exit.lines, ["about to grow"]);
    let status = node.status().unwrap();
    assert_eq!(status.phase, Phase::Finished);
    assert!(status.last_exit.unwrap().oom);
    // A command beside the process too.
    let (exit, ..) = node.output(&lace_machine::ExecSpec::new(["sh", "-c", HOG])).unwrap();
    assert!(exit.oom, "{exit:?}");
    let stats = world.machine().stats("node-0");
    assert_eq!(stats.memory_bytes_max, Some(64 << 20));
    assert!(stats.oom_kills >= Some(2), "{stats:?}");
    assert!(stats.memory_bytes_peak > Some(60 << 20), "{stats:?}");
    assert!(stats.memory_bytes < Some(64 << 20), "{stats:?}");
}

#[test]
fn a_fork_bomb_stays_inside() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.limits.pids = Some(50);
    let node = world.start(&spec);
    // A shell gives up when it cannot fork; this one never does.
    let mut bomb = shell(
        "exec python3 -c '
import os, time
while True:
    try: os.fork()
    except OSError: time.sleep(0.01)'",
    );
    bomb.stop_grace_ms = 100;
    node.start(Some(&bomb)).unwrap();
    until("the limit is reached", || {
        let stats = world.machine().stats("node-0");
        assert!(stats.pids <= Some(50), "{stats:?}");
        (stats.pids >= Some(49)).then_some(())
    });
    // PID 1 still answers, and ends all of it.
    assert_eq!(node.status().unwrap().phase, Phase::Running);
    node.stop(None, Some(Duration::from_millis(100))).unwrap();
    until("all are gone", || (world.machine().stats("node-0").pids <= Some(1)).then_some(()));
    assert_eq!(says(&node, "echo fine"), "fine");
}

#[test]
fn a_busy_loop_is_throttled() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "while :; do :; done");
    spec.limits = Limits { cpu_millis: Some(200), ..Limits::default() };
    world.start(&spec);
    let before = until("some CPU is used", || world.machine().stats("node-0").cpu_usage_us);
    let begun = std::time::Instant::now();
    until("it is throttled often", || {
        (world.machine().stats("node-0").cpu_throttled >= Some(8)).then_some(())
    });
    let used = world.machine().stats("node-0").cpu_usage_us.unwrap() - before;
    let share = used as f64 / begun.elapsed().as_micros() as f64;
    assert!(share < 0.35, "used {share} of a core with a limit of 0.2");
}

#[test]
fn limits_change_while_a_node_runs() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.limits.memory_bytes = Some(64 << 20);
    let node = world.start(&spec);
    for mebibytes in [256u64, 96] {
        let limits = Limits { memory_bytes: Some(mebibytes << 20), pids: Some(20), ..Limits::default() };
        world.machine().set_limits("node-0", &limits).unwrap();
        let stats = world.machine().stats("node-0");
        assert_eq!((stats.memory_bytes_max, stats.pids_max), (Some(mebibytes << 20), Some(20)));
    }
    assert_eq!(says(&node, "hostname"), "n0");
    assert!(world.machine().set_limits("node-9", &Limits::default()).is_err());
}

#[test]
fn a_program_that_reads_its_limits_sees_its_own() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.limits.memory_bytes = Some(256 << 20);
    let node = world.start(&spec);
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert_eq!(run(&node, script).1, (256 << 20).to_string());
}
