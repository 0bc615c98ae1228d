//! The dashboard in a real browser, before a real controller with real nodes. Needs root, chromium and chromedriver.

#[path = "../../crates/dashboard/tests/it/answers.rs"]
mod answers;
mod canary;
mod driver;
mod estate;
#[path = "../real/lace.rs"]
#[allow(dead_code, reason = "the tests of the command line use more of it")]
mod lace;
mod large;
mod packages;
mod pages;
mod people;
mod runtime;
mod story;
mod strangers;

use crate::driver::Browser;
use crate::lace::Lace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Comes in by the link that `lace up` prints.
#[track_caller]
fn log_in(lace: &Lace, browser: &Browser) {
    let token = fs::read_to_string(lace.state().join("login.token")).expect("a login token");
    browser.go(&format!("{}/login?token={}", lace.url(), token.trim()));
    browser.says("Overview");
    browser.until("the page is live", "document.getElementById('live').dataset.state === 'live'");
}

/// A page, live.
#[track_caller]
fn live(lace: &Lace, browser: &Browser, path: &str) {
    browser.go(&format!("{}{path}", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
}

/// A project that says a line and waits; `more` is added to its service.
fn project(lace: &Lace, name: &str, line: &str, more: &str) -> PathBuf {
    let dir = lace.files().join(name);
    fs::create_dir_all(dir.join("bin")).expect("made");
    let run = dir.join("bin/run");
    fs::write(&run, format!("#!/bin/sh\n{line}\nexec sleep 100000\n")).expect("written");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::write(dir.join("Procfile"), "web: bin/run\n").expect("written");
    let text = format!(
        "[application]\nname = \"{name}\"\n\n[service.web]\nrelease = {{ path = \".\" }}\ncpu = 0.1\n\
         memory = \"32MiB\"\nrollout = {{ healthy_for = \"300ms\" }}\n{more}\n"
    );
    fs::write(dir.join("lace.toml"), text).expect("written");
    dir
}

/// The bundle is made by `make`; a desk without it has nothing to test here.
fn may_run() -> bool {
    let bundled =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/dashboard/web/dist/app.js"));
    assert!(
        bundled.exists() || std::env::var_os("CI").is_none(),
        "scripts/bundle.sh makes what these tests need"
    );
    bundled.exists() && lace::may_run()
}

/// Where pictures are kept for people to look at.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("pictures")
}
