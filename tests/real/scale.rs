//! Nodes come and go with the requests.

use crate::lace::{Lace, eventually, may_run};
use crate::load::{Connection, Load};
use crate::page::project_with;
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
    assert!(top.contains("shop/web/web") && top.contains("web.shop.localhost/"), "{top}");
    let tally = load.end();
    assert_eq!(tally.failures(), Vec::<String>::new());
    let said = scaled(&lace);
    assert!(said.contains("requests_per_node is") && said.contains("shall be below 10"), "{said}");
    lace.down_and_nothing_left();
}
