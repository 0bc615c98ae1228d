//! Nodes outlive agents, and PID 1 outlives its own executable.

use lace_machine::{Error, Event, LogReader, Machine, Phase};

use crate::world::{DEADLINE, run, says, until, world};

#[test]
fn nodes_survive_their_agent_and_are_found_again() {
    let Some(mut world) = world() else { return };
    let node = world.start(&world.spec(0, "while :; do date +%s%N; sleep 0.05; done"));
    let before = node.status().unwrap();
    let states = world.machine().list();
    assert!(matches!(Machine::open(world.config.clone()), Err(Error::Busy(_))));
    drop(world.machine.take());
    world.machine = Some(Machine::open(world.config.clone()).unwrap());
    assert_eq!(world.machine().list(), states);
    assert!(states[0].alive && states[0].veth && states[0].cgroup);
    let node = world.machine().connect("node-0").unwrap();
    assert_eq!(node.status().unwrap().pid, before.pid);
    assert_eq!(node.status().unwrap().started_at_ms, before.started_at_ms);
    assert!(matches!(world.machine().start(&world.spec(0, "true")), Err(Error::Exists(_))));
    // Its range of ids is remembered: the next node gets another one.
    world.start(&world.spec(1, "exec sleep 1000"));
    let states = world.machine().list();
    assert_ne!(states[0].uid_base, states[1].uid_base);
    assert_eq!(world.machine().sweep(&["node-1".into()]).unwrap(), ["node-0"]);
    assert_eq!(world.machine().list().len(), 1);
}

#[test]
fn pid1_replaces_itself_and_keeps_everything() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"));
    let null = std::fs::File::open("/dev/null").unwrap();
    let stdio = [std::os::fd::AsFd::as_fd(&null); 3];
    let spec = lace_machine::ExecSpec::new(["/bin/sh", "-c", "sleep 1.5; exit 9"]);
    let mut command = node.exec(&spec, stdio).unwrap();
    let mut events = node.subscribe().unwrap();
    let before = node.status().unwrap();
    let program = world.config.executable.clone().unwrap();
    node.reexec(&program).unwrap();
    node.reexec(&program).unwrap();
    let after = node.status().unwrap();
    assert_eq!((after.pid, after.started_at_ms), (before.pid, before.started_at_ms));
    assert_eq!((after.phase, after.reexecs), (Phase::Running, 2));
    // The command's connection, the subscription and the log go on.
    assert_eq!(command.wait(Some(DEADLINE)).unwrap().code, Some(9));
    node.signal(libc::SIGKILL).unwrap();
    let event = events.next_within(Some(DEADLINE)).unwrap();
    assert!(matches!(event, Some(Event::Exited { .. })), "{event:?}");
    let reader = LogReader::new(world.machine().log_dir("node-0"));
    let (lines, _) = reader.tail(100_000, None).unwrap();
    let ended = lines.iter().position(|l| l.text == "killed by signal 9").unwrap();
    for (number, line) in lines[..ended].iter().enumerate() {
        assert_eq!(line.text, number.to_string(), "a line was lost or doubled");
    }
    until("it runs again", || (node.status().unwrap().phase == Phase::Running).then_some(()));
    // What is no executable is refused, and nothing is lost.
    let error = node.reexec("/etc/hostname".as_ref()).unwrap_err();
    assert!(error.to_string().contains("re-exec"), "{error}");
    assert_eq!(says(&node, "hostname"), "n0");
    assert!(world.machine().list()[0].alive);
}

#[test]
fn a_killed_pid1_takes_its_node_along_and_is_seen_dead() {
    let Some(world) = world() else { return };
    world.start(&world.spec(0, "exec sleep 1000"));
    let pid = world.machine().list()[0].pid.unwrap();
    // SAFETY: the pid is that of our own node.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    until("it is seen", || (!world.machine().list()[0].alive).then_some(()));
    assert!(world.machine().connect("node-0").is_err());
    world.start(&world.spec(0, "exec sleep 1000"));
    assert!(world.machine().list()[0].alive);
}

#[test]
fn a_killed_nursery_is_replaced_and_none_outlives_its_machine() {
    let Some(mut world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let former = nurseries();
    assert_eq!(former.len(), 1, "one for all nodes");
    // SAFETY: the pid is that of our own child.
    unsafe { libc::kill(former[0], libc::SIGKILL) };
    world.start(&world.spec(1, "exec sleep 1000"));
    let next = nurseries();
    assert!(next.len() == 1 && next != former, "{former:?} {next:?}");
    assert_eq!(says(&node, "hostname"), "n0");
    drop(world.machine.take());
    assert!(nurseries().is_empty());
    world.machine = Some(Machine::open(world.config.clone()).unwrap());
}

/// Children of this process in that role (each test has a process of its own).
fn nurseries() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<i32> =
        children.flat_map(|c| c.split_whitespace().map(|p| p.parse().unwrap()).collect::<Vec<_>>()).collect();
    let is_nursery = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|b| *b == 0).any(|word| word == b"nursery")
    };
    pids.into_iter().filter(is_nursery).collect()
}

#[test]
fn a_skeleton_stays_as_long_as_a_node_has_it() {
    let Some(mut world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let dir = world.config.state_dir.join("skeleton");
    let names = || {
        let entries = std::fs::read_dir(&dir).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let now = names();
    // As if the host had changed since: the node has what is an older one now.
    let older = dir.join("0000000000000001");
    std::fs::create_dir(&older).unwrap();
    let record = world.config.state_dir.join("nodes/node-0/node.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace(&now[0], "0000000000000001")).unwrap();
    std::fs::create_dir(dir.join("0000000000000002")).unwrap();
    world.machine().forget_skeletons();
    assert_eq!(names(), ["0000000000000001", &now[0]], "the unused one is gone");
    assert_eq!(run(&node, "true").0, 0);
    world.machine().remove("node-0").unwrap();
    drop(world.machine.take());
    world.machine = Some(lace_machine::Machine::open(world.config.clone()).unwrap());
    assert_eq!(names(), now);
}
