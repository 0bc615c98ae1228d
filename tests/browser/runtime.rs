//! Erlang nodes in the browser: who holds the distributed application, what a runtime says of itself, its shell.

use crate::driver::Browser;
use crate::lace::{Lace, eventually};
use crate::pages::look_at;
use crate::{live, log_in, may_run};
use std::process::Command;

/// The example of a distributed application, as a project of its own.
fn ball(lace: &Lace) -> String {
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ball");
    let to = lace.files().join("ball");
    assert!(Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp").success());
    let _ = std::fs::remove_dir_all(to.join("_build"));
    to.display().to_string()
}

#[test]
fn a_distributed_application_is_seen_and_moved() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.3.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    lace.run(&["deploy", "ball", &ball(&lace)]).ok();
    let browser = Browser::start();
    log_in(&lace, &browser);
    live(&lace, &browser, "/apps/ball/ball/ball");
    let holder = |index: u32| {
        let rows = "[...document.querySelectorAll('#nodes tbody tr')].filter(r => r.innerText.includes('holds ball'))";
        format!("(rows => rows.length === 1 && rows[0].cells[0].innerText === '{index}')({rows})")
    };
    browser.until("the first node holds it", &holder(1));
    assert_eq!(browser.js("return document.getElementById('release-hot').type"), "checkbox");
    browser.js("document.getElementById('failover-to').value = '2'");
    browser.click("#failover button");
    browser.click("#confirm button[value=yes]");
    browser.until("it has moved", &holder(2));
    look_at(&lace, &browser, "/apps/ball/ball/ball");
    browser.resize(1280, 900, false);

    live(&lace, &browser, "/apps/ball/ball/ball/2");
    browser.until("its page says so, too", "document.querySelector('h1 .tag')?.innerText === 'holds ball'");
    browser
        .until("its figures are there", "document.querySelectorAll('#runtime table tbody tr').length > 10");
    browser.until(
        "its charts move",
        "[...document.querySelectorAll('[data-figures=runtime] figure')].filter(f => f.dataset.points > 1).length === 4",
    );
    browser.click("#top form button");
    browser.until("its processes are ranked", "document.querySelectorAll('#top-of tbody tr').length > 5");
    let ranked = browser.js(
        "return [...document.querySelectorAll('#top-of tbody tr')].map(r => r.cells[1].innerText).join(' ')",
    );
    assert!(ranked.as_str().is_some_and(|names| names.contains("code_server")), "{ranked}");
    browser.click("#beam-shell button");
    browser.until(
        "its shell opens",
        "document.querySelector('#beam-shell .says')?.innerText.startsWith('Connected')",
    );
    browser.keys("{6*7, node()}.\u{e007}");
    browser.until(
        "it answers",
        "document.querySelector('#beam-shell .xterm-rows')?.innerText.includes('{42,\\'ball@ball-2')",
    );
    look_at(&lace, &browser, "/apps/ball/ball/ball/2");
    lace.down_and_nothing_left();
}

/// Two versions of a release, the second with a way from the first.
fn counters(lace: &Lace) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hot/build.escript");
    let place = |version: &str| lace.files().join(version);
    for (version, former) in [("1.0.0", None), ("2.0.0", Some(place("1.0.0")))] {
        let made = Command::new("escript").arg(script).arg(version).arg(place(version)).args(former).output();
        let made = made.expect("escript");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let dir = place(version).display().to_string();
        lace.run(&["release", "upload", "counter", &dir, "--version", version]).ok();
    }
    let dir = lace.files().join("count");
    std::fs::create_dir(&dir).expect("made");
    let text = "[application]\nname = \"count\"\n[service.count]\nrelease = \"counter@1.0.0\"\ncount = 2\ncpu = 0.25\n\
                memory = \"256MiB\"\nbeam = { net_ticktime = 9, applications = [\"counter\"] }\n\
                rollout = { healthy_for = \"500ms\" }\n";
    std::fs::write(dir.join("lace.toml"), text).expect("written");
    lace.run(&["deploy", "count", &dir.display().to_string()]).ok();
}

#[test]
fn a_release_is_rolled_out_hot() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.8.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    counters(&lace);
    // Version, number, process: as the running counter says.
    let value = || {
        let mut said = serde_json::Value::Null;
        eventually("it answers", || {
            let ran = lace.run(&["beam", "rpc", "count/count/1", "counter", "value", "--format", "json"]);
            said = if ran.status == 0 { ran.json()["value"].clone() } else { serde_json::Value::Null };
            !said.is_null()
        });
        said
    };
    lace.run(&["beam", "rpc", "count/count/1", "counter", "bump"]).ok();
    let before = value();
    let browser = Browser::start();
    log_in(&lace, &browser);
    live(&lace, &browser, "/apps/count/count/count");
    browser.js("document.getElementById('release-name').value = 'counter@2.0.0'");
    browser.click("#release-hot");
    browser.click("#release form button");
    browser.until(
        "both nodes run it",
        "document.querySelectorAll('.figures dd')[1].innerText === 'counter@2.0.0' \
         && [...document.querySelectorAll('#nodes tbody tr')].filter(r => r.cells[5].innerText === '2').length === 2",
    );
    browser.until("it is done", "document.querySelector('#rollout .state').innerText === 'done'");
    let after = value();
    assert_eq!(after[0], "2.0.0", "{after}");
    assert_eq!(
        (&after[1], &after[2]),
        (&before[1], &before[2]),
        "the same process, with what it had counted"
    );
    lace.down_and_nothing_left();
}
