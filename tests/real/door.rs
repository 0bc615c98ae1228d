//! Requests come in while everything inside changes.

use crate::lace::{Lace, eventually, may_run};
use crate::load::{Connection, Load};
use crate::page::project;
use crate::tls::{Authority, NAME, curl};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const HOST: &str = "web.shop.localhost";

pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("told");
}

/// So many requests, some six hundred a second, while ten nodes roll and controller, agent and door are restarted in turn: none fails.
fn rolls(net: u8, requests: u64) {
    if !may_run() {
        return;
    }
    let lace = Lace::up(net);
    let deploy = |version: &str| {
        let dir = project(lace.files(), version, 10);
        lace.run(&["deploy", "shop", dir.to_str().expect("text")])
    };
    deploy("1").ok();
    let over_tls = encrypted(&lace);
    let began = Instant::now();
    let load = Load::begin(lace.door(), HOST, 10, Duration::from_millis(16));
    let over_h2 = Load::begin_h2(lace.door(), HOST, 2, Duration::from_millis(16));
    let served = || load.tally.served.load(Ordering::Relaxed);
    eventually("the first answers", || served() > 100);
    for version in 2.. {
        std::thread::scope(|scope| {
            let rolling = scope.spawn(|| deploy(&version.to_string()));
            std::thread::sleep(Duration::from_millis(300));
            match version % 4 {
                0 => lace.kill("server"),
                1 => lace.kill("agent"),
                // It hands its sockets over and ends what it has begun.
                2 => signal(lace.pid("net"), rustix::process::Signal::TERM),
                _ => {}
            }
            // A command that was cut off is typed again.
            if rolling.join().expect("typed").status != 0 {
                eventually("the command is taken", || deploy(&version.to_string()).status == 0);
            }
        });
        assert_eq!(load.tally.failures(), Vec::<String>::new(), "version {version}, {} served", served());
        assert_eq!(over_h2.tally.failures(), Vec::<String>::new(), "version {version}, over h2");
        assert_eq!(over_tls.tally.failures(), Vec::<String>::new(), "version {version}, over TLS");
        if version >= 5 && served() >= requests {
            break;
        }
    }
    let (tally, over_h2, over_tls) = (load.end(), over_h2.end(), over_tls.end());
    let rate = served_by(&tally) as f64 / began.elapsed().as_secs_f64();
    let (served, h2, tls) = (served_by(&tally), served_by(&over_h2), served_by(&over_tls));
    eprintln!("{served} served ({rate:.0}/s), {h2} over h2, {tls} over TLS: {:?}", tally.answers());
    assert_eq!(
        (tally.failures(), over_h2.failures(), over_tls.failures()),
        (Vec::<String>::new(), Vec::<String>::new(), Vec::<String>::new())
    );
    assert!(h2 > 1_000 && tls > 1_000, "h2 and TLS were at work: {h2}, {tls}");
    for (tally, how) in [(&tally, "plain"), (&over_tls, "over TLS")] {
        let [echoed, downloaded, posted] =
            [&tally.echoed, &tally.downloaded, &tally.posted].map(|count| count.load(Ordering::Relaxed));
        eprintln!("{how}: {echoed} echoed, {downloaded} downloads, {posted} posts");
        assert!(echoed > 100 && downloaded > 5 && posted > 10, "sockets, downloads and uploads were at work");
    }
    lace.down_and_nothing_left();
}

/// Clients of a route with a certificate, beside those of the plain one.
fn encrypted(lace: &Lace) -> Load {
    let authority = Authority::new(lace.files());
    let [chain, key] = authority.issue(NAME);
    lace.run(&["route", "add", "shop/web", NAME, "--port", "8080"]).ok();
    lace.run(&["route", "cert", "add", "shop", NAME, "--cert", &chain, "--key", &key]).ok();
    let port = lace.door_tls();
    let url = format!("https://{NAME}:{port}/");
    eventually("it is encrypted", || curl(lace, &authority, port, &url).0 == "200");
    let door = ([127, 0, 0, 1], port).into();
    Load::begin_tls(door, NAME, authority.trusted(), 2, Duration::from_millis(16))
}

fn served_by(tally: &crate::load::Tally) -> u64 {
    tally.served.load(Ordering::Relaxed)
}

#[test]
fn rolling_rounds_through_the_door_fail_no_request() {
    rolls(248, 100_000);
}

#[test]
#[ignore = "long: 1,000,000 requests"]
fn long_rolling_rounds_through_the_door_fail_no_request() {
    rolls(249, 1_000_000);
}

#[test]
fn clients_of_h2_notice_nothing_of_a_door_that_hands_over() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(241, 0);
    let dir = project(lace.files(), "1", 2);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let load = Load::begin_h2(lace.door(), HOST, 8, Duration::from_millis(5));
    let served = || served_by(&load.tally);
    eventually("the first answers", || served() > 100);
    for _ in 0..5 {
        let (former, before) = (lace.pid("net"), served());
        signal(former, rustix::process::Signal::TERM);
        eventually("another door is there", || lace.pid("net") != former);
        eventually("it answers", || served() > before + 500);
        assert_eq!(load.tally.failures(), Vec::<String>::new());
    }
    let tally = load.end();
    eprintln!("{} served, {} asked again", served_by(&tally), tally.asked_again.load(Ordering::Relaxed));
    assert_eq!(tally.failures(), Vec::<String>::new());
    lace.down_and_nothing_left();
}

