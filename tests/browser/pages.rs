//! Every page: sound, light, by keyboard, on a phone, for everybody.

use crate::driver::{Browser, key};
use crate::lace::Lace;
use crate::{log_in, may_run, pictures, project};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Parts of pages, which are asked for by themselves.
const PARTS: [&str; 2] = ["/rollback/{number}", "/top"];

/// What a token may be called, and a page must not run.
const HOSTILE: &str = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 1</script>";

#[test]
fn every_page_is_sound() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(253);
    let serves = "echo hello; python3 -m http.server 9100 --directory /srv > /dev/null 2>&1 &";
    let dir = project(&lace, "shop", serves, "count = 2\nfirewall = [\"tcp:9100 from any\"]");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    lace.run_with(&["secret", "set", "shop", "KEY"], "very-secret-value").ok();
    lace.run(&["run", "shop", "--", "echo", "done"]).ok();
    lace.run(&["token", "create", HOSTILE, "--role", "viewer"]).ok();
    let browser = Browser::start();
    log_in(&lace, &browser);
    routes_tell_of_their_certificates(&lace, &browser);
    routes_tell_what_they_carry(&lace, &browser);
    for (name, page) in all(&lace) {
        look_at_as(&lace, &browser, &name, &page);
    }
    outside_of_the_frame(&lace, &browser);
    by_keyboard(&lace, &browser);
    other_pages_cannot_act(&lace, &browser);
    viewers_are_told_why_not(&lace, &browser);
    lace.down_and_nothing_left();
}

/// Every page that the router has, by its name, with one thing of each sort behind it.
fn all(lace: &Lace) -> Vec<(String, String)> {
    let first = |words: &[&str], pointer: &str| {
        let list = lace.run(&[words, &["list", "--format", "json"]].concat()).ok().json();
        list.pointer(pointer).and_then(Value::as_str).expect("there is one").to_owned()
    };
    let (job, operation) = (first(&["job"], "/0/id"), first(&["op"], "/0/id"));
    let host = first(&["host"], "/0/host/name");
    let filled = |path: &str| {
        let id = if path.starts_with("/jobs") { &job } else { &operation };
        let parts = [
            ("{app}", "shop"),
            ("{service}", "web"),
            ("{family}", "web"),
            ("{index}", "1"),
            ("{id}", id),
            ("{name}", &host),
        ];
        parts.iter().fold(path.to_owned(), |path, (part, value)| path.replace(part, value))
    };
    let paths =
        lace_dashboard::pages().into_iter().filter(|path| !PARTS.iter().any(|part| path.ends_with(part)));
    let name = |path: &str| match path.trim_matches('/').replace(['{', '}'], "").replace('/', "-") {
        none if none.is_empty() => "overview".to_owned(),
        name => name,
    };
    paths.map(|path| (name(path), filled(path))).collect()
}

/// The page of a refusal, and the one where people come in.
fn outside_of_the_frame(lace: &Lace, browser: &Browser) {
    for page in ["/apps/nothing", "/login"] {
        browser.go(&format!("{}{page}", lace.url()));
        browser.until("it is there", "document.readyState === 'complete' && document.querySelector('main')");
        browser.resize(1280, 900, false);
        axe(browser, page);
        browser.picture(&pictures(), &page.trim_matches('/').replace('/', "-"));
    }
    assert_eq!(browser.console().len(), 1, "the refusal, and nothing else");
}

/// A certificate for a host name that is good for so long, given to the application.
fn give_certificate(lace: &Lace, host: &str, days: u64) {
    let lasts = Duration::from_secs(days * 86_400 + 3_600);
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
    params.not_after = (SystemTime::now() + lasts).into();
    let pair = rcgen::KeyPair::generate().expect("a key");
    let [chain, key] = ["chain", "key"].map(|what| lace.files().join(format!("{host}.{what}.pem")));
    std::fs::write(&chain, params.self_signed(&pair).expect("signed").pem()).expect("written");
    std::fs::write(&key, pair.serialize_pem()).expect("written");
    let (chain, key) = (chain.to_str().expect("text"), key.to_str().expect("text"));
    lace.run(&["route", "cert", "add", "shop", host, "--cert", chain, "--key", key]).ok();
}

