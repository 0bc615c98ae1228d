//! An application with its data: from one installation to another, whole or not at all; and under another name.

use crate::daily::project;
use crate::lace::{Lace, Ran, eventually, may_run};
use std::fs;
use std::path::Path;

const VOLUMES: &str = "count = 2\nsecrets = [\"PASSWORD\"]\n\
    volumes = [{ name = \"data\", size = \"16MiB\", at = \"/data\" }]";
/// What a program may leave: names, modes, owners, links, holes.
const WRITE: &str = "cd /data && mkdir -p 'a b/ö' && echo here > 'a b/ö/file' && ln -s 'a b' link && ln 'a b/ö/file' hard \
    && chown 33:44 hard && chmod 0640 hard && truncate -s 3M hole && echo end >> hole && mkfifo pipe \
    && chmod 1770 /data && hostname > name";
const READ: &str = "cd /data && find . -not -name lost+found -printf '%p %y %m %U:%G %s %l\\n' | sort \
    && find . -type f | sort | xargs -d '\\n' sha256sum && cat name";

fn read(lace: &Lace, node: &str) -> String {
    lace.run(&["exec", node, "--", "sh", "-c", READ]).ok().out
}

/// Exports to a file.
fn export(lace: &Lace, app: &str, to: &Path) -> Ran {
    let line = format!("exec \"$0\" export {app} --with-data > '{}'", to.display());
    lace.shell(&line)
}

#[test]
fn an_application_moves_with_its_releases_and_volumes() {
    if !may_run() {
        return;
    }
    let old = Lace::up_in(188, 0);
    let dir = project(&old, "shop", "echo up", VOLUMES);
    let path = dir.to_str().expect("text");
    old.run(&["app", "create", "shop"]).ok();
    old.run_with(&["secret", "set", "shop", "PASSWORD"], "hunter2").ok();
    old.run(&["deploy", "shop", path]).ok();
    for node in ["shop/web/1", "shop/web/2"] {
        old.run(&["exec", node, "--", "sh", "-c", WRITE]).ok();
    }
    let before = [read(&old, "shop/web/1"), read(&old, "shop/web/2")];
    let file = old.files().join("shop.lace");
    let ran = export(&old, "shop", &file).ok();
    assert!(ran.err.contains("volumes 2") && ran.err.contains("shop runs"), "{}", ran.err);
    old.run(&["stop", "shop"]).ok();
    let still = old.files().join("still.lace");
    let ran = export(&old, "shop", &still).ok();
    assert!(!ran.err.contains("shop runs"), "{}", ran.err);
    let bytes = fs::read(&still).expect("read");
    assert!(!bytes.windows(7).any(|some| some == b"hunter2"), "a secret is in the archive");
    old.down_and_nothing_left();

    let new = Lace::up_in(188, 1);
    let at = |name: &str, bytes: &[u8]| {
        let path = new.files().join(name);
        fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    // Cut off, or with one byte changed: nothing is made of it.
    let mut bent = bytes.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    for wrong in [at("short", &bytes[..bytes.len() * 2 / 3]), at("bent", &bent)] {
        let ran = new.run(&["apply", &wrong]).ends(1);
        assert!(ran.err.contains("is not whole"), "{}", ran.err);
    }
    let whole = at("whole", &bytes);
    // What it needs and does not bring is said before any volume is made.
    let ran = new.run(&["apply", &whole]).ends(7);
    assert!(ran.err.contains("lace secret set shop PASSWORD"), "{}", ran.err);
    let nothing = |what: &[&str]| new.run(what).ok().json().as_array().is_some_and(Vec::is_empty);
    assert!(
        nothing(&["app", "list", "--format", "json"]) && nothing(&["volume", "list", "--format", "json"])
    );
    new.run(&["app", "create", "shop"]).ok();
    new.run_with(&["secret", "set", "shop", "PASSWORD"], "hunter3").ok();
    new.run(&["apply", &whole]).ok();
    assert_eq!(new.ready("shop"), 2);
    assert_eq!([read(&new, "shop/web/1"), read(&new, "shop/web/2")], before);
    let df = new.run(&["exec", "shop/web/1", "--", "df", "--output=target", "/data"]).ok().out;
    assert!(df.contains("/data"), "a file system of its own: {df}");
    let ran = new.run(&["apply", &whole]).ends(8);
    assert!(ran.err.contains("is there already"), "{}", ran.err);
    new.down_and_nothing_left();
}

#[test]
fn an_application_takes_another_name_with_all_that_it_has() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(188, 2);
    let dir = project(&lace, "shop", "echo up", VOLUMES);
    lace.run(&["app", "create", "shop"]).ok();
    lace.run_with(&["secret", "set", "shop", "PASSWORD"], "one").ok();
    lace.run_with(&["secret", "set", "shop", "PASSWORD"], "two").ok();
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", WRITE]).ok();
    let before = read(&lace, "shop/web/1");
    let ran = lace.run(&["app", "rename", "shop", "store"]).ends(8);
    assert!(ran.err.contains("--restart"), "{}", ran.err);
    lace.run(&["app", "create", "taken"]).ok();
    lace.run(&["app", "rename", "shop", "taken", "--restart", "--yes"]).ends(8);
    lace.run(&["app", "rename", "shop", "shop"]).ends(2);
    assert_eq!(lace.ready("shop"), 2, "what is refused stops nothing");
    lace.run(&["app", "rename", "shop", "store", "--restart", "--yes"]).ok();
    assert_eq!(lace.ready("store"), 2);
    assert_eq!(read(&lace, "store/web/1"), before);
    let said = lace.run(&["exec", "store/web/1", "--", "sh", "-c", "echo $PASSWORD $(hostname -f)"]).ok().out;
    assert!(said.contains("two"), "{said}");
    let found = lace.run(&["exec", "store/web/1", "--", "getent", "hosts", "web-2.web.store.lace.internal"]);
    found.ok();
    eventually("the old name is nobody's", || lace.run(&["status", "shop"]).status == 7);
    assert!(lace.run(&["history", "store/web"]).ok().out.contains("active"));
    lace.run_with(&["secret", "set", "store", "PASSWORD"], "three").ok();
    eventually("its secrets go on", || {
        lace.run(&["exec", "store/web/1", "--", "sh", "-c", "echo $PASSWORD"]).out.contains("three")
    });
    lace.run(&["delete", "store", "--yes", "--delete-data"]).ok();
    lace.down_and_nothing_left();
}

