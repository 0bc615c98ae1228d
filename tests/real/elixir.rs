//! Three nodes from a release that `mix release` made: recognised, named, clustered, with a cookie that nobody sees.

use crate::lace::{Lace, eventually, may_run};
use crate::tools::Terminal;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A copy of the example, without what was built in it.
pub fn pond(lace: &Lace) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pond");
    let to = lace.files().join("pond");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp");
    assert!(copied.success());
    let _ = fs::remove_dir_all(to.join("_build"));
    to.display().to_string()
}

/// The command lines of all processes of this machine, nodes' included.
pub fn command_lines() -> String {
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}

#[test]
fn a_mix_release_forms_a_cluster_and_keeps_its_cookie_to_itself() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(217, 1);
    let dir = pond(&lace);
    lace.run(&["deploy", "pond", &dir]).ok();
    let releases = lace.run(&["release", "list", "--format", "json"]).ok().json();
    assert_eq!(releases[0]["kind"], "mix", "{releases}");
    let name = |n: u32| format!("pond@pond-{n}.pond.pond.lace.internal");
    for n in 1..=3 {
        let node = format!("pond/pond/{n}");
        let ran = lace.run(&["exec", &node, "--", "bin/pond", "rpc", "IO.inspect(Pond.frogs())"]).ok();
        assert!((1..=3).all(|n| ran.out.contains(&name(n))), "{}", ran.out);
    }
    let asked = "IO.inspect({node(), :inet.getaddr(~c\"pond-2.pond\", :inet), Application.get_env(:kernel, :net_ticktime)})";
    let ran = lace.run(&["exec", "pond/pond/1", "--", "bin/pond", "rpc", asked]).ok();
    assert!(ran.out.contains(&name(1)) && ran.out.contains(", 8}"), "{}", ran.out);
    let ports = lace.run(&["exec", "pond/pond/1", "--", "cat", "/proc/net/tcp"]).ok().out;
    assert!(ports.contains(":238C "), "the distribution listens on 9100: {ports}");
    assert!(!ports.contains(":1111 "), "no epmd is needed: {ports}");

    let read = lace.run(&["exec", "pond/pond/1", "--", "cat", "/run/lace/home/.erlang.cookie"]).ok().out;
    let cookie = read.rsplit([' ', '|']).next().expect("a cookie").trim().to_owned();
    assert!(cookie.len() >= 20, "a long random cookie: {read}");
    let same = lace.run(&["exec", "pond/pond/3", "--", "cat", "/run/lace/home/.erlang.cookie"]).ok().out;
    assert!(same.contains(&cookie), "one cookie for the cluster");
    // Also while the release's own tools run.
    std::thread::scope(|scope| {
        let tool = scope
            .spawn(|| lace.run(&["exec", "pond/pond/2", "--", "bin/pond", "rpc", "Process.sleep(1500)"]));
        eventually("the tool was seen", || command_lines().contains("Process.sleep(1500)"));
        while !tool.is_finished() {
            assert!(!command_lines().contains(&cookie), "the cookie is on a command line");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        tool.join().expect("it ran").ok();
    });
    for words in [
        &["family", "show", "pond/pond", "--format", "json"][..],
        &["status", "pond", "--format", "json"],
        &["export", "pond"],
        &["secret", "list", "pond", "--format", "json"],
        &["events", "--format", "json"],
        &["exec", "pond/pond/1", "--", "env"],
        &["exec", "pond/pond/1", "--", "cat", "/run/lace/context.json"],
    ] {
        let ran = lace.run(words).ok();
        assert!(!ran.out.contains(&cookie) && !ran.err.contains(&cookie), "{words:?} shows the cookie");
    }

    assert!(lace.run(&["beam", "top", "pond/pond/1"]).ok().out.contains("init"));
    let mut shell = Terminal::begin(&lace, &["beam", "shell", "pond/pond/1"], 132, 41);
    shell.shows("iex(");
    shell.press("{node(), 40 + 2}\n");
    shell.shows("{:\"pond@pond-1.pond.pond.lace.internal\", 42}");
    // Longer than the cluster's time it says nothing.
    let since = std::time::Instant::now();
    eventually("a silent while", || since.elapsed() > std::time::Duration::from_secs(12));
    shell.press("{:there, 40 + 3}\n");
    shell.shows("{:there, 43}");
    drop(shell);

    let _ = lace.run(&["exec", "pond/pond/2", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed node is in the cluster again", || {
        let ran = lace.run(&["exec", "pond/pond/1", "--", "bin/pond", "rpc", "IO.inspect(Pond.frogs())"]);
        lace.ready("pond") == 3 && ran.out.contains(&name(2))
    });
    lace.down_and_nothing_left();
}
