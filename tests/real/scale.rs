//! Nodes come and go with the requests.

use crate::lace::{Lace, eventually, may_run};
use crate::load::{Connection, Load};
use crate::page::project_with;
use crate::tls::{Authority, NAME, curl};
use std::time::Duration;

const HOST: &str = "web.shop.localhost";

fn deploy(lace: &Lace, scale: &str) {
    let more = format!("rollout = {{ healthy_for = \"100ms\" }}\nscale = {{ {scale} }}\n");
    let dir = project_with(lace.files(), "1", 1, &more);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
}

fn get(lace: &Lace) -> (u16, String) {
    let asked = Connection::open(lace.door()).and_then(|mut c| c.get(HOST, "/", ""));
    let (status, body, _) = asked.expect("an answer");
    (status, String::from_utf8_lossy(&body).trim().to_owned())
}

fn scaled(lace: &Lace) -> String {
    let events = lace.run(&["events", "--format", "jsonl"]).ok().out;
    events.lines().filter(|line| line.contains("family.scaled")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_family_that_nobody_asks_for_sleeps_and_the_first_request_wakes_it() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(251, 3);
    deploy(&lace, "min = 0, max = 2, idle = \"3s\"");
    eventually("it sleeps", || {
        let status = lace.status("shop");
        let family = &status["apps"][0]["families"][0];
        family["ready"] == 0 && family["nodes"].as_array().is_none_or(Vec::is_empty)
    });
    assert!(scaled(&lace).contains("nobody has asked for 3s"), "{}", scaled(&lace));
    assert_eq!(get(&lace), (200, "web-1 1".to_owned()), "the request waited for its node");
    assert!(scaled(&lace).contains("requests wait for the first node"), "{}", scaled(&lace));
    lace.down_and_nothing_left();
}

#[test]
fn who_sleeps_is_woken_over_tls_and_plain_http_leads_there_meanwhile() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(160, 3);
    deploy(&lace, "min = 0, max = 1, idle = \"3s\"");
    lace.run(&["route", "add", "shop/web", NAME, "--port", "8080"]).ok();
    let authority = Authority::new(lace.files());
    let [chain, key] = authority.issue(NAME);
    lace.run(&["route", "cert", "add", "shop", NAME, "--cert", &chain, "--key", &key]).ok();
    eventually("it sleeps", || {
        let status = lace.status("shop");
        let family = &status["apps"][0]["families"][0];
        family["ready"] == 0 && family["nodes"].as_array().is_none_or(Vec::is_empty)
    });
    let (plain, tls) = (lace.door().port(), lace.door_tls());
    let (status, text) = curl(&lace, &authority, plain, &format!("http://{NAME}:{plain}/"));
    assert!(status == "308" && text.contains(&format!("https://{NAME}:{tls}/")), "{text}");
    let (status, text) = curl(&lace, &authority, tls, &format!("https://{NAME}:{tls}/"));
    assert!(status == "200" && text.contains("web-1"), "the request woke it: {text}");
    lace.down_and_nothing_left();
}

#[test]
fn more_nodes_come_with_more_requests() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(250, 1);
    deploy(&lace, "min = 1, max = 3, target = \"requests_per_node < 10\"");
    eventually("the page is there", || get(&lace).0 == 200);
    let load = Load::begin(lace.door(), HOST, 4, Duration::from_millis(40));
    eventually("three nodes share the load", || lace.ready("shop") == 3);
    let top = lace.run(&["top", "shop", "--doors"]).ok().out;
    // Long names are broken where numbers are wide.
    assert!(top.contains("shop/web/web") && top.contains("web.shop.loc"), "{top}");
    let tally = load.end();
    assert_eq!(tally.failures(), Vec::<String>::new());
    let said = scaled(&lace);
    assert!(said.contains("requests_per_node is") && said.contains("shall be below 10"), "{said}");
    lace.down_and_nothing_left();
}