/// What is encrypted, until when, and what ends soon: live, while the page is open.
fn routes_tell_of_their_certificates(lace: &Lace, browser: &Browser) {
    browser.go(&format!("{}/routes", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
    let cell = |host: &str| format!("document.getElementById('r-{host}/')?.cells[2]");
    for (host, days, soon) in [("long.example.com", 90, false), ("soon.example.com", 10, true)] {
        lace.run(&["route", "add", "shop/web", host, "--port", "9100"]).ok();
        browser.until("the route comes, plain", &format!("{}?.innerText === 'plain'", cell(host)));
        give_certificate(lace, host, days);
        let says = format!("{}?.innerText === '{days} days'", cell(host));
        browser.until("the page says until when", &says);
        let stands_out = browser.js(&format!("return Boolean({}.querySelector('strong'))", cell(host)));
        assert_eq!(stands_out, json!(soon), "{host} ends in {days} days");
        let leads = browser.js(&format!("return {}.parentElement.querySelector('th a').href", cell(host)));
        assert!(leads.as_str().is_some_and(|url| url.starts_with(&format!("https://{host}"))), "{leads}");
    }
    browser.go(&format!("{}/", lace.url()));
    let alarms = "document.getElementById('alarms')?.innerText";
    browser.until("the overview tells of it", &format!("{alarms}?.includes('soon.example.com')"));
    assert_eq!(browser.js(&format!("return {alarms}.includes('long.example.com')")), json!(false));
    browser.until("all is well for now", "document.querySelector('.head .state').innerText === 'healthy'");
}

/// Requests a second of a route and of its family, while somebody asks.
fn routes_tell_what_they_carry(lace: &Lace, browser: &Browser) {
    const HOST: &str = "busy.example.com";
    lace.run(&["route", "add", "shop/web", HOST, "--port", "9100"]).ok();
    browser.go(&format!("{}/routes", lace.url()));
    let (ends, until) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(90));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
            while !ends.load(Ordering::Relaxed) && Instant::now() < until {
                let asked = TcpStream::connect(lace.door()).and_then(|mut stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                    stream.write_all(request.as_bytes())?;
                    stream.read_to_end(&mut Vec::new())
                });
                drop(asked);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let busy = |row: &str, cell: u32| {
            let text = format!("document.getElementById('{row}')?.cells[{cell}]?.innerText");
            format!("parseFloat({text}) > 0")
        };
        browser.until("the route's requests are counted", &busy(&format!("r-{HOST}/"), 3));
        browser.until("its family's, too", &busy("f-shop/web/web", 1));
        ends.store(true, Ordering::Relaxed);
    });
}

pub fn look_at(lace: &Lace, browser: &Browser, page: &str) {
    look_at_as(lace, browser, &page.trim_matches('/').replace('/', "-"), page);
}

