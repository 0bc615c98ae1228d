//! What people can call things, and whose things they can see.

use crate::driver::Browser;
use crate::lace::{Lace, eventually};
use crate::{live, log_in, may_run, project};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What somebody may write where a text is free, and a page must not run.
const HOSTILE: &str = "\"'><img src=x onerror=\"hacked=1\"><script>hacked=1</script>{{7*7}}";

/// Every page, with what is there in place of its parameters.
fn pages(app: &str, more: &[(&str, &str)]) -> Vec<String> {
    let filled = |path: &str| {
        let usual =
            [("{app}", app), ("{service}", "web"), ("{family}", "web"), ("{index}", "1"), ("{number}", "1")];
        let all = more.iter().chain(&usual);
        all.fold(path.to_owned(), |path, (part, value)| path.replace(part, value))
    };
    lace_dashboard::pages().into_iter().map(filled).collect()
}

/// A package whose every text is hostile.
fn hostile_package(lace: &Lace) {
    let dir = lace.files().join("hostile");
    fs::create_dir_all(dir.join("scripts")).expect("made");
    let text = json!({
        "package": {"name": "hostile", "version": "1", "summary": HOSTILE},
        "role": {"web": {"help": HOSTILE, "memory": "32MiB"}},
        "setting": {
            "title": {"help": HOSTILE, "default": HOSTILE},
            "word": {"help": HOSTILE, "type": "choice", "choices": [HOSTILE, "other"], "default": HOSTILE},
        },
        "port": {"http": {"number": 9000, "help": HOSTILE}},
        "provides": {"http": {"port": "http", "help": HOSTILE}},
        "consumes": {"store": {"interface": "http", "help": HOSTILE}},
        "action": {"shout": {
            "script": "scripts/shout.sh", "help": HOSTILE, "parameter": {"text": {"help": HOSTILE, "default": HOSTILE}},
        }},
        "script": {"start": "scripts/start.sh"},
    });
    fs::write(dir.join("package.toml"), serde_json::to_string(&text).expect("json")).expect("written");
    let shout = "#!/bin/sh\nset -eu\necho \"$LACE_PARAMETER_TEXT\"\n";
    for (name, text) in [("start.sh", "#!/bin/sh\nset -eu\nexec sleep 100000\n"), ("shout.sh", shout)] {
        let path = dir.join("scripts").join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
}

#[test]
fn no_text_that_a_person_can_choose_is_run() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.4.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    hostile_package(&lace);
    let set = format!("title={HOSTILE}");
    lace.run(&["service", "create", "shop/web", "--package", "hostile", "--set", &set]).ok();
    lace.run(&["service", "action", "shop/web", "shout", &format!("text={HOSTILE}")]).ok();
    lace.run(&["token", "create", HOSTILE, "--role", "viewer"]).ok();
    lace.run(&["run", "shop", "--env", &format!("TEXT={HOSTILE}"), "--", "echo", HOSTILE]).ok();
    lace.run(&["provider", "add", "sim", "--kind", "sim", "--region", HOSTILE]).ok();
    let pool = [
        "pool",
        "add",
        "pool",
        "--provider",
        "sim",
        "--zone",
        HOSTILE,
        "--image",
        HOSTILE,
        "--profile",
        HOSTILE,
        "--attr",
        &format!("what={HOSTILE}"),
    ];
    lace.run(&pool).ok();
    let job = lace.run(&["job", "list", "--format", "json"]).ok().json()[0]["id"].clone();
    let operation = lace.run(&["op", "list", "--format", "json"]).ok().json()[0]["id"].clone();
    let host = lace.run(&["host", "list", "--format", "json"]).ok().json()[0]["host"]["name"].clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (job, operation, host) = (text(&job), text(&operation), text(&host));

    let browser = Browser::start();
    log_in(&lace, &browser);
    let mut all =
        pages("shop", &[("/jobs/{id}", &format!("/jobs/{job}")), ("{id}", &operation), ("{name}", &host)]);
    // What was asked for comes back, too.
    let query: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    all.extend([
        format!("/nodes?q={query}"),
        format!("/events?subject={query}&kind={query}"),
        format!("/apps/{query}"),
    ]);
    for page in &all {
        browser.go(&format!("{}{page}", lace.url()));
        browser.until("the page is there", "document.readyState === 'complete' && document.body");
        let found = browser.js("return {hacked: window.hacked ?? null, \
             images: document.querySelectorAll('img, script:not([src]), [onerror]').length}");
        assert_eq!(found, json!({"hacked": null, "images": 0}), "{page}");
        let console = browser.console();
        let refused = |line: &String| line.contains("the server responded with a status of 4");
        assert!(console.iter().all(refused), "{page}: {console:?}");
    }
    // It was on them at all.
    live(&lace, &browser, "/apps/shop/web/web");
    browser.says("onerror");
    lace.down_and_nothing_left();
}

