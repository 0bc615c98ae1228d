//! The verbs of packages beside start and stop: backup, restore, upgrade, metrics; and what an action is told in secret.

use crate::lace::{Lace, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A package that keeps one file in a volume. `more` are further scripts with their verbs.
pub fn keeper(dir: &Path, name: &str, version: &str, more: &[(&str, &str)]) {
    fs::create_dir_all(dir.join("scripts")).expect("made");
    let scripts = [
        ("start", "#!/bin/sh\nexec sleep 100000\n"),
        ("check", "#!/bin/sh\ntest -d /data\n"),
        (
            "backup",
            "#!/bin/sh\nset -eu\n[ ! -e /tmp/fail ] || { head -c 3000000 /dev/urandom; echo 'the disk is on fire' >&2; exit 3; }\n\
             [ ! -e /tmp/slow ] || { echo some; sleep 1000; }\n[ ! -e /data/value ] || cat /data/value\n",
        ),
        (
            "restore",
            "#!/bin/sh\nset -eu\n[ ! -e /tmp/fail ] || { echo 'no room for it' >&2; exit 4; }\n\
             cat > /data/value.new\nmv /data/value.new /data/value\necho \"$LACE_BACKUP_VERSION\" > /data/from\n",
        ),
        (
            "metrics",
            "#!/bin/sh\necho \"values $(wc -c < /data/value 2>/dev/null || echo 0)\"\necho 'odd{kind=\"x\"} 2'\n",
        ),
        (
            "tell",
            "#!/bin/sh\nprintf %s \"$LACE_PARAMETER_WORD\" | sha256sum > /data/told\necho \"it is $LACE_PARAMETER_WORD\"\n",
        ),
    ];
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"{version}\"\n[role.one]\n[role.other]\ncount = 0\n[volume.data]\n\
         size = \"64MiB\"\nat = \"/data\"\n[metrics]\nscript = \"scripts/metrics.sh\"\n[metric.values]\nhelp = \"bytes that \
         are kept\"\nunit = \"bytes\"\n[action.tell]\nscript = \"scripts/tell.sh\"\nhelp = \"hears a word\"\nroles = [\"one\"]\n\
         [action.tell.parameter.word]\nsecret = true\nhelp = \"the word\"\n[script]\n"
    );
    for (verb, _) in scripts.iter().filter(|(verb, _)| !["metrics", "tell"].contains(verb)).chain(more) {
        match *verb {
            "backup" | "restore" => text.push_str(&format!(
                "{verb} = {{ file = \"scripts/{verb}.sh\", timeout = \"30s\", roles = [\"one\"] }}\n"
            )),
            verb => text.push_str(&format!("{verb} = \"scripts/{verb}.sh\"\n")),
        }
    }
    fs::write(dir.join("package.toml"), text).expect("written");
    for (verb, script) in scripts.iter().chain(more) {
        let path = dir.join(format!("scripts/{verb}.sh"));
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

fn upload(lace: &Lace, name: &str, version: &str, more: &[(&str, &str)]) {
    let dir = lace.files().join(format!("{name}-{version}"));
    keeper(&dir, name, version, more);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
}

fn inside(lace: &Lace, words: &str) -> String {
    lace.run(&["exec", "shop/db/one/1", "--", "sh", "-c", words]).ok().out.trim().to_owned()
}

fn backups(lace: &Lace) -> Vec<String> {
    let list = lace.run(&["backup", "list", "shop/db", "--format", "json"]).ok().json();
    list.as_array().expect("a list").iter().map(|b| b["id"].as_str().expect("an id").to_owned()).collect()
}

const SERVICE: &str = "[service.db]\npackage = \"keeper\"\n";

#[test]
fn what_a_service_holds_is_copied_and_comes_back_whole_or_not_at_all() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.163.0.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    upload(&lace, "keeper", "1", &[]);
    apply(&lace, SERVICE).ok();
    // Nothing at all is no copy.
    let ran = lace.run(&["service", "backup", "shop/db"]).ends(1);
    assert!(ran.err.contains("wrote nothing"), "{}", ran.err);
    // More than some chunks and pipes hold, and no whole number of them.
    let sum = inside(&lace, "head -c 9000001 /dev/urandom > /data/value; sha256sum < /data/value");
    let ran = lace.run(&["service", "backup", "shop/db"]).ok();
    assert!(ran.out.contains("8.6 MiB") && ran.out.contains("shop/db/one/1"), "{}", ran.out);
    let [id] = backups(&lace).try_into().expect("one backup");
    let file = lace.files().join("copy");
    let path = file.to_str().expect("text");
    lace.run(&["backup", "download", &id, path]).ok();
    assert_eq!(lace.shell(&format!("sha256sum < '{path}'")).ok().out.trim(), sum);
    lace.run(&["backup", "download", &id, path]).ends(1);

    // One that fails, is cancelled, or loses its controller is none, and says why.
    inside(&lace, "touch /tmp/fail");
    let ran = lace.run(&["service", "backup", "shop/db"]).ends(1);
    assert!(ran.err.contains("the disk is on fire") && ran.err.contains("ended with 3"), "{}", ran.err);
    let ran = lace.run(&["service", "restore", "shop/db", "latest", "--yes"]).ends(1);
    assert!(ran.err.contains("no room for it"), "{}", ran.err);
    inside(&lace, "rm /tmp/fail; touch /tmp/slow");
    let running = || {
        let ops = lace.run(&["op", "list", "--format", "json"]).ok().json();
        let ops = ops.as_array().cloned().unwrap_or_default();
        let found = ops.into_iter().find(|op| op["state"] == "running" && op["verb"] == "backup");
        found.map(|op| op["id"].as_str().expect("an id").to_owned())
    };
    lace.run(&["service", "backup", "shop/db", "--timeout", "1s"]).ends(4);
    let ran = lace.run(&["service", "backup", "shop/db"]).ends(8);
    assert!(ran.err.contains("is under way"), "{}", ran.err);
    lace.run(&["op", "cancel", &running().expect("one runs")]).ok();
    eventually("its script is gone", || inside(&lace, "pgrep -f '[b]ackup.sh' || echo none") == "none");
    lace.run(&["service", "backup", "shop/db", "--timeout", "1s"]).ends(4);
    let lost = running().expect("one runs");
    lace.kill("server");
    eventually("another controller gives it up", || {
        let ran = lace.run(&["op", "show", &lost]);
        ran.out.contains("the controller was stopped meanwhile")
    });
    eventually("its agent is back", || {
        lace.run(&["exec", "shop/db/one/1", "--", "rm", "-f", "/tmp/slow"]).status == 0
    });
    assert_eq!(backups(&lace), [id.as_str()]);

    // What does not fit is refused before anything is touched.
    upload(&lace, "other", "1", &[]);
    let ran = apply(
        &lace,
        &format!(
            "{SERVICE}[service.two]\npackage = \"other\"\n[service.none]\ncommand = [\"sleep\", \"9999\"]\n"
        ),
    );
    ran.ok();
    let ran = lace.run(&["service", "restore", "shop/two", &id, "--yes"]).ends(8);
    assert!(ran.err.contains("written by package keeper"), "{}", ran.err);
    let ran = lace.run(&["service", "backup", "shop/none"]).ends(8);
    assert!(ran.err.contains("lace volume snapshot"), "{}", ran.err);
    // Without a yes nothing is replaced; with it all of it is.
    lace.run(&["service", "restore", "shop/db", "latest"]).ends(2);
    inside(&lace, "echo worse > /data/value");
    let ran = lace.run(&["service", "restore", "shop/db", "latest", "--yes"]).ok();
    assert!(ran.out.contains(&id), "{}", ran.out);
    assert_eq!(inside(&lace, "sha256sum < /data/value"), sum);
    assert_eq!(inside(&lace, "cat /data/from; ls /var/tmp"), "1");

    // It outlives its service, and fits another one of the same package.
    lace.run(&["delete", "shop/db", "--yes", "--delete-data"]).ok();
    apply(&lace, "[service.new]\npackage = \"keeper\"\n").ok();
    lace.run(&["service", "restore", "shop/new", &id, "--yes"]).ok();
    let there = lace.run(&["exec", "shop/new/one/1", "--", "sh", "-c", "sha256sum < /data/value"]).ok();
    assert_eq!(there.out.trim(), sum);
    lace.run(&["backup", "delete", &id, "--yes"]).ok();
    lace.run(&["backup", "delete", &id, "--yes"]).ends(7);

    // Its figures: those that the package names.
    eventually("the figures are there", || {
        let said = lace.run(&["metrics", "shop/new"]).ok().out;
        said.contains("values") && said.contains("8.6 MiB") && !said.contains("odd")
    });
    let token = lace.run(&["token", "create", "watcher", "--role", "viewer"]).ok().out;
    let token = token.split_whitespace().find(|word| word.starts_with("lace_")).expect("a token").to_owned();
    let text =
        lace.shell(&format!("curl -sf -H 'Authorization: Bearer {token}' {}/metrics", lace.url())).ok().out;
    assert!(text.contains("lace_package_values{node=\"shop/new/one/1\"} 9000001"), "{text}");
    lace.down_and_nothing_left();
}

#[test]
fn another_version_upgrades_the_data_of_each_node_or_the_roll_stops_and_says_why() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.163.1.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let manifest = |version: &str| {
        format!("[service.db]\npackage = \"keeper@{version}\"\n[service.db.family.one]\ncount = 2\n")
    };
    upload(&lace, "keeper", "1", &[]);
    apply(&lace, &manifest("1")).ok();
    let log = |node: u32| {
        let words = "cat /data/log 2>/dev/null; cat /data/.lace-version";
        lace.run(&["exec", &format!("shop/db/one/{node}"), "--", "sh", "-c", words])
            .ok()
            .out
            .replace('\n', " ")
    };
    assert_eq!([log(1), log(2)].map(|l| l.trim().to_owned()), ["1", "1"]);

    // Once for each node, before its first start with the new version.
    let good = "#!/bin/sh\nset -eu\necho \"from-$LACE_FROM_VERSION-$LACE_VERB\" >> /data/log\n";
    upload(&lace, "keeper", "2", &[("upgrade", good)]);
    apply(&lace, &manifest("2")).ok();
    lace.run(&["restart", "shop/db/one"]).ok();
    for node in [1, 2] {
        assert_eq!(log(node).trim(), "from-1-upgrade 2", "once, whatever starts follow");
    }

    // One that fails stops the roll at its first node; the other one never sees it, and the first goes on as it was.
    let bad = "#!/bin/sh\necho 'the old files have a form that nobody knows' >&2\nexit 7\n";
    upload(&lace, "keeper", "3", &[("upgrade", bad)]);
    let ran = apply(&lace, &manifest("3")).ends(3);
    assert!(ran.err.contains("a form that nobody knows"), "{}", ran.err);
    lace.run(&["wait", "shop", "--for", "healthy", "--timeout", "60s"]).ok();
    for node in [1, 2] {
        assert_eq!(log(node).trim(), "from-1-upgrade 2", "it is as it was");
    }
    // A copy of another version's is taken only where that is meant.
    lace.run(&["exec", "shop/db/one/1", "--", "sh", "-c", "echo here > /data/value"]).ok();
    lace.run(&["service", "backup", "shop/db"]).ok();
    upload(&lace, "keeper", "4", &[]);
    apply(&lace, &manifest("4")).ok();
    let ran = lace.run(&["service", "restore", "shop/db", "latest", "--yes"]).ends(8);
    assert!(ran.err.contains("written by version 2") && ran.err.contains("--other-version"), "{}", ran.err);
    lace.run(&["service", "restore", "shop/db", "latest", "--other-version", "--yes"]).ok();
    lace.run(&["delete", "shop", "--yes", "--delete-data"]).ok();
    lace.down_and_nothing_left();
}