/// The same, with a name for its pictures.
fn look_at_as(lace: &Lace, browser: &Browser, name: &str, page: &str) {
    browser.resize(1280, 900, false);
    browser.dark(false);
    browser.go(&format!("{}{page}", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
    weigh(browser, page);
    assert!(!browser.text().contains("very-secret-value"), "{page} shows a secret");
    let floats = browser.js(
        "return [...document.querySelectorAll('main *')].filter(e => getComputedStyle(e).position === 'fixed').map(e => e.outerHTML)",
    );
    assert_eq!(floats, json!([]), "{page}: what belongs to the page lies over it");
    for (look, dark, width) in [("light", false, 1280), ("dark", true, 1280), ("phone", false, 390)] {
        browser.dark(dark);
        browser.resize(width, 900, width < 500);
        let over =
            browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(over, json!(0), "{page} is wider than the {look} window: {}", widest(browser));
        if look != "phone" {
            axe(browser, page);
        }
        browser.picture(&pictures(), &format!("{name}-{look}"));
    }
    assert_eq!(browser.js("return window.hacked ?? null"), Value::Null, "{page} ran a name");
    let console = browser.console();
    assert!(console.is_empty(), "{page}: {console:?}");
}

fn widest(browser: &Browser) -> Value {
    browser.js(
        "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth \
         && !e.closest('.scroll, pre')).slice(0, 5).map(e => e.outerHTML.slice(0, 120))",
    )
}

/// Figures for people; a shared machine's times are no reason to fail.
pub fn weigh(browser: &Browser, page: &str) {
    let figures = browser.js(
        "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')] \
         .filter(e => !e.name.includes('/v1/events')); \
         const paint = performance.getEntriesByName('first-contentful-paint')[0]; \
         return {bytes: all.reduce((sum, e) => sum + (e.encodedBodySize || 0), 0), \
                 html: performance.getEntriesByType('navigation')[0].encodedBodySize, \
                 paint: Math.round(paint?.startTime ?? -1)}",
    );
    eprintln!(
        "{page}: first paint {} ms, {} bytes in all, page {}",
        figures["paint"], figures["bytes"], figures["html"]
    );
}

/// axe-core, where npm has brought it.
pub fn axe(browser: &Browser, page: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/dashboard/web/node_modules/axe-core/axe.min.js");
    let Ok(source) = std::fs::read_to_string(path) else {
        assert!(std::env::var_os("CI").is_none(), "axe-core is missing: scripts/bundle.sh brings it");
        return;
    };
    // By DevTools, which stands outside the page's policy.
    browser.cdp("Runtime.evaluate", json!({"expression": source}));
    let run = "const found = await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}); \
               return found.violations.map(v => v.id + ': ' + v.help + ' at ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | '))";
    let found = browser.js_later(run);
    assert_eq!(found, json!([]), "{page}: {found:#}");
}

/// From the top of the page to a scaled family without a pointer.
fn by_keyboard(lace: &Lace, browser: &Browser) {
    browser.resize(1280, 900, false);
    browser.go(&format!("{}/", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
    browser.keys(key::TAB);
    assert_eq!(browser.js("return document.activeElement.className"), json!("skip"), "the first stop skips");
    browser.keys(key::ENTER);
    assert_eq!(browser.js("return document.activeElement.id"), json!("main"));
    browser.keys("ga");
    browser.until("`g a` goes to the applications", "location.pathname === '/apps'");
    tab_to(browser, "document.activeElement.matches('tbody th a')");
    browser.keys(key::ENTER);
    browser.until("the application comes", "location.pathname === '/apps/shop'");
    tab_to(browser, "document.activeElement.matches('#drawing tbody th a')");
    browser.keys(key::ENTER);
    browser.until("the family comes", "location.pathname === '/apps/shop/web/web'");
    tab_to(browser, "document.activeElement.id === 'count'");
    browser.js("document.activeElement.select()");
    browser.keys(&format!("3{}", key::ENTER));
    browser.until("three nodes are ready", "document.querySelector('.figures dd').innerText === '3 of 3'");
    tab_to(browser, "document.activeElement.value === 'stop'");
    browser.keys(key::ENTER);
    browser.until("it is asked first", "document.getElementById('confirm').open");
    browser.keys(key::ENTER);
    browser.until("the first answer keeps things as they are", "!document.getElementById('confirm').open");
    let running = lace.run(&["status", "shop", "--format", "json"]).ok().json();
    assert_eq!(running["apps"][0]["families"][0]["wanted"], 3, "{running}");
    browser.go(&format!("{}/nodes", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
    browser.keys("/");
    browser.until("`/` goes to the filter", "document.activeElement.id === 'q'");
}

#[track_caller]
fn tab_to(browser: &Browser, expression: &str) {
    for _ in 0..80 {
        if browser.js(&format!("return Boolean({expression})")) == json!(true) {
            let outline = browser.js("return getComputedStyle(document.activeElement).outlineStyle");
            assert_ne!(outline, json!("none"), "the focus is not seen");
            return;
        }
        browser.keys(key::TAB);
    }
    panic!("80 tabs do not lead to {expression}");
}

/// A form of another page cannot send our header.
fn other_pages_cannot_act(lace: &Lace, browser: &Browser) {
    let send = |headers: &str| {
        browser.js_later(&format!(
            "const body = new URLSearchParams({{verb: 'scale', target: 'shop/web', count: '9'}}); \
             return (await fetch('/act/verb', {{method: 'POST', body, headers: {headers}}})).status"
        ))
    };
    assert_eq!(send("{}"), json!(403));
    assert_eq!(lace.status("shop")["apps"][0]["families"][0]["wanted"], json!(3));
    assert_eq!(browser.console().len(), 1, "the refusal, and nothing else");
}

fn viewers_are_told_why_not(lace: &Lace, browser: &Browser) {
    let made = lace.run(&["token", "create", "looker", "--role", "viewer", "--format", "json"]).ok().json();
    browser.cdp("Network.clearBrowserCookies", json!({}));
    browser.go(&format!("{}/login", lace.url()));
    browser.fill("#token", made["token"].as_str().expect("a token"));
    browser.click("form:has(#token) button");
    browser.says("looker");
    browser.go(&format!("{}/apps/shop/web/web", lace.url()));
    browser.until("the page is live", "document.getElementById('live')?.dataset.state === 'live'");
    browser.fill("#count", "1");
    browser.click("form[aria-label=Scale] button");
    browser.until(
        "the refusal says why",
        "document.querySelector('#said [role=alert]')?.innerText.includes('this is for a deployer')",
    );
}