#[test]
fn a_page_is_there_by_the_name_of_its_service_and_while_its_only_node_rolls() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(250);
    let get = || {
        let asked = Connection::open(lace.door()).and_then(|mut c| c.get(HOST, "/", ""));
        asked.map(|(status, body, _)| (status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    let (status, page) = get().expect("a page, not a closed door");
    assert!(status == 404 && page.contains("lace route list"), "{page}");
    let deploy = |version| {
        let dir = project(lace.files(), version, 1);
        lace.run(&["deploy", "shop", dir.to_str().expect("text")])
    };
    deploy("1").ok();
    let answer = |status: u16, text: &str| (status, text.to_owned());
    eventually("the page is there", || get().is_ok_and(|page| page == answer(200, "web-1 1")));
    // The only node goes before its successor comes; requests wait meanwhile.
    let load = Load::begin(lace.door(), HOST, 2, Duration::from_millis(10));
    deploy("2").ok();
    // So do those whose door hands over while they wait: it hears of the node that comes.
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| deploy("3"));
        eventually("nobody answers", || lace.ready("shop") == 0);
        signal(lace.pid("net"), rustix::process::Signal::TERM);
        rolling.join().expect("typed").ok();
    });
    let tally = load.end();
    assert_eq!(tally.failures(), Vec::<String>::new());
    eventually("the new page is there", || get().is_ok_and(|page| page == answer(200, "web-1 3")));
    // The door opens by itself with its last table, though nobody tells it anything.
    for role in ["server", "agent", "net"] {
        lace.kill(role);
    }
    eventually("the page is there", || get().is_ok_and(|page| page == answer(200, "web-1 3")));
    lace.run(&["stop", "shop"]).ok();
    eventually("the page says that it is stopped", || {
        get().is_ok_and(|(status, page)| status == 503 && page.contains("lace start"))
    });
    lace.down_and_nothing_left();
}

#[test]
fn a_node_whose_check_turns_bad_gets_nothing_and_is_nobodys_to_replace_but_the_planners() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(241, 2);
    let dir = project(lace.files(), "1", 3);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let ids = || {
        let nodes = lace.status("shop")["apps"][0]["families"][0]["nodes"].clone();
        let ids = nodes.as_array().expect("nodes").iter().map(|node| node["status"]["id"].to_string());
        ids.collect::<Vec<_>>()
    };
    let before = ids();
    let load = Load::begin(lace.door(), HOST, 6, Duration::from_millis(10));
    let sick = || load.tally.answers().get("web-2 1").copied().unwrap_or(0);
    eventually("all answer", || load.tally.answers().len() == 3 && sick() > 20);
    lace.run(&["exec", "shop/web/2", "--", "touch", "/tmp/sick"]).ok();
    eventually("it is not ready", || lace.ready("shop") == 2);
    // Of what was on its way when the door heard of it something may end later.
    let mut count = sick();
    eventually("it gets nothing", || {
        let (served, at) = (served_by(&load.tally), sick());
        eventually("others do", || served_by(&load.tally) > served + 200);
        let is_still = at == sick() && at == count;
        count = sick();
        is_still
    });
    assert_eq!(ids(), before, "nobody replaced it");
    lace.run(&["exec", "shop/web/2", "--", "rm", "/tmp/sick"]).ok();
    eventually("it gets its part again", || sick() > count + 20);
    assert_eq!(load.end().failures(), Vec::<String>::new());
    lace.down_and_nothing_left();
}

