//! What a person does wrong: a clear error each, and nothing changed.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::fs;

#[test]
fn mistakes_are_told_and_change_nothing() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(213);
    let dir = lace.files().join("bad");
    fs::create_dir_all(&dir).expect("made");
    let text = "[application]\nname = \"Bad Name\"\n\n[service.web]\ncont = 3\ncommand = [\"sleep\", \"9\"]\n\
                memory = \"lots\"\ncheck = { htp = \":80/\" }\nfirewall = [\"tcp:99999\"]\n";
    fs::write(dir.join("lace.toml"), text).expect("written");
    let file = dir.join("lace.toml");
    let ran = lace.run(&["apply", file.to_str().expect("text")]).ends(2);
    for hint in ["count", "Bad Name", "lots", "htp", "99999"] {
        assert!(ran.err.contains(hint), "{hint} is not named:\n{}", ran.err);
    }
    assert_eq!(
        lace.run(&["app", "list", "--format", "json"]).ok().json().as_array().expect("a list").len(),
        0
    );

    lace.run(&["exec", "shop/web/9", "--", "true"]).ends(125);
    lace.run(&["status", "nothing"]).ends(7);
    lace.run(&["scale", "nothing/web", "3"]).ends(7);
    let huge = project(&lace, "huge", "true", "");
    let text = fs::read_to_string(huge.join("lace.toml")).expect("read").replace("32MiB", "9000GiB");
    fs::write(huge.join("lace.toml"), text).expect("written");
    let ran = lace.run(&["deploy", "huge", huge.to_str().expect("text")]).ends(5);
    assert!(ran.err.contains("memory"), "{}", ran.err);
}

#[test]
fn a_bad_version_reverts_and_says_why() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(214);
    let dir = project(&lace, "shop", "echo good", "count = 2");
    let path = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", path]).ok();
    let run = dir.join("bin/run");
    fs::write(&run, "#!/bin/sh\necho no scoreboard configured >&2\nexit 9\n").expect("written");
    let ran = lace.run(&["deploy", "shop", path]).ends(3);
    assert!(
        ran.err.contains("no scoreboard configured") || ran.out.contains("no scoreboard configured"),
        "{}",
        ran.err
    );
    assert_eq!(lace.ready("shop"), 2);
    assert!(lace.run(&["history", "shop/web"]).ok().out.contains("exit status 9"));
    lace.run(&["rollback", "shop/web", "--to", "1"]).ok();
    eventually("healthy", || lace.run(&["wait", "shop", "--for", "healthy", "--timeout", "30s"]).status == 0);
}
