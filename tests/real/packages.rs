//! Services made of packages: what the catalogue holds, at work.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::load::Connection;
use std::fs;
use std::path::Path;

const HOST: &str = "site.shop.localhost";

/// Applies a manifest of the application `shop`.
fn apply(lace: &Lace, services: &str) -> Ran {
    let file = lace.files().join("lace.toml");
    fs::write(&file, format!("[application]\nname = \"shop\"\n{services}")).expect("written");
    lace.run(&["apply", file.to_str().expect("text")])
}

/// Status and text that the door answers.
fn asked(lace: &Lace, path: &str) -> Option<(u16, String)> {
    let (status, body, _) = Connection::open(lace.door()).and_then(|mut c| c.get(HOST, path, "")).ok()?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The manifest of a site; `more` stands in its settings.
fn site(more: &str) -> String {
    format!(
        "[service.site]\npackage = \"web-static\"\nrelease = {{ path = \"./public\", kind = \"generic\" }}\n\
         settings = {{ max_age = \"1h\"{more} }}\nroutes = [{{ port = 8080 }}]\ncount = 2\n"
    )
}

fn public(dir: &Path) {
    fs::create_dir_all(dir.join("public")).expect("made");
    fs::write(dir.join("public/index.html"), "<h1>here</h1>\n").expect("written");
}

#[test]
fn a_site_is_served_and_a_changed_setting_rolls() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(241, 0);
    public(lace.files());

    // All that does not fit the package is said at once, with its line, and nothing is made.
    let wrong =
        site(", falback = true, workers = 9000").replace("count = 2", "[service.site.family.wob]\ncount = 1");
    let ran = apply(&lace, &wrong).ends(2);
    for hint in ["line 6", "falback", "fallback", "9000", "line 8", "wob", "known here: web"] {
        assert!(ran.err.contains(hint), "{hint} is not named:\n{}", ran.err);
    }
    apply(&lace, &site("").replace("web-static", "web-sttic")).ends(2);
    assert!(lace.run(&["release", "list"]).ok().out.lines().count() <= 1, "nothing was uploaded");

    apply(&lace, &site("")).ok();
    eventually("the page is served", || asked(&lace, "/").is_some_and(|(_, text)| text == "<h1>here</h1>\n"));
    assert_eq!(asked(&lace, "/nothing").expect("an answer").0, 404);
    let context = lace.run(&["exec", "shop/site/1", "--", "cat", "/run/lace/context.json"]).ok().json();
    assert_eq!(context["role"], "web");
    assert_eq!(context["settings"]["max_age"], 3600);
    assert_eq!(context["ports"]["http"], 8080);
    assert_eq!(context["roles"]["web"].as_array().map(Vec::len), Some(2));
    let environment = lace.run(&["exec", "shop/site/1", "--", "env"]).ok().out;
    assert!(environment.contains("LACE_SETTING_MAX_AGE=3600\n"), "{environment}");

    // The same again changes nothing; another setting is a new revision and rolls.
    let file = lace.files().join("lace.toml");
    let plan = ["plan", file.to_str().expect("text"), "--exit-code"];
    lace.run(&plan).ok();
    fs::write(&file, format!("[application]\nname = \"shop\"\n{}", site(", fallback = true")))
        .expect("written");
    let ran = lace.run(&plan).ends(11);
    assert!(
        ran.out.contains("settings.fallback: false -> true") && ran.out.contains("rolls 2 nodes"),
        "{}",
        ran.out
    );
    apply(&lace, &site(", fallback = true")).ok();
    eventually("what is not there is the page", || asked(&lace, "/nothing").is_some_and(|(n, _)| n == 200));
    assert!(lace.run(&["history", "shop/site"]).ok().out.lines().count() >= 3);

    // A manifest that is exported makes the same again.
    let exported = lace.run(&["export", "shop"]).ok().out;
    assert!(exported.contains("package = \"web-static\""), "{exported}");
    fs::write(lace.files().join("exported.toml"), exported).expect("written");
    lace.run(&["plan", lace.files().join("exported.toml").to_str().expect("text"), "--exit-code"]).ok();
}

#[test]
fn a_package_of_ones_own_is_pinned_and_held() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(241, 1);
    let dir = lace.files().join("echo");
    lace.run(&["package", "new", "echo", dir.to_str().expect("text")]).ok();
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.echo]\npackage = \"echo\"\n").ok();
    let key = lace.run(&["package", "show", "echo", "--format", "json"]).ok().json();
    let key = format!("echo@{}", key["spec"]["version"].as_str().expect("a version"));
    assert!(lace.run(&["status", "shop"]).ok().out.contains(&key));
    let ran = lace.run(&["package", "delete", &key]).ends(8);
    assert!(ran.err.contains("shop/echo"), "{}", ran.err);
    lace.run(&["delete", "shop", "--yes"]).ok();
    eventually("it goes with its service", || lace.run(&["package", "delete", &key]).status == 0);
}
