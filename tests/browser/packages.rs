//! Services of packages, made and steered in the browser.

use crate::driver::Browser;
use crate::lace::{Lace, eventually};
use crate::pages::look_at;
use crate::{live, log_in, may_run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The browser's console tells of refusals, as it always does, and of nothing else.
#[track_caller]
fn refusals_alone(browser: &Browser, count: usize) {
    let console = browser.console();
    let refused = |line: &&String| line.contains("the server responded with a status of 4");
    assert!(console.len() == count && console.iter().filter(refused).count() == count, "{console:?}");
}

/// What was said of a service.
fn said(lace: &Lace, service: &str) -> Value {
    lace.run(&["service", "show", service, "--format", "json"]).ok().json()
}

/// A package with these words in its description, whose nodes do nothing.
fn upload(lace: &Lace, name: &str, words: &str) {
    let dir = lace.files().join(name);
    fs::create_dir_all(dir.join("scripts")).expect("made");
    let text = format!(
        "[package]\nname = \"{name}\"\nversion = \"1\"\n[role.{name}]\nmemory = \"32MiB\"\n{words}\
         [script]\nstart = \"scripts/start.sh\"\n"
    );
    fs::write(dir.join("package.toml"), text).expect("written");
    let start = dir.join("scripts/start.sh");
    fs::write(&start, "#!/bin/sh\nset -eu\nexec sleep 100000\n").expect("written");
    fs::set_permissions(&start, fs::Permissions::from_mode(0o755)).expect("executable");
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
}

#[test]
fn settings_and_links_are_set_from_the_page() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.1.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    upload(
        &lace,
        "keeper",
        "[port.keep]\nnumber = 9000\n[provides.keep]\nport = \"keep\"\npassword = true\n",
    );
    upload(
        &lace,
        "user",
        "[consumes.store]\ninterface = \"keep\"\nhelp = \"where it keeps things\"\n\
         [setting.workers]\ntype = \"whole\"\ndefault = 4\nmin = 1\nmax = 64\nhelp = \"how many work\"\n\
         [setting.memory]\ntype = \"size\"\ndefault = \"64MiB\"\nmax = \"1GiB\"\nhelp = \"what they may take\"\n\
         [setting.mode]\ntype = \"choice\"\nchoices = [\"fast\", \"slow\"]\ndefault = \"fast\"\nhelp = \"how\"\n\
         [setting.loud]\ntype = \"flag\"\ndefault = false\nhelp = \"says more\"\n",
    );
    lace.run(&["service", "create", "shop/user", "--package", "user"]).ok();
    let browser = Browser::start();
    log_in(&lace, &browser);
    made_of_a_package(&lace, &browser);
    settings(&lace, &browser);
    links(&lace, &browser);
    refusals_alone(&browser, 2);
    look_at(&lace, &browser, "/apps/shop/user/user");
    lace.down_and_nothing_left();
}

/// A service of a package from the application's page.
fn made_of_a_package(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/apps/shop");
    browser.click("#new-service-details summary");
    browser.fill("#service-name", "keeper");
    browser.js("document.getElementById('service-package').value = 'keeper@1'");
    browser.click("#new-service form button");
    browser.until("its plan is shown", "document.querySelector('#planned-service .action.create')");
    browser.click("#planned-service .plan button");
    let healthy = "document.getElementById('f-shop/keeper/keeper')?.innerText.includes('healthy')";
    browser.until("it is there, and well", healthy);
    live(lace, browser, "/packages");
    let package = "document.getElementById('package-user@1').innerText";
    browser.until("its package says what it takes", &format!("{package}.includes('4 settings')"));
}

/// Refused by name, planned, applied, and back at its default.
fn settings(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/apps/shop/user/user");
    let plan = "#package-settings form button";
    let browser_says = "document.getElementById('set-workers').validity.rangeOverflow";
    browser.fill("#set-workers", "9000");
    browser.until("the browser itself holds a number to its bounds", browser_says);
    browser.fill("#set-workers", "8");
    browser.fill("#set-memory", "much");
    browser.click(plan);
    let refused = |what: &str| {
        format!("document.querySelector('#planned-settings [role=alert]')?.innerText.includes('{what}')")
    };
    browser.until("what is wrong is named", &refused("setting memory"));
    browser.fill("#set-memory", "2GiB");
    browser.click(plan);
    browser.until("a bound holds", &refused("2GiB is more than 1GiB"));
    // Somebody does something meanwhile: what is being written stays.
    browser.fill("#set-memory", "96MiB");
    browser.js("document.querySelector('#set-mode').value = 'slow'; window.asked = performance.now()");
    lace.run(&["app", "create", "other"]).ok();
    let refreshed = "performance.getEntriesByType('resource').some(e => e.name.endsWith('/apps/shop/user/user') \
                     && e.responseEnd > window.asked && e.responseEnd < performance.now() - 200)";
    browser.until("the page was asked for again", refreshed);
    browser.click(plan);
    browser.until("the plan is shown", "document.querySelector('#planned-settings .plan form')");
    let plan_says = browser.js("return document.querySelector('#planned-settings').innerText");
    for words in ["settings.workers", "8", "settings.memory", "settings.mode", "slow", "rolls 1 node"] {
        assert!(plan_says.as_str().is_some_and(|text| text.contains(words)), "{words}: {plan_says}");
    }
    assert_eq!(said(lace, "shop/user")["settings"], json!({}), "nothing is done before it is asked for");
    browser.click("#planned-settings .plan button");
    eventually("it is applied", || {
        said(lace, "shop/user")["settings"] == json!({"workers": "8", "memory": "96MiB", "mode": "slow"})
    });
    browser.until("the plan is done", "!document.querySelector('#planned-settings .plan')");
    browser
        .until("the field says so", "document.getElementById('set-workers').getAttribute('value') === '8'");
    browser.fill("#set-workers", "");
    browser.click(plan);
    browser.click("#planned-settings .plan button");
    eventually("it has its default", || said(lace, "shop/user")["settings"]["workers"].is_null());
}

