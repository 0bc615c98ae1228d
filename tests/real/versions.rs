//! Services without a manifest; and versions of their code: as archives of every kind, listed, put to use, fetched, deleted, and what is refused.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes the archive NAME of the directory `code`: the word says how.
const ARCHIVES: [(&str, &str); 6] = [
    ("code.tar", "tar -cf ../code.tar ."),
    ("code.tar.gz", "tar -czf ../code.tar.gz ."),
    ("code.tar.bz2", "tar -cjf ../code.tar.bz2 ."),
    ("code.tar.xz", "tar -cJf ../code.tar.xz ."),
    ("code.tar.zst", "tar --zstd -cf ../code.tar.zst ."),
    ("code.zip", "zip -qr ../code.zip ."),
];

/// What no release may hold, and the word by which it is refused.
const HOSTILE: [(&str, &str); 3] = [
    ("tar -cPf ../bad.tar --transform 's,^,../../,' init.sh", "../../init.sh"),
    ("ln -s /etc/passwd out && tar -cf ../bad.tar out && rm out", "out"),
    ("mkfifo pipe && tar -cf ../bad.tar pipe && rm pipe", "pipe"),
];

fn sh(dir: &Path, words: &str) {
    assert!(
        Command::new("sh").args(["-c", words]).current_dir(dir).status().expect("sh").success(),
        "{words}"
    );
}

/// The scripts of a version.
fn code(dir: &Path, version: usize) {
    fs::create_dir_all(dir).expect("made");
    fs::write(dir.join("init.sh"), format!("echo {version} > /root/version\n")).expect("written");
    fs::write(dir.join("run.sh"), "exec tail -f /dev/null\n").expect("written");
}

fn upload(lace: &Lace, file: &str, version: &str) -> Ran {
    let path = lace.files().join(file);
    lace.run(&["release", "upload", "work", path.to_str().expect("text"), "--version", version, "--files"])
}

fn activate(lace: &Lace, version: &str) -> Ran {
    lace.run(&["release", "activate", "shop/work", &format!("work@{version}")])
}

fn runs_version(lace: &Lace, version: usize) -> bool {
    ["master/1", "node/1"].iter().all(|node| {
        let ran = lace.run(&["exec", &format!("shop/work/{node}"), "--", "cat", "/root/version"]);
        ran.out.trim() == version.to_string()
    })
}

