//! Volumes without a manifest: made, detached, given back with their data, made larger, kept as they were and put back.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DB: &str = "[service.db]\ncommand = [\"sh\", \"-c\", \"sleep 100000\"]\ncount = 2\nmemory = \"32MiB\"\ncpu = 0.1\n\
    rollout = { healthy_for = \"200ms\" }\n";

fn up(third: u8, manifest: &str) -> Lace {
    let lace = Lace::within(&format!("10.158.{third}.0/24"), Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    apply(&lace, manifest).ok();
    lace
}

fn volume(lace: &Lace, words: &[&str]) -> Ran {
    lace.run(&[&["volume"], words, &["--yes"]].concat())
}

fn in_node(lace: &Lace, index: u32, script: &str) -> Ran {
    lace.run(&["exec", &format!("shop/db/{index}"), "--", "sh", "-c", script])
}

/// State and snapshots of each volume, by its place.
fn listed(lace: &Lace) -> Vec<(String, bool, Vec<String>)> {
    let all = lace.run(&["volume", "list", "shop/db", "--format", "json"]).ok().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &serde_json::Value| {
        let names = one["snapshots"].as_array().into_iter().flatten().map(|s| text(&s["name"]));
        (text(&one["path"]), !one["node"].is_null(), names.collect())
    };
    all.as_array().expect("a list").iter().map(one).collect()
}

fn image(lace: &Lace, index: u32) -> PathBuf {
    lace.state().join(format!("agent/machine/volumes/shop/db/db/data/{index}.img"))
}

#[test]
fn what_a_volume_holds_stays_whatever_is_done_around_it() {
    if !may_run() {
        return;
    }
    let lace = up(4, DB);
    volume(&lace, &["create", "shop/db", "data", "16MiB"]).ok();
    let again = volume(&lace, &["create", "shop/db", "data", "16MiB"]).ends(8);
    assert!(again.err.contains("has a volume data already"), "{}", again.err);
    for index in [1, 2] {
        in_node(&lace, index, &format!("echo note{index} > /media/data/note")).ok();
    }
    // Its size bites, and only its own node sees it full.
    let full =
        in_node(&lace, 1, "dd if=/dev/zero of=/media/data/big bs=1M count=32 2>&1; rm /media/data/big");
    assert!(full.out.contains("No space left"), "{}", full.out);

    // Detached it is kept, nobody gets it unawares, and it comes back where it was.
    volume(&lace, &["detach", "shop/db/data"]).ok();
    assert_ne!(in_node(&lace, 1, "test -e /media/data/note").status, 0);
    let kept: Vec<_> = listed(&lace).into_iter().map(|(path, used, _)| (path, used)).collect();
    assert_eq!(kept, [("shop/db/db/1".to_owned(), false), ("shop/db/db/2".to_owned(), false)]);
    let unaware = volume(&lace, &["create", "shop/db", "data", "16MiB"]).ends(8);
    assert!(unaware.err.contains("lace volume attach shop/db/data"), "{}", unaware.err);
    volume(&lace, &["detach", "shop/db/data"]).ends(7);
    volume(&lace, &["attach", "shop/db/none"]).ends(7);
    volume(&lace, &["attach", "shop/db/data"]).ok();
    volume(&lace, &["attach", "shop/db/data"]).ends(8);
    for index in [1, 2] {
        assert_eq!(in_node(&lace, index, "cat /media/data/note").ok().out, format!("note{index}\n"));
    }

    // What nobody has goes also while the nodes of its place run.
    volume(&lace, &["create", "shop/db", "scrap", "8MiB", "--at", "/scrap"]).ok();
    volume(&lace, &["delete", "shop/db/scrap"]).ends(8);
    volume(&lace, &["detach", "shop/db/scrap"]).ok();
    volume(&lace, &["delete", "shop/db/scrap"]).ok();
    assert_eq!(listed(&lace).len(), 2);

    // Larger, with what is in it; never smaller.
    volume(&lace, &["resize", "shop/db/data", "48MiB"]).ok();
    in_node(&lace, 1, "dd if=/dev/zero of=/media/data/big bs=1M count=30 && cat /media/data/note").ok();
    let smaller = volume(&lace, &["resize", "shop/db/data", "16MiB"]).ends(2);
    assert!(smaller.err.contains("only grow"), "{}", smaller.err);

    // Kept as it is while its node writes, all of a name or none; put back where no node has it.
    in_node(&lace, 1, "cd /media/data; (while :; do echo x >> count; done) >/dev/null 2>&1 &").ok();
    volume(&lace, &["snapshot", "shop/db/data", "before"]).ok();
    let twice = volume(&lace, &["snapshot", "shop/db/data", "before"]).ends(8);
    assert!(twice.err.contains("has a snapshot before already"), "{}", twice.err);
    assert!(listed(&lace).iter().all(|(_, used, snapshots)| *used && snapshots == &["before"]));
    let was =
        |index| in_node(&lace, index, "wc -l < /media/data/count").out.trim().parse::<u64>().unwrap_or(0);
    let then = was(1);
    eventually("its node goes on writing", || was(1) > then + 1000);
    for index in [1, 2] {
        in_node(&lace, index, "echo later > /media/data/note").ok();
    }
    let used = volume(&lace, &["restore", "shop/db/data", "before"]).ends(8);
    assert!(used.err.contains("is in use") && used.err.contains("lace stop shop/db"), "{}", used.err);
    lace.run(&["stop", "shop/db"]).ok();
    let none = volume(&lace, &["restore", "shop/db/data", "never"]).ends(8);
    assert!(none.err.contains("has no snapshot never"), "{}", none.err);
    volume(&lace, &["restore", "shop/db/data", "before"]).ok();
    let checked = Command::new("e2fsck").args(["-fn"]).arg(image(&lace, 1)).output().expect("e2fsck runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    lace.run(&["start", "shop/db"]).ok();
    for index in [1, 2] {
        assert_eq!(in_node(&lace, index, "cat /media/data/note").ok().out, format!("note{index}\n"));
    }
    assert!(was(1) <= then, "as it was then: {} lines, {then} a moment later", was(1));

    // Gone is gone, snapshots with their volume.
    volume(&lace, &["delete", "shop/db/data", "--snapshot", "before"]).ok();
    volume(&lace, &["delete", "shop/db/data", "--snapshot", "before"]).ends(7);
    volume(&lace, &["snapshot", "shop/db/data", "last"]).ok();
    lace.run(&["stop", "shop/db"]).ok();
    volume(&lace, &["delete", "shop/db/data"]).ok();
    let left = fs::read_dir(image(&lace, 1).parent().expect("a directory")).expect("there").count();
    assert_eq!(left, 0);
}

#[test]
fn volumes_that_are_made_at_once_are_all_kept() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.166.7.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    apply(&lace, DB).ok();
    let names = ["one", "two", "three"];
    std::thread::scope(|scope| {
        for name in names {
            let lace = &lace;
            scope.spawn(move || volume(lace, &["create", "shop/db", name, "8MiB"]));
        }
    });
    let all = names.map(|name| format!("test -d /media/{name}")).join(" && ");
    eventually("all are there", || [1, 2].iter().all(|index| in_node(&lace, *index, &all).status == 0));
}

#[test]
fn an_agent_that_dies_amid_a_snapshot_holds_nobody_up_for_ever() {
    if !may_run() {
        return;
    }
    let lace = up(5, DB);
    volume(&lace, &["create", "shop/db", "data", "16MiB", "--at", "/data"]).ok();
    in_node(&lace, 1, "echo before > /data/note").ok();
    // As it is amid a snapshot: the file system is held by a mount of the host's, which goes with its agent.
    let place = lace.files().join("held");
    fs::create_dir(&place).expect("made");
    let run = |words: &[&str]| {
        let done = Command::new(words[0]).args(&words[1..]).status().expect("runs");
        assert!(done.success(), "{words:?}");
    };
    let (image, place) = (image(&lace, 1), place.to_str().expect("text").to_owned());
    run(&["mount", "-t", "ext4", "-o", "loop", image.to_str().expect("text"), &place]);
    run(&["fsfreeze", "--freeze", &place]);
    run(&["umount", "--lazy", &place]);
    lace.run(&["exec", "shop/db/1", "--", "sh", "-c", "(echo after >> /data/note) >/dev/null 2>&1 &"]).ok();
    assert_eq!(in_node(&lace, 1, "cat /data/note").ok().out, "before\n", "whoever writes waits");
    lace.kill("agent");
    eventually("it goes on", || in_node(&lace, 1, "cat /data/note").out == "before\nafter\n");
    volume(&lace, &["snapshot", "shop/db/data", "whole"]).ok();
    in_node(&lace, 1, "echo more >> /data/note").ok();
}

#[test]
fn volumes_do_not_change_while_scripts_run() {
    if !may_run() {
        return;
    }
    let lace = up(6, "[service.work]\npackage = \"generic\"\n");
    let first = lace.files().join("code");
    fs::create_dir_all(&first).expect("made");
    fs::write(first.join("run.sh"), "exec tail -f /dev/null\n").expect("written");
    let manifest = "[service.work]\npackage = \"generic\"\nsettings = { grace = \"1s\" }\n\
        release = { path = \"./code\", kind = \"generic\" }\n";
    apply(&lace, manifest).ok();
    volume(&lace, &["create", "shop/work", "data", "16MiB"]).ok();
    lace.run(&["service", "action", "shop/work", "run"]).ok();
    for words in [
        &["create", "shop/work", "more", "16MiB"][..],
        &["resize", "shop/work/data", "32MiB"],
        &["detach", "shop/work/data"],
    ] {
        let refused = volume(&lace, words).ends(8);
        assert!(refused.err.contains("run.sh still runs"), "{words:?}: {}", refused.err);
    }
    lace.run(&["service", "action", "shop/work", "interrupt"]).ok();
    eventually("it can change", || volume(&lace, &["detach", "shop/work/data"]).status == 0);
}