#[test]
fn what_an_action_is_told_in_secret_stands_nowhere() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.163.2.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    upload(&lace, "keeper", "1", &[]);
    apply(&lace, SERVICE).ok();
    let word = "hush-7f3c9a1e-nobody";
    let action = ["service", "action", "shop/db", "tell"];
    let parameter = format!("word={word}");
    // It comes to the script; what that says of it is not passed on.
    let ran = lace.run(&[&action[..], &[&parameter]].concat()).ok();
    assert!(ran.out.contains("it is ***") && !ran.out.contains(word), "{}", ran.out);
    let sum = lace.shell(&format!("printf %s '{word}' | sha256sum")).ok().out;
    assert_eq!(inside(&lace, "cat /data/told"), sum.trim());
    // What is wrong is not repeated either.
    let long = format!("word={}", word.repeat(80));
    let ran = lace.run(&[&action[..], &[&long]].concat()).ends(2);
    assert!(!ran.err.contains(word), "{}", ran.err);
    let said = lace.run(&["package", "show", "keeper"]).ok().out;
    assert!(said.contains("secret"), "{said}");
    for words in
        [&["events"][..], &["audit"], &["op", "list"], &["secret", "list", "shop"], &["export", "shop"]]
    {
        let ran = lace.run(&[words, &["--format", "json"]].concat());
        assert!(!ran.out.contains(word) && !ran.out.contains("LACE_TASK_"), "{words:?}: {}", ran.out);
    }
    // All that controller and agent ever wrote: nowhere in the clear. (The node's own volume holds its digest.)
    let state = lace.state().display().to_string();
    let looked = |what: &str| lace.shell(&format!("grep -rlaF '{what}' '{state}' | head"));
    assert!(looked("shop/db").out.lines().count() > 0, "it is looked for where things are");
    let found = looked(word).out;
    assert!(found.trim().is_empty(), "{found}");
    lace.down_and_nothing_left();
}