#[test]
fn another_teams_pages_are_refused() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.5.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    for app in ["ours", "rivals"] {
        let dir = project(&lace, app, &format!("echo word-of-{app}"), "");
        lace.run(&["deploy", app, dir.to_str().expect("text")]).ok();
        lace.run_with(&["secret", "set", app, "WORD"], app).ok();
        lace.run(&["run", app, "--", "echo", app]).ok();
    }
    let of_rivals = |words: &[&str], is: &dyn Fn(&Value) -> bool| {
        let all = lace.run(&[words, &["--format", "json"]].concat()).ok().json();
        let found =
            all.as_array().expect("a list").iter().find(|one| is(one)).cloned().expect("one of theirs");
        found["id"].as_str().expect("an id").to_owned()
    };
    let job = of_rivals(&["job", "list"], &|job| job["app"] == "rivals");
    let operation =
        of_rivals(&["op", "list"], &|op| op["subject"].as_str().is_some_and(|s| s.starts_with("rivals")));
    let words = ["token", "create", "one-of-us", "--role", "deployer", "--app", "ours", "--format", "json"];
    let token = lace.run(&words).ok().json();
    let browser = Browser::start();
    browser.go(&format!("{}/login", lace.url()));
    browser.fill("#token", token["token"].as_str().expect("a token"));
    browser.click("form:has(#token) button");
    browser.says("one-of-us");
    live(&lace, &browser, "/apps/ours/web/web/1");
    browser.says("word-of-ours");

    let theirs = [("/jobs/{id}", format!("/jobs/{job}")), ("{id}", operation), ("{name}", "vm".into())];
    let theirs: Vec<(&str, &str)> = theirs.iter().map(|(part, value)| (*part, value.as_str())).collect();
    for page in pages("rivals", &theirs) {
        let told = browser.js_later(&format!(
            "const answer = await fetch({page:?}); return [answer.status, await answer.text()]"
        ));
        let (status, text) = (told[0].as_u64().expect("a status"), told[1].as_str().expect("a text"));
        let is_theirs =
            page.contains("rivals") || page.starts_with("/jobs/") || page.starts_with("/operations/");
        assert!(!is_theirs || status == 403, "{page}: {status}");
        // A refusal may say the name that was asked for.
        assert!(is_theirs || !text.contains("rivals"), "{page} tells of the others");
        assert!(
            !text.contains("word-of-rivals") && !text.contains("WORD</code></th>") || page == "/secrets",
            "{page}"
        );
    }
    for form in lace_dashboard::forms() {
        let fields = format!(
            "verb=stop&target=rivals/web&name=rivals&app=rivals&value=x&id={}&command=true&about=settings&action=x\
             &openings=&release=rivals@1&text=[application]%0Aname=%22rivals%22",
            if form == "/act/operation/cancel" { theirs[1].1 } else { &job }
        );
        // What is not about an application is for those who have them all, or for oneself.
        if form == "/act/logout" {
            continue;
        }
        let told = browser.js_later(&format!(
            "const answer = await fetch({form:?}, {{method: 'POST', body: new URLSearchParams({fields:?}), \
             headers: {{'X-Lace-Csrf': 'page'}}}}); return [answer.status, await answer.text()]"
        ));
        let status = told[0].as_u64().expect("a status");
        assert!((400..500).contains(&status) && status != 401, "{form}: {told}");
    }
    eventually("they go on", || lace.ready("rivals") == 1);
    lace.down_and_nothing_left();
}
