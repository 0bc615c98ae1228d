//! Doors of hosts that carry no node: they lead to nodes elsewhere, present the same certificates, and a node ends only
//! when they have let go of it.

use crate::door::signal;
use crate::hosts::Estate;
use crate::lace::{eventually, may_run};
use crate::load::Load;
use crate::page::project;
use crate::tls::{Authority, NAME, curl};
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOST: &str = "web.shop.localhost";

#[test]
fn nodes_that_roll_elsewhere_fail_no_request_of_a_door_without_nodes() {
    if !may_run() {
        return;
    }
    let estate = Estate::new(161);
    let lace = &estate.lace;
    let deploy = |version: &str| {
        let dir = project(lace.files(), version, 4);
        lace.run(&["deploy", "shop", dir.to_str().expect("text")])
    };
    deploy("1").ok();
    let first = estate.host_of_controller();
    assert!(!estate.places("shop").contains(&first), "its door leads elsewhere: {:?}", estate.places("shop"));
    // Downloads are the ones that a node would cut off which stops while another host's door has a request for it.
    let load = Load::begin(lace.door(), HOST, 6, Duration::from_millis(16));
    eventually("the first answers", || load.tally.served.load(Ordering::Relaxed) > 50);
    for version in 2..=7 {
        std::thread::scope(|scope| {
            let rolling = scope.spawn(|| deploy(&version.to_string()));
            std::thread::sleep(Duration::from_millis(500));
            // Whoever is asked to let go of a node, or passes the question on, is there again soon.
            match version {
                4 => lace.kill("server"),
                5 => lace.kill("agent"),
                6 => signal(lace.pid("net"), rustix::process::Signal::TERM),
                _ => {}
            }
            if rolling.join().expect("typed").status != 0 {
                eventually("the command is taken", || deploy(&version.to_string()).status == 0);
            }
        });
        assert_eq!(load.tally.failures(), Vec::<String>::new(), "version {version}");
    }
    let tally = load.end();
    let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let (served, downloaded) = (count(&tally.served), count(&tally.downloaded));
    eprintln!("{served} served, {downloaded} downloads: {:?}", tally.answers());
    assert_eq!(tally.failures(), Vec::<String>::new());
    assert!(tally.posted.load(Ordering::Relaxed) > 5, "posts were at work too");
    assert!(downloaded > 5 && tally.answers().len() > 4, "several nodes and versions: {:?}", tally.answers());

    // The door of a host with nodes and that of one without present the same certificate.
    let authority = Authority::new(lace.files());
    let [chain, key] = authority.issue(NAME);
    lace.run(&["route", "add", "shop/web", NAME, "--port", "8080"]).ok();
    lace.run(&["route", "cert", "add", "shop", NAME, "--cert", &chain, "--key", &key]).ok();
    let tls = lace.door_tls();
    eventually("the door without nodes has it", || {
        curl(lace, &authority, tls, &format!("https://{NAME}:{tls}/")).0 == "200"
    });
    let ca = lace.files().join("ca.pem");
    for name in ["a", "b", "c"] {
        let words = ["curl", "--silent", "--cacert", ca.to_str().expect("text"), "--resolve"];
        let to = [format!("{NAME}:7443:127.0.0.1"), format!("https://{NAME}:7443/")];
        let words = [&words[..], &[&to[0], &to[1]]].concat();
        eventually("another host has it", || estate.ground.said(name, &words).starts_with("web-"));
    }
    for name in ["a", "b", "c"] {
        estate.ground.down_and_nothing_left(lace, name);
    }
    lace.down_and_nothing_left();
}
