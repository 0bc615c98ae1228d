//! Ways in, providers and pools, made and removed in the browser.

use crate::driver::Browser;
use crate::lace::Lace;
use crate::pages::look_at;
use crate::{live, log_in, may_run, project};
use serde_json::json;

#[test]
fn ways_in_and_places_for_hosts_are_made_from_the_page() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.157.6.0/24", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    let dir = project(&lace, "shop", "echo hello", "");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let browser = Browser::start();
    log_in(&lace, &browser);
    ways_in(&lace, &browser);
    providers_and_pools(&lace, &browser);
    host_of_a_pool(&lace, &browser);
    removed(&browser);
    lace.down_and_nothing_left();
}

fn ways_in(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/routes");
    let add = |host: &str, port: &str| {
        browser.fill("#route-host", host);
        browser.fill("#route-port", port);
        browser.click("#new form button");
    };
    add("no host", "9100");
    let says =
        "document.querySelector('#said [role=alert]')?.innerText.includes('\"no host\" is not a host name')";
    browser.until("what is wrong is named", says);
    assert_eq!(browser.console().len(), 1, "the refusal, and nothing else");
    add("shop.example.com", "9100");
    let row = "document.getElementById('r-shop.example.com/')";
    browser.until("the route is there", row);
    let listed = lace.run(&["route", "list", "shop"]).ok().out;
    assert!(listed.contains("shop.example.com/") && listed.contains("9100"), "{listed}");
    browser.click("[id='r-shop.example.com/'] button[value=remove]");
    browser.click("#confirm button[value=yes]");
    browser.until("the route is gone", &format!("!{row}"));
}

fn providers_and_pools(lace: &Lace, browser: &Browser) {
    live(lace, browser, "/providers");
    browser.click("#new-sim summary");
    browser.fill("#sim-name", "play");
    browser.fill("#sim-region", "moon-1");
    browser.fill("#sim-secret", "very-secret-value");
    browser.click("#new-sim form button");
    browser.until(
        "the provider is there",
        "document.getElementById('provider-play')?.innerText.includes('moon-1')",
    );
    browser.click("#new-pool summary");
    browser.fill("#pool-name", "small");
    browser.fill("#pool-zone", "a");
    browser.fill("#pool-price", "free");
    browser.click("#new-pool form button");
    let refused =
        "document.querySelector('#said [role=alert]')?.innerText.includes('\"free\" is no amount per hour')";
    browser.until("a price is an amount", refused);
    browser.fill("#pool-price", "0.02 EUR");
    browser.fill("#pool-hosts-max", "3");
    browser.write("#pool-attributes", "disk=ssd");
    browser.click("#new-pool form button");
    let pool = "document.getElementById('pool-small')?.innerText";
    let says = |words: &str| format!("{pool}?.includes('{words}')");
    browser.until("the pool is there with its price", &says("0.02 EUR per hour"));
    let told = browser.js(&format!("return {pool}"));
    for words in ["play", "moon-1 / a", "said by a person", "0 of 3", "disk=ssd"] {
        assert!(told.as_str().is_some_and(|text| text.contains(words)), "{words}: {told}");
    }
    browser.click("#change-pool summary");
    browser.fill("#set-price", "0.03 EUR");
    browser.fill("#set-hosts-max", "3");
    browser.click("#change-pool form button");
    browser.until("it has another price", &says("0.03 EUR per hour"));
    let known = lace.run(&["pool", "list", "--format", "json"]).ok().json();
    assert_eq!(
        (&known[0]["hosts_max"], &known[0]["attributes"]["disk"]),
        (&json!(3), &json!("ssd")),
        "{known}"
    );
    assert_eq!(browser.console().len(), 1, "the refusal, and nothing else");
    look_at(lace, browser, "/providers");
    browser.resize(1280, 900, false);
}

/// A host is given to a pool: the map and the overview know its place and its price, and the pool its size.
fn host_of_a_pool(lace: &Lace, browser: &Browser) {
    let hosts = lace.run(&["host", "list", "--format", "json"]).ok().json();
    let page = format!("/hosts/{}", hosts[0]["host"]["name"].as_str().expect("a name"));
    live(lace, browser, &page);
    let chosen = "document.querySelector('#host-pool option[selected]')?.innerText";
    browser.js("document.getElementById('host-pool').value = 'small'");
    browser.click("#pool form button");
    browser.until("it is a host of the pool", &format!("{chosen} === 'small'"));
    browser.says("0.03 EUR per hour");
    look_at(lace, browser, &page);
    browser.resize(1280, 900, false);
    live(lace, browser, "/");
    browser.until(
        "its place heads the map",
        "document.querySelector('#hosts h3')?.innerText.startsWith('play / moon-1 / a')",
    );
    browser.until(
        "an hour of it costs",
        "document.querySelector('.figures').innerText.includes('0.03 EUR per hour')",
    );
    live(lace, browser, "/providers");
    browser.until("the pool has it", "document.getElementById('pool-small').innerText.includes('1 of 3')");
    live(lace, browser, &page);
    browser.js("document.getElementById('host-pool').value = ''");
    browser.click("#pool form button");
    browser.until("it is of no pool", &format!("!{chosen}"));
    live(lace, browser, "/providers");
}

fn removed(browser: &Browser) {
    for (row, gone) in [("#pool-small", "pool-small"), ("#provider-play", "provider-play")] {
        browser.click(&format!("{row} button[value=remove]"));
        browser.click("#confirm button[value=yes]");
        browser.until("it is gone", &format!("!document.getElementById('{gone}')"));
    }
}