fn links(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/apps/shop/user/user");
    browser.js("document.querySelector('#link-store').value = 'keeper'");
    browser.click("#links form button");
    browser.click("#planned-links .plan button");
    eventually("it is linked", || said(lace, "shop/user")["links"] == json!({"store": "keeper"}));
    browser.until(
        "the page says so",
        "document.querySelector('#link-store option[selected]')?.value === 'keeper'",
    );
    live(lace, browser, "/apps/shop");
    let drawn = browser.js("return document.querySelector('.drawing .arrow.link title').textContent");
    assert_eq!(drawn, json!("user uses keeper by its link store"));
    live(lace, browser, "/apps/shop/user/user");
    browser.js("document.querySelector('#link-store').value = ''");
    browser.click("#links form button");
    browser.click("#planned-links .plan button");
    eventually("it is no longer linked", || said(lace, "shop/user")["links"] == json!({}));
}

/// The code of a service of package `generic`: `run.sh` stays until it is interrupted.
fn code(lace: &Lace) {
    let dir = lace.files().join("code");
    fs::create_dir_all(&dir).expect("made");
    for name in ["init", "notify", "interrupt", "cleanup"] {
        fs::write(dir.join(format!("{name}.sh")), format!("echo said by {name}\n")).expect("written");
    }
    fs::write(dir.join("run.sh"), "echo \"said by run with $*\"\nexec tail -f /dev/null\n").expect("written");
    let text = "[application]\nname = \"shop\"\n[service.work]\npackage = \"generic\"\n\
                release = { path = \"./code\", kind = \"generic\" }\nsettings = { grace = \"1s\" }\n\
                [service.work.family.node]\ncount = 1\n";
    let file = lace.files().join("lace.toml");
    fs::write(&file, text).expect("written");
    lace.run(&["apply", file.to_str().expect("text")]).ok();
}

#[test]
fn five_scripts_are_steered_from_the_page() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.2.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    code(&lace);
    let browser = Browser::start();
    log_in(&lace, &browser);
    live(&lace, &browser, "/apps/shop/work/master");
    // How a script stands on both nodes: the column of its name.
    let stands = |script: &str, state: &str| {
        let at = format!(
            "[...document.querySelectorAll('#scripts thead th')].findIndex(h => h.innerText === '{script}')"
        );
        let rows = "[...document.querySelectorAll('#scripts tbody tr')]";
        format!("{rows}.length === 2 && {rows}.every(r => r.cells[{at}]?.innerText === '{state}')")
    };
    browser.until("each node is initialised", &stands("init.sh", "stopped (return code 0)"));
    browser.until("nothing else was started", &stands("run.sh", "never started"));
    browser.fill("#act-run-parameters", "one two");
    browser.click("#act-run");
    browser.until("it runs, and the page says so by itself", &stands("run.sh", "running"));
    browser.until(
        "what was asked for has ended well",
        "document.querySelector('.runs li .state')?.innerText === 'done'",
    );
    assert!(lace.run(&["logs", "shop/work"]).ok().out.contains("said by run with one two"));
    // What cannot begin says why, for each node.
    browser.click("#act-cleanup");
    browser.until(
        "the refusal names what runs",
        "document.querySelector('#said [role=alert]')?.innerText.includes('run.sh still runs')",
    );
    refusals_alone(&browser, 1);
    look_at(&lace, &browser, "/apps/shop/work/master");
    browser.resize(1280, 900, false);
    browser.click("#act-interrupt");
    browser.until("it has ended, with its status", &stands("run.sh", "stopped (return code 143)"));
    browser.until("so has what ended it", &stands("interrupt.sh", "stopped (return code 0)"));
    browser.click("#act-cleanup");
    browser.until("it is cleaned up", &stands("cleanup.sh", "stopped (return code 0)"));
    browser.click(".runs li a");
    browser.until(
        "the operation tells of each node",
        "document.querySelectorAll('#tasks tbody tr').length === 2",
    );
    look_at(&lace, &browser, browser.js("return location.pathname").as_str().expect("text"));
    // To look costs nothing: neither tasks nor operations came of it.
    let asked = lace.run(&["op", "list", "--format", "json"]).ok().json();
    let asked = asked.as_array().expect("a list").iter().filter(|op| op["verb"] == "action scripts").count();
    assert_eq!(asked, 0);
    lace.down_and_nothing_left();
}
