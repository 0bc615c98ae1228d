//! The whole story, as someone who only has a browser lives it.

use crate::driver::Browser;
use crate::lace::Lace;
use crate::{live, log_in, may_run, project};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::path::{Path, PathBuf};
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
    use_is_seen_over_time(&lace, &browser);
    kill_and_recovery_are_seen(&lace, &browser);
    good_release_is_dropped(&lace, &browser);
    bad_release_goes_back(&lace, &browser);
    going_back_shows_what_changes(&lace, &browser);
    lost_connection_heals(&lace, &browser);
    two_people_see_each_other(&lace, &browser);
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

/// Work in the node is a curve on its page.
fn use_is_seen_over_time(lace: &Lace, browser: &Browser) {
    let busy = "for i in 1 2; do timeout 60 sh -c 'while :; do :; done' > /dev/null 2>&1 & done";
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", busy]).ok();
    let caption = "document.querySelector('.charts figure figcaption').innerText";
    browser.until("the chart rises", &format!("parseFloat({caption}.split(':')[1]) >= 0.05"));
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", "pkill timeout"]);
    browser.until("the chart falls", &format!("parseFloat({caption}.split(':')[1]) < 0.05"));
}

/// What dies is told, and that it is there again; nobody reloads anything.
fn kill_and_recovery_are_seen(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/apps/shop/web/web");
    browser.js("window.neverReloaded = true");
    let row = "[...document.querySelectorAll('#nodes tbody tr')].find(r => r.cells[0].innerText === '1')";
    browser.until("it runs", &format!("{row}?.cells[1].innerText === 'ready'"));
    let _ = lace.run(&["exec", "shop/web/1", "--", "sh", "-c", "kill -9 $(pidof sleep)"]);
    browser.until("its death is told", &format!("{row}?.innerText.includes('killed by signal 9')"));
    browser.until("it is an event", "document.getElementById('events').innerText.includes('node.exited')");
    let again = format!("{row}?.cells[1].innerText === 'ready' && {row}.cells[6].innerText === '1'");
    browser.until("it is there again", &again);
    assert_eq!(browser.js("return window.neverReloaded"), json!(true));
}

/// A directory as an archive.
fn packed(lace: &Lace, dir: &Path) -> PathBuf {
    let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
    let archive = lace.files().join(format!("{name}.tar.gz"));
    let packed = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(dir).arg(".").status();
    assert!(packed.expect("tar runs").success());
    archive
}

/// Dropped on the page, uploaded, rolled out, healthy: an archive as another program would hand it over.
fn good_release_is_dropped(lace: &Lace, browser: &Browser) {
    let dir = project(lace, "better", "echo better is $(hostname)", "");
    let bytes = STANDARD.encode(std::fs::read(packed(lace, &dir)).expect("read"));
    browser.click("#upload-details summary");
    browser.fill("#up-version", "2.0.0");
    browser.js(&format!(
        "const bytes = Uint8Array.from(atob('{bytes}'), c => c.charCodeAt(0)); \
         const dropped = new DataTransfer(); dropped.items.add(new File([bytes], 'better.tar.gz')); \
         const form = document.querySelector('[data-upload]'); \
         for (const kind of ['dragenter', 'dragover', 'drop']) \
           form.dispatchEvent(new DragEvent(kind, {{bubbles: true, cancelable: true, dataTransfer: dropped}}))"
    ));
    browser.says("@2.0.0 is uploaded");
    let release = "document.querySelectorAll('.figures dd')[1].innerText.endsWith('@2.0.0')";
    browser.until("it is wanted", release);
    browser.until("the rollout is done", "document.getElementById('rollout')?.innerText.includes('done')");
    browser.until("all is well", "document.querySelector('.head .state').innerText === 'healthy'");
    assert!(lace.run(&["logs", "shop/web"]).ok().out.contains("better is web-"));
    assert_eq!(browser.js("return window.neverReloaded"), json!(true));
}

/// What one does the other sees, in both directions, as a rule within a second.
fn two_people_see_each_other(lace: &Lace, one: &Browser) {
    let made = lace.run(&["token", "create", "friend", "--role", "deployer", "--format", "json"]).ok().json();
    let other = Browser::start();
    other.go(&format!("{}/login", lace.url()));
    other.fill("#token", made["token"].as_str().expect("a token"));
    other.click("form:has(#token) button");
    other.says("friend");
    for browser in [one, &other] {
        live(lace, browser, "/apps/shop/web/web");
    }
    let mut took = Vec::new();
    for (round, count) in [2, 1, 2, 1, 2, 1].into_iter().enumerate() {
        let (acts, sees) = if round % 2 == 0 { (one, &other) } else { (&other, one) };
        acts.fill("#count", &count.to_string());
        let began = Instant::now();
        acts.click("form[aria-label=Scale] button");
        let wanted = format!("document.querySelector('.figures dd').innerText.endsWith('of {count}')");
        sees.until("the other's change is seen", &wanted);
        took.push(began.elapsed().as_millis());
    }
    took.sort_unstable();
    eprintln!("a person sees another one's change within {took:?} ms");
    assert!(took[took.len() / 2] <= 1000, "{took:?} ms");
}

fn bad_release_goes_back(lace: &Lace, browser: &Browser) {
    let dir = project(lace, "broken", "echo no good; exit 7", "");
    let archive = packed(lace, &dir);
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
    browser.until("revision 4 is wanted", "document.querySelector('#r4 .tag.good')");
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
    browser.click("form:has(#token) button");
    browser.says("the token is not valid");
}
