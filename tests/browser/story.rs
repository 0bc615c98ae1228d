//! The whole story, as someone who only has a browser lives it.

use crate::driver::Browser;
use crate::lace::Lace;
use crate::{log_in, may_run, project};
use serde_json::json;
use std::process::Command;
use std::time::Instant;

#[test]
fn a_day_in_the_browser() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(252);
    let browser = Browser::start();
    log_in(&lace, &browser);
    let cookie = browser.cookie("lace_session");
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Strict")));
    browser.says("lace deploy");
    browser.js("window.neverReloaded = true");

    deploy_is_seen(&lace, &browser);
    scale_by_number(&lace, &browser);
    node_has_log_and_shell(&browser);
    bad_release_goes_back(&lace, &browser);
    going_back_shows_what_changes(&lace, &browser);
    lost_connection_heals(&lace, &browser);
    log_out(&lace, &browser);
    lace.down_and_nothing_left();
}

fn deploy_is_seen(lace: &Lace, browser: &Browser) {
    let dir = project(lace, "shop", "echo here is $(hostname)", "count = 1");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    browser.says("the one application is as wanted");
    assert_eq!(browser.js("return window.neverReloaded"), json!(true));
}

fn scale_by_number(lace: &Lace, browser: &Browser) {
    browser.click("#apps th a");
    browser.click("#drawing tbody th a");
    browser.fill("#count", "3");
    browser.click("form[aria-label=Scale] button");
    browser.until("three nodes are ready", "document.querySelector('.figures dd').innerText === '3 of 3'");
    browser.until("a message says so", "document.querySelector('#said .toast[role=status]')");
    // Somebody else at the command line: both see the same within a second, by the clock of this machine.
    lace.run(&["scale", "shop/web", "2", "--timeout", "0s"]);
    let began = Instant::now();
    browser.until("two are wanted", "document.querySelector('.figures dd').innerText.endsWith('of 2')");
    eprintln!("another person's change is seen {} ms after its command ended", began.elapsed().as_millis());
    browser.until("two are left", "document.querySelector('.figures dd').innerText === '2 of 2'");
}

fn node_has_log_and_shell(browser: &Browser) {
    browser.click("#nodes tbody th a");
    browser.until("the log shows", "document.querySelector('.lines')?.innerText.includes('here is web-1')");
    browser.until("the charts have points", "document.querySelector('.charts figure')?.dataset.points > 1");
    browser.click("#shell button");
    browser.until("a terminal opens", "document.querySelector('.says')?.innerText.startsWith('Connected')");
    browser.keys("echo $((6*7))-$(hostname)\u{e007}");
    browser
        .until("the shell answers", "document.querySelector('.xterm-rows')?.innerText.includes('42-web-1')");
    browser.keys("exit 3\u{e007}");
    browser.says("The shell ended with status 3.");
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}

fn bad_release_goes_back(lace: &Lace, browser: &Browser) {
    let dir = project(lace, "broken", "echo no good; exit 7", "");
    let archive = lace.files().join("broken.tar.gz");
    let packed = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(&dir).arg(".").status();
    assert!(packed.expect("tar runs").success());
    browser.go(&format!("{}/releases", lace.url()));
    browser.write("#archive", archive.to_str().expect("text"));
    browser.fill("#up-version", "6.6.6");
    browser.click("[data-upload] button");
    browser.says("broken@6.6.6 is uploaded");
    browser.until("it is in the list", "document.getElementById('list').innerText.includes('broken@6.6.6')");

    browser.go(&format!("{}/apps/shop/web/web", lace.url()));
    browser.js("const s = document.getElementById('release-name'); s.value = 'broken@6.6.6'");
    browser.click("#release form button");
    browser.until(
        "the rollout went back",
        "document.getElementById('rollout')?.innerText.includes('went back')",
    );
    browser.says("no good");
    browser.until("the old nodes serve", "document.querySelector('.figures dd').innerText === '2 of 2'");
}

fn going_back_shows_what_changes(lace: &Lace, browser: &Browser) {
    let dir = project(lace, "shop", "echo here is $(hostname)", "count = 2\nenv = { COLOUR = \"red\" }");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    browser.until("the new revision is there", "document.querySelector('#revisions .tag.good')");
    browser.until("revision 3 is wanted", "document.querySelector('#r3 .tag.good')");
    browser.click("#r1 form button");
    browser.until(
        "the difference is shown",
        "document.getElementById('back-1').innerText.includes('env.COLOUR')",
    );
    browser.click("#back-1 form button");
    browser.until("the first revision is wanted again", "document.querySelector('#r1 .tag.good')");
    browser.until("all is well", "document.querySelector('.head .state').innerText === 'healthy'");
}

fn lost_connection_heals(lace: &Lace, browser: &Browser) {
    browser.js("window.neverReloaded = true");
    lace.kill("server");
    browser.until("the loss is shown", "document.getElementById('live').dataset.state === 'lost'");
    browser.until("it heals", "document.getElementById('live').dataset.state === 'live'");
    lace.run(&["scale", "shop/web", "1"]).ok();
    browser.until("the page is true again", "document.querySelector('.figures dd').innerText === '1 of 1'");
    assert_eq!(browser.js("return window.neverReloaded"), json!(true));
}

fn log_out(lace: &Lace, browser: &Browser) {
    let token = browser.cookie("lace_session")["value"].as_str().expect("a session").to_owned();
    browser.click(".who summary");
    browser.click(".who button[hx-post='/act/logout']");
    browser.until("the login page comes", "location.pathname === '/login'");
    assert!(browser.cookie("lace_session").is_null());
    browser.go(&format!("{}/apps", lace.url()));
    browser.until("strangers see the login page", "document.getElementById('token')");
    // The session is over at the controller, too: its text is worth nothing.
    browser.fill("#token", &token);
    browser.click("form button");
    browser.says("the token is not valid");
}
