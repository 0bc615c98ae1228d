//! What may come between while code is put to use: death of the controller, and somebody else who does the same.

use crate::lace::{Lace, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const WORK: &str = "[service.work]\npackage = \"generic\"\nsettings = { grace = \"1s\" }\n\
    release = { path = \"./code\", kind = \"generic\", version = \"0\" }\n[service.work.family.node]\ncount = 1\n";

fn code(dir: &Path, version: &str, run: &str) {
    let dir = dir.join("code");
    fs::create_dir_all(&dir).expect("made");
    fs::write(dir.join("init.sh"), format!("echo {version} > /root/version\n")).expect("written");
    fs::write(dir.join("run.sh"), run).expect("written");
}

fn upload(lace: &Lace, version: &str) {
    let path = lace.files().join("code");
    lace.run(&["release", "upload", "work", path.to_str().expect("text"), "--version", version, "--files"])
        .ok();
}

/// The version that each node has, where all have the same.
fn version(lace: &Lace) -> Option<String> {
    let of = |node: &str| {
        let ran = lace.run(&["exec", &format!("shop/work/{node}"), "--", "cat", "/root/version"]);
        (ran.status == 0).then(|| ran.out.trim().to_owned())
    };
    of("master/1").filter(|version| of("node/1").as_ref() == Some(version))
}

/// The version that the service shall run.
fn active(lace: &Lace) -> Option<String> {
    let ran = lace.run(&["release", "list", "shop/work", "--format", "json"]);
    let listed = if ran.status == 0 { ran.json() } else { return None };
    let active = listed.as_array()?.iter().find(|one| one["active"] == true)?;
    active["version"].as_str().map(str::to_owned)
}

#[test]
fn a_controller_that_dies_while_code_is_put_to_use_leaves_none_half_enabled() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 2);
    code(lace.files(), "0", "exit 0\n");
    apply(&lace, WORK).ok();
    for version in ["a", "b"] {
        code(lace.files(), version, "exit 0\n");
        upload(&lace, version);
    }
    let activate =
        |version: &str| lace.run(&["release", "activate", "shop/work", &format!("work@{version}")]);
    // Killed before, while and after it asks, writes and rolls.
    for round in 0..12 {
        let wanted = ["a", "b"][round % 2];
        thread::scope(|scope| {
            let asked = scope.spawn(|| activate(wanted));
            thread::sleep(Duration::from_millis(60 * round as u64));
            lace.kill("server");
            let _ = asked.join();
        });
        eventually("it is the one or the other, everywhere", || {
            version(&lace).is_some_and(|version| active(&lace) == Some(version))
        });
    }
    eventually("it can be put to use", || activate("a").status == 0);
    assert_eq!(version(&lace).as_deref(), Some("a"));

    // Two at once: one after the other, or one is told to try again; never one here and one there.
    for _ in 0..3 {
        thread::scope(|scope| {
            for one in ["a", "b"].map(|version| scope.spawn(move || activate(version))) {
                let ran = one.join().expect("ran");
                assert!([0, 3, 8].contains(&ran.status), "{}", ran.err);
            }
        });
        eventually("all have the same", || {
            version(&lace).is_some_and(|version| active(&lace) == Some(version))
        });
    }
}
