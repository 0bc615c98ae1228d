//! People in the browser: invited, with a password of their own, granted something, locked out.

use crate::driver::Browser;
use crate::lace::Lace;
use crate::pages::axe;
use crate::{live, log_in, may_run, project};
use serde_json::json;
use std::path::Path;

const WORD: &str = "correct horse battery";

#[test]
fn a_user_is_invited_chooses_a_password_and_may_do_what_is_granted() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.166.1.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let dir = project(&lace, "shop", "echo hello", "");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let admin = Browser::start();
    log_in(&lace, &admin);
    let link = invite(&lace, &admin);

    let anna = Browser::start();
    anna.go(&link);
    anna.says("Your account");
    anna.until("the page is live", "document.getElementById('live').dataset.state === 'live'");
    axe(&anna, "/account");
    anna.fill("#new", WORD);
    anna.fill("#again", "something else, longer");
    anna.click("#password button");
    anna.says("the two new passwords are not the same");
    anna.fill("#new", WORD);
    anna.fill("#again", WORD);
    anna.click("#password button");
    anna.says("you have a new password");
    log_out(&anna);

    comes_in(&anna, "wrong wrong wrong");
    anna.says("name or password is wrong");
    comes_in(&anna, WORD);
    anna.says("user/anna is granted nothing");
    anna.until("she hears what is said of her", "document.getElementById('live')?.dataset.state === 'live'");
    grant(&lace, &admin, "team/ops", "deployer");
    take_into_ops(&lace, &admin);
    live(&lace, &anna, "/apps/shop/web/web");
    anna.fill("#count", "2");
    anna.click("form[aria-label=Scale] button");
    anna.until("two nodes are ready", "document.querySelector('.figures dd').innerText === '2 of 2'");
    anna.go(&format!("{}/people", lace.url()));
    anna.says("this is for an admin");

    // Out at once, from the session that is open.
    live(&lace, &admin, "/people");
    admin.click("#u-anna button[aria-label='Lock anna out']");
    admin.until("she is locked", "document.querySelector('#u-anna .tag').innerText === 'locked'");
    anna.go(&format!("{}/apps", lace.url()));
    anna.until("she is before the door", "document.getElementById('password')");
    comes_in(&anna, WORD);
    anna.says("user anna is locked");
    strangers_become_users(&lace, &admin, &anna);
    let kept = lace.run(&["audit", "--limit", "1000"]).ok().out;
    assert!(kept.contains("user/anna") && !kept.contains(WORD), "{kept}");
    lace.down_and_nothing_left();
}

fn invite(lace: &Lace, admin: &Browser) -> String {
    live(lace, admin, "/people");
    admin.says("Nobody logs in by name yet");
    admin.fill("#user-name", "anna");
    admin.click("#users form:has(#user-name) button");
    admin.until("a link is shown", "document.querySelector('#said code, #said pre, #said input')");
    admin.until("she is there", "document.getElementById('u-anna')");
    let text = admin.text();
    let from = text.find("http://").expect("a link");
    let link: String = text[from..].chars().take_while(|c| !c.is_whitespace()).collect();
    assert!(link.starts_with(&lace.url()) && link.contains("/login?token=lace_"), "{link}");
    link
}

fn comes_in(browser: &Browser, password: &str) {
    browser.until("the login page is there", "document.getElementById('name')");
    browser.fill("#name", "anna");
    browser.fill("#password", password);
    browser.click("form:has(#password) button");
}

fn log_out(browser: &Browser) {
    browser.click(".who summary");
    browser.click(".who button[hx-post='/act/logout']");
    browser.until("the login page comes", "location.pathname === '/login'");
    axe(browser, "/login");
}

fn grant(lace: &Lace, admin: &Browser, to: &str, role: &str) {
    live(lace, admin, "/people");
    admin.fill("#team-name", "ops");
    admin.click("#teams form:has(#team-name) button");
    admin.until("the team is there", "document.getElementById('t-ops')");
    admin.fill("#grant-to", to);
    admin.js(&format!("document.getElementById('grant-role').value = '{role}'"));
    admin.fill("#grant-app", "shop");
    admin.click("#grant button");
    admin.until("it says so", "document.getElementById('t-ops').innerText.includes('deployer of shop')");
}

fn take_into_ops(lace: &Lace, admin: &Browser) {
    live(lace, admin, "/people");
    admin.fill("#t-ops input[name=user]", "anna");
    admin.click("#t-ops form:has(input[name=user]:not([type=hidden])) button");
    admin.until("she is in it", "document.querySelector('#t-ops').innerText.includes('anna')");
}

fn strangers_become_users(lace: &Lace, admin: &Browser, stranger: &Browser) {
    stranger.go(&format!("{}/login", lace.url()));
    assert_eq!(stranger.js("return document.getElementById('new-name')"), json!(null), "it is closed");
    live(lace, admin, "/people");
    admin.fill("#sign-team", "ops");
    admin.click("#sign-up button");
    admin.says("Strangers may become users by themselves");
    stranger.go(&format!("{}/login", lace.url()));
    stranger.click("details:has(#new-name) summary");
    stranger.fill("#new-name", "eve");
    stranger.fill("#new-password", WORD);
    stranger.click("form:has(#new-password) button");
    stranger.says("Overview");
    live(lace, stranger, "/apps/shop/web/web");
    lace.run(&["user", "sign-up", "closed"]).ok();
    lace.run(&["team", "leave", "ops", "eve"]).ok();
    stranger.go(&format!("{}/apps/shop/web/web", lace.url()));
    stranger.says("granted nothing");
}
