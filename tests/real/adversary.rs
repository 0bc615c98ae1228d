//! What may come between while code is put to use: death of the controller, and somebody else who does the same.

use crate::generic::{GOOD, Work};
use crate::lace::{Lace, at_last, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::Path;
use std::process::Command;
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

/// What `run.sh` does by its first parameter. `interrupt.sh` stays, so that asking once more is what ends all of it.
const EVIL: &str = "#!/bin/bash\n\
    trap '' TERM\n\
    case $1 in\n\
    bomb) exec perl -e 'while (1) { fork; select(undef, undef, undef, 0.05) }' ;;\n\
    detach)\n\
      (setsid bash -c 'trap \"\" TERM; (setsid tail -f /dev/null &); while :; do tail -f /dev/null; done' &)\n\
      while :; do tail -f /dev/null; done ;;\n\
    print) [ $MY_ROLE = master ] || yes \"$(printf 'again%.0s' {1..800})\" | head -c 1000000000 ;;\n\
    fill) for ((i = 0; ; i++)); do head -c 1000000 /dev/zero >\"/root/full.$i\"; sleep 0.05; done ;;\n\
    esac\n";

const SMALL: &str = "cpu = 2\npids = 192\nmemory = \"384MiB\"\ndisk = \"16MiB\"\n";

#[test]
fn scripts_that_run_wild_stay_within_their_node_and_are_ended() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.164.1.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    code(lace.files(), "0", EVIL);
    fs::write(lace.files().join("code/interrupt.sh"), "exec tail -f /dev/null\n").expect("written");
    let families =
        format!("[service.work.family.master]\n{SMALL}[service.work.family.node]\ncount = 1\n{SMALL}");
    let other = "[service.other]\ncommand = [\"sleep\", \"100000\"]\n";
    let manifest = WORK.split("[service.work.family").next().expect("a service");
    apply(&lace, &format!("{manifest}{families}{other}")).ok();
    let work = Work(&lace, "shop/work");
    eventually("each node is initialised", || work.all_stand("init.sh", GOOD, 2));
    let status =
        |node: &str| lace.run(&["node", "show", node, "--format", "json"]).ok().json()["status"].clone();
    let begun = status("shop/other/1")["started_at"].clone();
    let goes_on = || {
        let now = status("shop/other/1");
        assert_eq!((now["phase"].as_str(), &now["started_at"]), (Some("running"), &begun));
        lace.run(&["exec", "shop/other/1", "--", "sh", "-c", "true | true"]).ok();
    };
    let left = |node: &str| {
        let count = "grep -slz '^LACE_GENERIC=' /proc/[0-9]*/environ | wc -l";
        work.in_node(node, count).trim().to_owned()
    };
    let told = |words: &str| {
        eventually("its status says why", || {
            ["master/1", "node/1"].iter().all(|node| {
                let status = status(&format!("shop/work/{node}"));
                status["detail"].as_str().is_some_and(|detail| detail.contains(words))
            })
        });
    };
    let killed = || {
        work.action(&["interrupt"]).ok();
        eventually("it is interrupted", || work.all_stand("interrupt.sh", "running", 2));
        work.action(&["interrupt"]).ok();
        for script in ["run.sh", "interrupt.sh"] {
            eventually("it is killed", || work.all_stand(script, "stopped (return code 137)", 2));
        }
        eventually("nothing is left", || ["master/1", "node/1"].iter().all(|node| left(node) == "0"));
    };

    // Forks without end: as many as the node may have, and no more; whoever asks is still answered.
    work.action(&["run", "parameters=bomb"]).ok();
    told("processes as its limit of 192");
    goes_on();
    let stats = work.in_node("node/1", "ls -d /proc/[0-9]* | wc -l");
    assert!(stats.trim().parse::<u32>().is_ok_and(|n| (120..=192).contains(&n)), "{stats}");
    killed();

    // Leaves its session and its parent.
    work.action(&["run", "parameters=detach"]).ok();
    eventually("it has left", || left("node/1").parse::<u32>().is_ok_and(|n| n > 4));
    killed();
    for node in ["master/1", "node/1"] {
        assert_eq!(status(&format!("shop/work/{node}"))["restarts"], 0, "{node}");
    }

    // Prints a gigabyte: what is kept of it has a bound.
    eventually("all are idle", || work.action(&["run", "parameters=print"]).status == 0);
    goes_on();
    at_last(Duration::from_secs(150), "all of it is said", || work.all_stand("run.sh", GOOD, 2));
    let kept = Command::new("du").arg("-sm").arg(lace.node_dirs()).output().expect("du runs");
    let kept = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert!(
        kept.split_whitespace().next().is_some_and(|mib| mib.parse::<u32>().is_ok_and(|n| n < 200)),
        "{kept}"
    );

    // Fills the disk: told, then ended, each time that it takes more.
    eventually("all are idle", || work.action(&["run", "parameters=fill"]).status == 0);
    told("more than its disk limit of 16MiB");
    goes_on();
    eventually("it is ended", || {
        ["master/1", "node/1"].iter().all(|node| {
            status(&format!("shop/work/{node}"))["restarts"].as_u64().is_some_and(|n| n > 0)
                && left(node) == "0"
        })
    });
    goes_on();
    lace.run(&["replace", "shop/work/node/1"]).ok();
    eventually("it begins anew", || work.in_node("node/1", "ls /root").trim() == "version");
}
