//! Commands beside the process: terminals, cancelling, descriptors.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use lace_machine::ExecSpec;

use crate::world::{DEADLINE, says, until, world};

#[test]
fn a_terminal_works_and_can_be_resized() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let mut spec = ExecSpec::new(["/bin/sh", "-i"]);
    spec.pty = Some((24, 80));
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut shell = node.exec(&spec, [null.as_fd(); 3]).unwrap();
    let mut terminal = std::fs::File::from(shell.terminal.as_ref().unwrap().try_clone().unwrap());
    shell.resize(33, 101).unwrap();
    terminal.write_all(b"tty; stty size; echo $TERM; exit 5\n").unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    // The end of the session is EIO on a terminal's master.
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("/dev/pts/0"), "{text}");
    assert!(text.contains("33 101"), "{text}");
    assert!(text.contains("xterm-256color"), "{text}");
    assert_eq!(shell.wait(Some(DEADLINE)).unwrap().code, Some(5));
}

#[test]
fn a_command_whose_caller_goes_away_is_killed_with_its_children() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let null = std::fs::File::open("/dev/null").unwrap();
    let stdio = [null.as_fd(); 3];
    let spec = ExecSpec::new(["/bin/sh", "-c", "sleep 2222 & sleep 2222 & wait"]);
    let handle = node.exec(&spec, stdio).unwrap();
    let count = || says(&node, "pgrep -cf 'sleep 222[2]'; true").parse::<u32>().unwrap();
    until("both sleep", || (count() >= 2).then_some(()));
    assert_eq!(node.status().unwrap().execs, 1);
    handle.kill();
    until("both are gone", || (count() == 0).then_some(()));
    until("forgotten", || (node.status().unwrap().execs == 0).then_some(()));
    // Detached, it stays.
    let mut spec = ExecSpec::new(["sleep", "3333"]);
    spec.detached = true;
    drop(node.exec(&spec, stdio).unwrap());
    assert_eq!(says(&node, "pgrep -cf 'sleep 333[3]'"), "1");
    // A signal reaches it.
    let mut handle = node.exec(&ExecSpec::new(["sleep", "4444"]), stdio).unwrap();
    handle.signal(libc::SIGTERM).unwrap();
    assert_eq!(handle.wait(Some(DEADLINE)).unwrap().signal, Some(libc::SIGTERM));
    assert!(handle.wait(Some(Duration::from_millis(10))).is_err());
}

#[test]
fn input_reaches_a_command() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let (input, mut writer) = std::io::pipe().unwrap();
    let (mut reader, output) = std::io::pipe().unwrap();
    let spec = ExecSpec::new(["sha256sum"]);
    let mut handle = node.exec(&spec, [input.as_fd(), output.as_fd(), output.as_fd()]).unwrap();
    drop((input, output));
    writer.write_all(b"hello\n").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("5891b5b522d5df086d0ff0b110fbd9d2"), "{text}");
    assert_eq!(handle.wait(Some(DEADLINE)).unwrap().code, Some(0));
    let error = node.output(&ExecSpec::new(["no-such"])).unwrap_err();
    assert_eq!(error.to_string(), "node node-0: exec no-such: ENOENT");
}

#[test]
fn who_hangs_is_killed_when_its_time_is_over() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let sh = |script: &str| ExecSpec::new(["/bin/sh", "-c", script]);
    let short = Duration::from_millis(300);
    for hangs in ["sleep 5555 & exec sleep 5555", "exec 1>&- 2>&-; exec sleep 5555", "exec yes sleep 5555"] {
        let error = node.output_within(&sh(hangs), short).unwrap_err();
        assert!(matches!(error, lace_machine::Error::Timeout(..)), "{hangs}: {error}");
    }
    let count = || says(&node, "pgrep -cf 'sleep 555[5]'; true");
    until("nothing of them is left", || (count() == "0").then_some(()));
    until("nothing is known of them", || (node.status().unwrap().execs == 0).then_some(()));
    // What one that ended left in the background is not waited for, though it holds the output.
    let (exit, out, err) =
        node.output_within(&sh("sleep 1000 & echo out; echo err >&2; exit 3"), DEADLINE).unwrap();
    assert_eq!((exit.code, &out[..], &err[..]), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    let (_, out, _) = node.output_within(&sh("head -c 3000000 /dev/zero"), DEADLINE).unwrap();
    assert_eq!(out.len(), 3_000_000);
}
