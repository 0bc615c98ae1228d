//! A canary in the browser: by one step, then to its end, as a person says.

use crate::driver::Browser;
use crate::lace::Lace;
use crate::{live, log_in, may_run, project};

#[test]
fn a_canary_goes_on_by_steps_that_a_person_promotes() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.7.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    let version = |line: &str| {
        let dir = project(&lace, "shop", line, "count = 4");
        let file = dir.join("lace.toml");
        let text = std::fs::read_to_string(&file).expect("read");
        let rollout =
            "rollout = { strategy = \"canary\", steps = [\"25%\", \"50%\"], healthy_for = \"500ms\" }";
        let text = text.replace("rollout = { healthy_for = \"300ms\" }", rollout);
        assert!(text.contains("canary"), "{text}");
        std::fs::write(&file, text).expect("written");
        dir.to_str().expect("text").to_owned()
    };
    lace.run(&["deploy", "shop", &version("echo one")]).ok();
    let browser = Browser::start();
    log_in(&lace, &browser);
    live(&lace, &browser, "/apps/shop/web/web");
    // It waits for a person, and so would the command.
    lace.run(&["deploy", "shop", &version("echo two"), "--timeout", "0s"]);
    let changed = |count: usize| {
        let rows = "[...document.querySelectorAll('#nodes tbody tr')]";
        let new = "r.cells[5].innerText === '2' && r.cells[1].innerText === 'ready'";
        format!("{rows}.length === 4 && {rows}.filter(r => {new}).length === {count}")
    };
    browser.until("one node is the canary", &changed(1));
    browser.click("#do-promote-step");
    browser.until("two of four follow", &changed(2));
    browser.click("#do-promote");
    browser.until("all follow", &changed(4));
    browser.until("it is done", "document.querySelector('#rollout .state').innerText === 'done'");
    assert!(browser.console().is_empty(), "nothing was refused");
    lace.down_and_nothing_left();
}