#[test]
fn routes_and_maintenance_are_a_persons_word_away() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(251);
    let dir = project(lace.files(), "1", 2);
    let said = lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let url = format!("http://web.shop.localhost:{}/", lace.door().port());
    assert!(said.err.contains(&url), "{}", said.err);
    assert_eq!(lace.run(&["open", "shop/web"]).ok().out.trim(), url);
    let get = |host: &str| {
        let asked = Connection::open(lace.door()).and_then(|mut c| c.get(host, "/", ""));
        asked.map(|(status, body, _)| (status, String::from_utf8_lossy(&body).into_owned()))
    };
    let status = |host: &str| get(host).map_or(0, |page| page.0);
    assert_eq!((status(HOST), status("shop.example.com")), (200, 404));
    lace.run(&["route", "add", "shop/web", "Shop.Example.com", "--port", "8080"]).ok();
    eventually("the route leads in", || status("shop.example.com") == 200);
    let listed = lace.run(&["route", "list", "--format", "json"]).ok().json();
    assert_eq!(listed[0]["door"], "shop.example.com/", "{listed}");
    // Nothing rolled for it, and nobody else gets it.
    assert_eq!(lace.status("shop")["apps"][0]["families"][0]["revision"], 1, "{}", lace.status("shop"));
    lace.run(&["app", "create", "other"]).ok();
    let other = dir.join("other.toml");
    let manifest = std::fs::read_to_string(dir.join("lace.toml")).expect("read");
    let thief = manifest
        .replace("name = \"shop\"", "name = \"other\"")
        .replace("count = 2", "count = 0\nroutes = [{ host = \"shop.example.com\", port = 8080 }]");
    std::fs::write(&other, thief).expect("written");
    let refused = lace.run(&["deploy", "other", other.to_str().expect("text")]).ends(8);
    assert!(refused.err.contains("shop.example.com/ belongs to shop/web"), "{}", refused.err);
    lace.run(&["maintenance", "on", "shop"]).ok();
    eventually("the page says so", || get(HOST).is_ok_and(|p| p.0 == 503 && p.1.contains("maintenance")));
    lace.run(&["maintenance", "off", "shop"]).ok();
    eventually("it is back", || status(HOST) == 200);
    lace.run(&["route", "remove", "shop/web", "shop.example.com"]).ok();
    eventually("the route is gone", || status("shop.example.com") == 404);
    lace.down_and_nothing_left();
}

#[test]
fn what_a_door_that_ended_still_carries_holds_up_no_other_node_and_comes_to_its_end() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(241, 1);
    let deploy = |version: &str| {
        let dir = project(lace.files(), version, 2);
        lace.run(&["deploy", "shop", dir.to_str().expect("text")])
    };
    deploy("1").ok();
    let dir = project(&lace.files().join("slow"), "1", 1);
    let manifest = std::fs::read_to_string(dir.join("lace.toml")).expect("read");
    let manifest = manifest.replace("\"shop\"", "\"slow\"").replace("\"20s\"", "\"4m\"");
    std::fs::write(dir.join("lace.toml"), manifest).expect("written");
    lace.run(&["deploy", "slow", dir.to_str().expect("text")]).ok();
    let mut slow = Connection::open(lace.door()).expect("an open door");
    assert_eq!(slow.begin("web.slow.localhost", "/big").expect("begun"), (200, crate::page::BIG));
    let former = lace.pid("net");
    signal(former, rustix::process::Signal::TERM);
    eventually("another door is there", || lace.pid("net") != former);
    // Both nodes of the other service go while the former door carries what it began.
    deploy("2").ok();
    let get = || Connection::open(lace.door()).and_then(|mut c| c.get(HOST, "/", ""));
    eventually("it is the new version", || get().is_ok_and(|page| page.1.ends_with(b" 2\n")));
    let log = std::fs::read_to_string(lace.state().join("run/agent.log")).expect("a log");
    assert!(!log.contains("its time is over"), "they were let go of at once: {log}");
    // The node that it takes from is waited for.
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| lace.run(&["stop", "slow"]));
        eventually("it is to stop", || lace.status("slow").to_string().contains("stopping"));
        slow.rest(crate::page::BIG).expect("all of it, by the door that began it");
        stopped.join().expect("typed").ok();
    });
    eventually("the former door has ended", || !Path::new(&format!("/proc/{former}")).exists());
    lace.down_and_nothing_left();
}

#[test]
fn a_door_that_is_killed_fails_what_it_carries_and_nothing_else() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(245);
    let dir = project(lace.files(), "1", 4);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let load = Load::begin(lace.door(), HOST, 10, Duration::from_millis(4));
    let served = || load.tally.served.load(Ordering::Relaxed);
    eventually("the first answers", || served() > 100);
    for kills in 1..=3 {
        let (before, former) = (load.tally.failures().len(), lace.pid("net"));
        lace.kill("net");
        let killed = Instant::now();
        // Its socket is kept: who comes meanwhile waits a moment, and nobody is refused.
        let page = Connection::open(lace.door()).and_then(|mut new| new.get(HOST, "/", ""));
        assert!(page.as_ref().is_ok_and(|page| page.0 == 200), "{page:?}");
        assert!(killed.elapsed() < Duration::from_secs(3), "back after {:?}", killed.elapsed());
        eprintln!("kill {kills}: served again after {:?}", killed.elapsed());
        eventually("it has a successor", || lace.pid("net") != former);
        let now = served();
        eventually("all go on", || served() > now + 200);
        // Ten that ask, one that downloads, one with a socket: each had one connection, and each lost that one at most.
        let failed = load.tally.failures();
        assert!(failed.len() - before <= 12, "kill {kills}: {failed:?}");
        let is_cut = |what: &String| {
            ["cut off", "reset", "fill whole buffer", "socket", "pipe"].iter().any(|w| what.contains(w))
        };
        assert!(failed.iter().all(is_cut), "no page says that something is wrong: {failed:?}");
    }
    let tally = load.end();
    eprintln!("{} served, {:?} failed", served_by(&tally), tally.failures());
    lace.down_and_nothing_left();
}
