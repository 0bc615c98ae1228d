//! The daily work on generic nodes.

use crate::lace::{Lace, eventually, may_run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A project whose process waits; `line` is what it says first, `manifest` what is added to its service.
pub fn project(lace: &Lace, name: &str, line: &str, manifest: &str) -> PathBuf {
    let dir = lace.files().join(name);
    fs::create_dir_all(dir.join("bin")).expect("made");
    let run = dir.join("bin/run");
    fs::write(&run, format!("#!/bin/sh\n{line}\nexec sleep 100000\n")).expect("written");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::write(dir.join("Procfile"), "web: bin/run\n").expect("written");
    let text = format!(
        "[application]\nname = \"{name}\"\n\n[service.web]\nrelease = {{ path = \".\" }}\ncpu = 0.1\n\
         memory = \"32MiB\"\nrollout = {{ healthy_for = \"500ms\" }}\n{manifest}\n"
    );
    fs::write(dir.join("lace.toml"), text).expect("written");
    dir
}

#[test]
fn a_day_with_generic_nodes() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(211);
    let dir = project(&lace, "shop", "echo hello from $(hostname)", "count = 2\nenv = { COLOUR = \"red\" }");
    let dir = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", dir]).ok();
    assert_eq!(lace.ready("shop"), 2);

    let said = lace.run(&["exec", "shop", "--", "sh", "-c", "echo $COLOUR on $(hostname)"]).ok();
    assert!(said.out.contains("red on web-1") && said.out.contains("red on web-2"), "{}", said.out);
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", "exit 7"]).ends(7);
    let said = lace.run(&["exec", "shop", "--", "echo", "{{self}} of {{all}}"]).ok();
    assert!(said.out.contains("web-1.web.shop.lace.internal"), "{}", said.out);
    let said =
        lace.run(&["exec", "shop/web/1", "--", "getent", "hosts", "web-2.web.shop.lace.internal"]).ok();
    assert!(said.out.contains("10.211.0.3"), "{}", said.out);
    assert!(lace.run(&["logs", "shop/web/2"]).ok().out.contains("hello from web-2"));

    let file = lace.files().join("note");
    fs::write(&file, "a note").expect("written");
    let file = file.to_str().expect("text");
    lace.run(&["cp", file, "shop/web/1:/tmp/note"]).ok();
    assert!(lace.run(&["exec", "shop/web/1", "--", "cat", "/tmp/note"]).ok().out.contains("a note"));

    lace.run(&["scale", "shop/web", "4"]).ok();
    assert_eq!(lace.ready("shop"), 4);
    lace.run(&["scale", "shop/web", "-3"]).ok();
    assert_eq!(lace.ready("shop"), 1);
    assert!(!lace.status("shop")["apps"][0]["families"][0]["drift"].as_array().expect("a list").is_empty());
    lace.run(&["plan", dir, "--exit-code"]).ends(11);

    lace.run(&["stop", "shop"]).ok();
    lace.run(&["start", "shop"]).ok();
    eventually("started again", || lace.ready("shop") == 1);
    lace.run(&["events"]).ok();
    lace.run(&["audit", "--verify"]).ok();
    lace.run(&["delete", "shop", "--yes"]).ok();
    lace.run(&["status", "shop"]).ends(7);
    lace.down_and_nothing_left();
}

#[test]
fn jobs_and_secrets() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(212);
    let manifest = "secrets = [\"PASSWORD\"]\nbefore = [[\"sh\", \"-c\", \"echo migrated\"]]";
    let dir = project(&lace, "shop", "echo started", manifest);
    let dir = dir.to_str().expect("text");
    lace.run(&["app", "create", "shop"]).ok();
    lace.run_with(&["secret", "set", "shop", "PASSWORD"], "first-hunter2").ok();
    lace.run(&["deploy", "shop", dir]).ok();
    let said = lace.run(&["exec", "shop", "--", "sh", "-c", "echo it is $PASSWORD"]).ok();
    assert!(said.out.contains("it is first-hunter2"), "{}", said.out);
    assert!(lace.run(&["job", "list"]).ok().out.contains("done"));
    lace.run_with(&["secret", "set", "shop", "PASSWORD"], "second-hunter2").ok();
    eventually("a new secret rolls the nodes", || {
        lace.run(&["exec", "shop", "--", "sh", "-c", "echo it is $PASSWORD"])
            .out
            .contains("it is second-hunter2")
    });
    let ran = lace.run(&["run", "shop/web", "--", "sh", "-c", "echo out; exit 3"]).ends(3);
    assert!(ran.out.contains("out"), "{}", ran.out);
    let found = std::process::Command::new("grep")
        .args(["-rla", "hunter2"])
        .arg(lace.state().join("server"))
        .output()
        .expect("grep");
    assert!(
        found.stdout.is_empty(),
        "a secret lies in the clear: {}",
        String::from_utf8_lossy(&found.stdout)
    );
}