/// Two files that are written one after the other, with much between them for whoever reads them one after the other.
const TICKS: &str = "head -c 24000000 /dev/urandom > /data/m; n=0; while :; do n=$((n+1)); echo $n > /data/t; mv /data/t /data/a; echo $n > /data/t; mv /data/t /data/z; done";

#[test]
fn what_runs_is_carried_as_it_was_at_one_moment() {
    if !may_run() {
        return;
    }
    let old = Lace::within("10.163.7.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    old.start();
    let dir =
        project(&old, "shop", TICKS, "volumes = [{ name = \"data\", size = \"64MiB\", at = \"/data\" }]");
    old.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let count = || {
        let out = old.run(&["exec", "shop/web/1", "--", "cat", "/data/z"]).out;
        out.trim().parse::<u64>().unwrap_or_default()
    };
    eventually("it counts", || count() > 100);
    let file = old.files().join("shop.lace");
    let ran = export(&old, "shop", &file).ok();
    assert!(ran.err.contains("at one moment"), "{}", ran.err);
    let after = count();
    eventually("it goes on", || count() > after + 100);
    let there = old.shell(&format!(
        "find '{}' -name '*reading*' -o -name '*.moment*'; grep -c reading- /proc/mounts",
        old.state().display()
    ));
    assert_eq!(there.out.trim(), "0", "nothing of it is left");
    let number = |name: &str| {
        let line = format!("tar -xOf '{}' --wildcards 'volumes/*' | tar -xOf - ./{name}", file.display());
        old.shell(&line).ok().out.trim().parse::<u64>().expect("a number")
    };
    let (a, z) = (number("a"), number("z"));
    assert!(a == z || a == z + 1, "{a} and {z} are of two moments");
    old.down_and_nothing_left();
}