#[test]
fn code_of_every_kind_is_put_to_use_and_nothing_cuts_scripts_off() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 1);
    let dir = lace.files().join("code");
    code(&dir, 0);
    let manifest = "[service.work]\npackage = \"generic\"\nsettings = { grace = \"1s\" }\nrollout = { deadline = \"8s\" }\n\
                    release = { path = \"./code\", kind = \"generic\", version = \"0\" }\n\
                    [service.work.family.node]\ncount = 1\n";
    apply(&lace, manifest).ok();
    assert!(runs_version(&lace, 0));

    for (version, (file, words)) in ARCHIVES.iter().enumerate() {
        let version = version + 1;
        code(&dir, version);
        sh(&dir, words);
        upload(&lace, file, &version.to_string()).ok();
        activate(&lace, &version.to_string()).ok();
        assert!(runs_version(&lace, version), "{file}");
    }

    // The newest first, and which one is at work; each can be fetched.
    let listed = lace.run(&["release", "list", "shop/work", "--format", "json"]).ok().json();
    let listed: Vec<(String, bool)> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["version"].as_str().expect("text").to_owned(), one["active"] == true))
        .collect();
    let expected: Vec<_> = (0..=6).rev().map(|n| (n.to_string(), n == 6)).collect();
    assert_eq!(listed, expected);
    let fetched = lace.files().join("fetched");
    lace.run(&["release", "download", "work@2", fetched.to_str().expect("text")]).ok();
    assert_eq!(fs::read_to_string(fetched.join("init.sh")).expect("there"), "echo 2 > /root/version\n");

    // While a script runs nothing replaces its node: no other code, no other setting, no way back.
    let action = |words: &[&str]| lace.run(&[&["service", "action", "shop/work"], words].concat());
    action(&["run"]).ok();
    let refused = [
        activate(&lace, "3"),
        lace.run(&["rollback", "shop/work"]),
        lace.run(&["service", "set", "shop/work", "init_timeout=5m"]),
    ];
    for ran in refused {
        let ran = ran.ends(8);
        for word in ["cannot change now", "2 of its nodes", "run.sh still runs", "shop/work/node/1"] {
            assert!(ran.err.contains(word), "{word}: {}", ran.err);
        }
    }
    let used = lace.run(&["release", "delete", "work@6"]).ends(8);
    assert!(used.err.contains("in use by shop/work"), "{}", used.err);
    assert!(runs_version(&lace, 6));
    lace.run(&["scale", "shop/work/node", "2"]).ok();

    // Whoever is interrupted may be replaced. A code that cannot begin reverts by itself; the way back asks nobody.
    action(&["interrupt"]).ok();
    eventually("it can change", || activate(&lace, "3").status == 0);
    assert!(runs_version(&lace, 3));
    fs::write(dir.join("init.sh"), "exit 7\n").expect("written");
    upload(&lace, "code", "bad").ok();
    let ran = activate(&lace, "bad").ends(3);
    assert!(ran.err.contains("init.sh") || ran.out.contains("init.sh"), "{}{}", ran.out, ran.err);
    eventually("the former one is back", || runs_version(&lace, 3));

    // What is used by nobody goes; what is there keeps its content; what no tree may hold is refused by its name.
    lace.run(&["release", "delete", "work@1"]).ok();
    assert!(!lace.run(&["release", "list", "shop/work"]).ok().out.contains(" 1 "), "it is gone");
    activate(&lace, "1").ends(7);
    let ran = upload(&lace, "code", "2").ends(8);
    assert!(ran.err.contains("with other content"), "{}", ran.err);
    for (words, named) in HOSTILE {
        sh(&dir, words);
        let ran = upload(&lace, "bad.tar", "evil");
        assert!(ran.status != 0 && ran.err.contains(named), "{words}: {}", ran.err);
    }
    activate(&lace, "evil").ends(7);

    // A stopped service changes without being asked, and begins with it.
    lace.run(&["stop", "shop/work"]).ok();
    activate(&lace, "5").ok();
    lace.run(&["start", "shop/work"]).ok();
    eventually("it begins with it", || runs_version(&lace, 5));
}

#[test]
fn services_are_made_and_wired_without_a_manifest() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(156, 3);
    let service = |words: &[&str]| lace.run(&[&["service"], words].concat());
    apply(&lace, "[service.app]\ncommand = [\"sleep\", \"100000\"]\n").ok();
    service(&["create", "shop/cache", "--package", "redis", "--set", "maxmemory=32MiB"]).ok();
    service(&["create", "shop/work", "--package", "generic"]).ok();
    assert!(service(&["create", "shop/work", "--package", "generic"]).ends(8).err.contains("there already"));
    assert!(service(&["create", "shop/x", "--package", "rediss"]).ends(7).err.contains("rediss"));
    assert!(service(&["set", "shop/cache", "maxmemry=1MiB"]).ends(2).err.contains("maxmemory"));
    assert!(service(&["link", "shop/work", "shop/cache"]).ends(2).err.contains("uses no link"));

    service(&["link", "shop/app", "shop/cache", "--name", "store"]).ok();
    let context = |node: &str| {
        let node = format!("shop/{node}/1");
        lace.run(&["exec", &node, "--", "cat", "/run/lace/context.json"]).ok().json()
    };
    assert_eq!(context("app")["links"]["store"]["port"], 6379);
    service(&["set", "shop/work", "grace=3s"]).ok();
    service(&["set", "shop/work", "run_timeout=2h", "--unset", "grace"]).ok();
    let settings = context("work/master")["settings"].clone();
    assert_eq!((settings["run_timeout"].as_u64(), settings["grace"].as_u64()), (Some(7200), Some(10)));
    let shown = service(&["show", "shop/app", "--format", "json"]).ok().json();
    assert_eq!((shown["links"]["store"].as_str(), shown["package"].as_str()), (Some("cache"), None));
    let listed = service(&["list", "shop"]).ok().out;
    assert!(listed.contains("shop/cache") && listed.contains("store = cache"), "{listed}");

    service(&["unlink", "shop/app", "cache"]).ok();
    assert!(context("app")["links"].get("store").is_none(), "{}", context("app"));
    assert!(service(&["unlink", "shop/app", "cache"]).ends(7).err.contains("cache"));
}
