//! Packages whose process takes its files anew on a signal: exactly when what they say has changed.

use crate::lace::{Lace, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Its process writes down what it read, at its start and on each SIGHUP; and how long it takes to listen to that.
fn reader(dir: &Path) {
    for sub in ["scripts", "templates"] {
        fs::create_dir_all(dir.join(sub)).expect("made");
    }
    let text = "[package]\nname = \"reader\"\nversion = \"1\"\n[role.watcher]\n[role.other]\ncount = 0\nmax = 9\n\
                [role.third]\ncount = 0\nmax = 9\n[template]\n\"/etc/others\" = \"templates/others.j2\"\n\
                [reload]\nsignal = \"HUP\"\n[script]\nstart = \"scripts/start.sh\"\n\
                [check]\nscript = \"scripts/check.sh\"\ninterval = \"200ms\"\n";
    let others = "{% for node in roles.other %}{{ node.index }}{% endfor %}\n";
    let start = "#!/bin/sh\necho \"began $(cat /etc/others)\" >> /tmp/read\nsleep 2\n\
                 trap 'echo \"again $(cat /etc/others)\" >> /tmp/read' HUP\ntouch /tmp/listens\n\
                 while :; do sleep 1000 & wait $!; done\n";
    let check = "#!/bin/sh\ntest -e /tmp/listens\n";
    fs::write(dir.join("package.toml"), text).expect("written");
    fs::write(dir.join("templates/others.j2"), others).expect("written");
    for (name, text) in [("start", start), ("check", check)] {
        let path = dir.join(format!("scripts/{name}.sh"));
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

#[test]
fn a_process_takes_its_files_anew_once_for_each_change_and_for_nothing_else() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.158.8.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let dir = lace.files().join("reader");
    reader(&dir);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.x]\npackage = \"reader\"\n").ok();
    let read = || -> Vec<String> {
        let ran = lace.run(&["exec", "shop/x/watcher/1", "--", "cat", "/tmp/read"]);
        ran.out.lines().map(|line| line.trim().to_owned()).collect()
    };
    let scale = |role: &str, count: &str| drop(lace.run(&["scale", &format!("shop/x/{role}"), count]).ok());
    assert_eq!(read(), ["began"], "what it was started with is no news");
    scale("other", "1");
    eventually("it is told", || read() == ["began", "again 1"]);

    // What no file says is no news; several changes at once are one or a few, and the last one counts.
    scale("third", "2");
    (2..=4).for_each(|count| scale("other", &count.to_string()));
    eventually("it is told", || read().last().is_some_and(|last| last == "again 1234"));
    let lines = read();
    assert!(lines[1..].is_sorted() && lines.windows(2).all(|two| two[0] != two[1]), "{lines:?}");

    // An agent that comes anew tells nothing twice, and what was missed.
    lace.kill("agent");
    eventually("another agent is there", || !read().is_empty());
    assert_eq!(read(), lines);
    scale("other", "5");
    eventually("it is told", || read().last().is_some_and(|last| last == "again 12345"));
    let lines = read();

    // A process that has just begun would die of the signal: it is waited for until it listens.
    let restarted = |lines: &[String]| read().get(lines.len()..).unwrap_or_default().to_vec();
    lace.run(&["exec", "shop/x/watcher/1", "--", "rm", "/tmp/listens"]).ok();
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| lace.run(&["restart", "shop/x/watcher"]));
        eventually("it begins anew", || !restarted(&lines).is_empty());
        scale("other", "6");
        restart.join().expect("ran").ok();
    });
    eventually("it is told", || read().last().is_some_and(|last| last.ends_with("123456")));
    let after = restarted(&lines);
    assert_eq!(
        after.iter().filter(|line| line.starts_with("began")).count(),
        1,
        "it was not killed: {after:?}"
    );
}