#[test]
fn an_export_brings_its_packages_with_it() {
    if !may_run() {
        return;
    }
    let old = Lace::within("10.163.3.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    old.start();
    upload(&old, "keeper", "1", &[]);
    apply(&old, SERVICE).ok();
    // The newest of the name is another one by now; what runs is what is carried.
    upload(&old, "keeper", "2", &[("upgrade", "#!/bin/sh\nexit 1\n")]);
    inside(&old, "echo here > /data/value");
    let at = |kind: &str| old.files().join(format!("shop.{kind}"));
    for kind in ["code", "data"] {
        let line = format!("exec \"$0\" export shop --with-{kind} > '{}'", at(kind).display());
        let ran = old.shell(&line).ok();
        assert!(ran.err.contains("packages 1"), "{}", ran.err);
    }
    let archives = ["code", "data"].map(|kind| fs::read(at(kind)).expect("read"));
    old.down_and_nothing_left();
    for (number, bytes) in archives.iter().enumerate() {
        let new = Lace::within(&format!("10.163.{}.0/24", 5 + number), Path::new(env!("CARGO_BIN_EXE_lace")));
        new.start();
        let file = new.files().join("shop.lace");
        fs::write(&file, bytes).expect("written");
        new.run(&["apply", file.to_str().expect("text")]).ok();
        assert!(new.run(&["status", "shop"]).ok().out.contains("keeper@1"));
        let value = inside(&new, "cat /data/value 2>/dev/null || echo nothing");
        assert_eq!(value, ["nothing", "here"][number]);
        new.down_and_nothing_left();
    }
}
