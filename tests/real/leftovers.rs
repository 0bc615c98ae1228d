//! Scripts of the package `generic` that take their time, are killed, or leave something at work.

use crate::generic::{GOOD, Work};
use crate::lace::{Lace, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::Path;

const MANIFEST: &str = "[service.work]\npackage = \"generic\"\nrelease = { path = \"./code\", kind = \"generic\" }\n\
    settings = { grace = \"1s\", cleanup_timeout = \"2s\" }\n";

/// `init.sh` leaves a process that others need, and waits for a word; `run.sh` leaves one and ends; `cleanup.sh` is deaf and never ends.
fn code(lace: &Lace) {
    let dir = lace.files().join("code");
    fs::create_dir_all(&dir).expect("made");
    let scripts = [
        (
            "init",
            "echo x >> /root/inits\nsetsid sleep 2001 >/dev/null 2>&1 &\nuntil [ -e /root/go ]; do sleep 0.1; done",
        ),
        ("run", "setsid sleep 2002 >/dev/null 2>&1 &\necho left one"),
        ("cleanup", "trap '' TERM\nsetsid sleep 2003 >/dev/null 2>&1 &\nwhile :; do sleep 2004; done"),
    ];
    for (name, text) in scripts {
        fs::write(dir.join(format!("{name}.sh")), format!("#!/bin/bash\n{text}\n")).expect("written");
    }
}

#[test]
fn who_is_ready_has_been_initialised_and_what_a_script_leaves_is_known() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.166.6.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    code(&lace);
    let file = lace.files().join("lace.toml");
    fs::write(&file, format!("[application]\nname = \"shop\"\n{MANIFEST}")).expect("written");
    lace.run(&["apply", file.to_str().expect("text"), "--timeout", "1ms"]).ends(4);
    let work = Work(&lace, "shop/work");
    let at_work = |seconds: u32| {
        work.in_node("master/1", &format!("pgrep -fc '^sleep {seconds}' || true")).trim().to_owned()
    };
    eventually("init.sh runs", || work.all_stand("init.sh", "running", 1));
    eventually("it says why it is not ready", || {
        lace.run(&["why", "shop/work/master/1"]).out.contains("init.sh still runs")
    });
    assert!(work.action(&["run"]).status != 0, "nothing runs before init.sh has ended");

    // A process that begins anew amid init.sh begins with it.
    lace.run(&["restart", "shop/work/master/1", "--timeout", "1ms"]);
    eventually("it begins again", || work.in_node("master/1", "cat /root/inits") == "x\nx\n");
    work.in_node("master/1", "touch /root/go");
    eventually("it is initialised", || work.all_stand("init.sh", GOOD, 1));
    lace.run(&["wait", "shop/work", "--for", "healthy"]).ok();

    // What run.sh left counts as running until it is interrupted; what init.sh left is for the others.
    work.action(&["run"]).ok();
    eventually("run.sh has ended", || work.all_stand("run.sh", GOOD, 1));
    assert_eq!((at_work(2001), at_work(2002)), ("1".into(), "1".into()));
    let refused = work.action(&["run"]).ends(8);
    assert!(refused.err.contains("run.sh has ended, and what it began still runs"), "{}", refused.err);
    work.action(&["interrupt"]).ok();
    eventually("it is gone", || at_work(2002) == "0");
    assert_eq!(at_work(2001), "1");

    // A script whose time is over takes what it began elsewhere along.
    eventually("it is idle", || work.action(&["cleanup"]).status == 0);
    eventually("its time is over", || work.all_stand("cleanup.sh", "stopped (return code 137)", 1));
    assert_eq!((at_work(2003), at_work(2004), at_work(2001)), ("0".into(), "0".into(), "1".into()));

    // One that is killed has failed: the release that was there before comes back.
    let init = lace.files().join("code/init.sh");
    fs::write(&init, "echo quick\n").expect("written");
    apply(&lace, MANIFEST).ok();
    fs::write(&init, "kill -9 $$\n").expect("written");
    let failed = apply(&lace, MANIFEST).ends(3);
    assert!(failed.err.contains("init.sh failed"), "{}", failed.err);
    eventually("the former one is back", || work.all_stand("init.sh", GOOD, 1));
    lace.down_and_nothing_left();
}
