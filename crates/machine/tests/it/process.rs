//! The process of a node: restart, backoff, logs, jobs, stop.

use std::time::{Duration, Instant};

use lace_machine::{Event, LogReader, LogStream, Phase};

use crate::world::{DEADLINE, says, shell, until, world};

#[test]
fn a_dead_process_is_back_within_a_second_and_then_backs_off() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let mut events = node.subscribe().unwrap();
    let killed = Instant::now();
    node.signal(libc::SIGKILL).unwrap();
    let mut delays = Vec::new();
    while delays.len() < 4 {
        match events.next_within(Some(DEADLINE)).unwrap().expect("an event") {
            Event::Backoff { delay_ms } => delays.push(delay_ms),
            Event::Started { .. } => {
                if delays.len() == 1 {
                    assert!(killed.elapsed() < Duration::from_secs(1));
                }
                node.signal(libc::SIGKILL).unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(delays, [100, 200, 400, 800]);
    let status = node.status().unwrap();
    assert_eq!(status.restarts, 3);
    assert_eq!(status.last_exit.unwrap().reason, "killed by signal 9");
}

#[test]
fn who_speaks_of_a_former_life_restarts_nobody() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let life = |node: &lace_machine::NodeHandle| node.status().unwrap().life();
    let first = life(&node);
    assert!(first.is_some());
    node.restart(first).unwrap();
    let second = until("it runs again", || life(&node).filter(|now| Some(*now) != first));
    let refused = node.restart(first).unwrap_err();
    assert!(refused.to_string().contains("that process does not run"), "{refused}");
    assert_eq!(life(&node), Some(second));
    // By order it is whoever runs.
    node.restart(None).unwrap();
    until("it runs again", || life(&node).filter(|now| *now != second));
}

#[test]
fn what_a_process_puts_into_the_background_ends_with_it_and_that_is_told() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "setsid sleep 1001 & sleep 0.1"));
    let exit = until("it ended", || node.status().unwrap().last_exit);
    assert!(exit.left_others && exit.code == Some(0), "{exit:?}");
    node.start(Some(&shell("sleep 0.1; exit 0"))).unwrap();
    let first = exit.at_ms;
    let exit = until("it ended", || node.status().unwrap().last_exit.filter(|e| e.at_ms > first + 50));
    assert!(!exit.left_others, "{exit:?}");
}

#[test]
fn a_job_runs_once_and_keeps_its_status_and_last_lines() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "seq 1 100; echo oops >&2; printf unfinished; exit 3");
    spec.process.as_mut().unwrap().one_shot = true;
    let node = world.start(&spec);
    let exit = until("the job ended", || node.status().unwrap().last_exit);
    assert_eq!(exit.reason, "exit code 3");
    assert_eq!(exit.lines.len(), 20);
    assert!(exit.lines.contains(&"unfinished".to_owned()), "{:?}", exit.lines);
    assert!(exit.lines.contains(&"oops".to_owned()), "{:?}", exit.lines);
    assert_eq!(node.status().unwrap().phase, Phase::Finished);
    let reader = LogReader::new(world.machine().log_dir("node-0"));
    let (lines, end) = reader.tail(1000, None).unwrap();
    assert_eq!(lines.len(), 103);
    assert_eq!(lines.iter().filter(|l| l.stream == LogStream::Stderr).count(), 1);
    assert_eq!(lines.last().unwrap().text, "exit code 3");
    assert_eq!(reader.tail(2, None).unwrap().0, lines[101..]);
    assert_eq!(reader.tail(1000, Some("2999")).unwrap().0, []);
    assert_eq!(reader.after(end, 10).unwrap(), (Vec::new(), end));
}

#[test]
fn logs_are_bounded_and_can_be_followed_over_rotations() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "i=0; while [ $i -lt 6000 ]; do echo line $i 0123456789012345678901234567890123456789; i=$((i+1)); done; exec sleep 1000");
    let process = spec.process.as_mut().unwrap();
    process.log_bytes_max = 200_000;
    process.log_files = 4;
    let node = world.start(&spec);
    let reader = LogReader::new(world.machine().log_dir("node-0"));
    let last = until("all is written", || {
        let (lines, end) = reader.tail(1, None).unwrap();
        lines.last()?.text.starts_with("line 5999 ").then_some(end)
    });
    let dir = world.machine().log_dir("node-0");
    let sizes = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    assert!(total <= 200_000 && total > 100_000, "{total}");
    // A very long line is cut, a binary one survives.
    node.start(Some(&shell(
        "head -c 20000 /dev/zero | tr '\\0' x; echo; printf '\\377\\n'; exec sleep 1000",
    )))
    .unwrap();
    let lines = until("the new lines", || {
        let (lines, _) = reader.after(last, 100).unwrap();
        let long: usize = lines.iter().filter(|l| l.text.starts_with('x')).map(|l| l.text.len()).sum();
        (long == 20_000 && lines.last()?.text == "\u{fffd}").then_some(lines)
    });
    assert!(lines.iter().any(|l| l.continues));
}

#[test]
fn a_deaf_process_is_killed_after_its_grace_with_all_it_started() {
    let Some(world) = world() else { return };
    let node =
        world.start(&world.spec(0, "trap '' TERM; (setsid sleep 1000 &); while :; do sleep 0.1; done"));
    until("it sleeps", || says(&node, "ps -e | grep -c sleep").parse::<u32>().ok().filter(|n| *n >= 1));
    let begun = Instant::now();
    node.stop(None, Some(Duration::from_millis(300))).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(says(&node, "ps -e | grep -c sleep; true"), "0");
}

#[test]
fn a_process_runs_as_the_user_asked_for() {
    let Some(world) = world() else { return };
    let mut spec =
        world.spec(0, "id -un; pwd; echo $HOME $GREETING; grep CapEff /proc/self/status; exec sleep 1000");
    let process = spec.process.as_mut().unwrap();
    process.user = Some("app".into());
    process.cwd = Some("/srv".into());
    process.env.insert("GREETING".into(), "good day".into());
    let node = world.start(&spec);
    let reader = LogReader::new(world.machine().log_dir("node-0"));
    let lines = until("its words", || Some(reader.tail(9, None).unwrap().0).filter(|l| l.len() == 4));
    let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["app", "/srv", "/home/app good day", "CapEff:\t0000000000000000"]);
    assert_eq!(says(&node, "id -un; echo $GREETING"), "app\ngood day");
}
