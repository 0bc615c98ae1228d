//! An installation over several hosts that share a network.

use crate::cluster::ball;
use crate::daily::project;
use crate::ground::Ground;
use crate::lace::{Lace, eventually, may_run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

/// An installation with three more hosts, `a`, `b` and `c`, where the controller's machine takes no nodes.
pub struct Estate {
    pub lace: Lace,
    pub ground: Ground,
}

impl Drop for Estate {
    fn drop(&mut self) {
        self.ground.end(&self.lace);
    }
}

impl Estate {
    pub fn new(net: u8) -> Self {
        let ground = Ground::new(net);
        let lace = Lace::up_reached_at(net, &ground.address());
        let mut estate = Self { lace, ground };
        for name in ["a", "b", "c"] {
            estate.ground.join(&estate.lace, name);
        }
        estate.ground.whole(&estate.lace);
        let first = estate.host_of_controller();
        estate.lace.run(&["host", "drain", &first, "--yes"]).ok();
        estate
    }

    fn hosts(&self) -> Vec<Value> {
        let hosts = self.lace.run(&["host", "list", "--format", "json"]).ok().json();
        hosts.as_array().expect("a list").clone()
    }

    pub fn host_of_controller(&self) -> String {
        let others = ["a", "b", "c"];
        let hosts = self.hosts();
        let names = hosts.iter().filter_map(|host| host["host"]["name"].as_str());
        names.into_iter().find(|name| !others.contains(name)).expect("it").to_owned()
    }

    /// Name of the host, id and address of each node of an application's first family that is ready.
    pub fn ready(&self, app: &str) -> Vec<(String, String, String)> {
        let hosts = self.hosts();
        let name = |id: &Value| {
            let host = hosts.iter().find(|host| host["host"]["id"] == *id).expect("a known host");
            host["host"]["name"].as_str().expect("a name").to_owned()
        };
        let family = &self.lace.status(app)["apps"][0]["families"][0];
        let nodes = family["nodes"].as_array().expect("nodes").clone();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let ready = nodes.iter().map(|node| &node["status"]).filter(|s| s["ready"] == true);
        ready.map(|s| (name(&s["host"]), text(&s["id"]), text(&s["address"]))).collect()
    }

    pub fn places(&self, app: &str) -> BTreeSet<String> {
        self.ready(app).into_iter().map(|(host, ..)| host).collect()
    }

    fn exec(&self, node: &str, words: &[&str]) -> String {
        self.lace.run(&[&["exec", node, "--"], words].concat()).ok().out
    }

    pub fn gets_through(&self, node: &str, address: &str, port: u16) -> bool {
        let script = format!("import socket; socket.create_connection(('{address}', {port}), 2)");
        self.lace.run(&["exec", node, "--", "python3", "-c", &script]).status == 0
    }
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// A service that listens, `count` nodes.
const LISTENS: &str = "python3 -m http.server 9000 --directory /srv &";

#[test]
fn replaceable_nodes_leave_a_silent_host_and_pinned_ones_wait() {
    if !may_run() {
        return;
    }
    let estate = Estate::new(180);
    let lace = &estate.lace;
    let deploy = |name: &str, manifest: &str| {
        let dir = project(lace, name, LISTENS, manifest);
        lace.run(&["deploy", name, dir.to_str().expect("text")]).ok();
    };
    deploy("shop", "count = 3\nselect = \"spread\"");
    deploy("other", "count = 3\nfirewall = [\"tcp:9000 from any\"]");
    deploy("keep", "count = 3\nstate = \"pinned\"");
    for app in ["shop", "other", "keep"] {
        assert_eq!(estate.places(app), names(&["a", "b", "c"]), "{app} is spread");
    }

    // Names and firewall hold between hosts.
    let shop = estate.ready("shop");
    let found = estate.exec("shop/web/1", &["getent", "hosts", "web-3.web.shop.lace.internal"]);
    assert!(shop.iter().any(|(_, _, address)| found.contains(address.as_str())), "{found}");
    eventually("nodes of an application reach each other", || {
        shop.iter().all(|(_, _, address)| estate.gets_through("shop/web/1", address, 9000))
    });
    for (_, _, address) in estate.ready("other") {
        assert!(estate.gets_through("shop/web/1", &address, 9000), "open to everybody");
    }
    for (_, _, address) in shop {
        assert!(!estate.gets_through("other/web/1", &address, 9000), "closed to others");
    }

    // A certificate is presented by the doors of all hosts that carry the application.
    let authority = crate::tls::Authority::new(lace.files());
    let [chain, key] = authority.issue(crate::tls::NAME);
    lace.run(&["route", "add", "shop/web", crate::tls::NAME, "--port", "9000"]).ok();
    lace.run(&["route", "cert", "add", "shop", crate::tls::NAME, "--cert", &chain, "--key", &key]).ok();
    let ca = lace.files().join("ca.pem");
    for host in ["a", "b", "c"] {
        let at = format!("{}:7443:127.0.0.1", crate::tls::NAME);
        let url = format!("https://{}:7443/", crate::tls::NAME);
        let ca = ca.to_str().expect("text");
        let words = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca];
        let words = [&words[..], &["--resolve", &at, &url]].concat();
        eventually("it leads in, encrypted", || estate.ground.said(host, &words) == "200");
    }

    // A host vanishes.
    let lost: Vec<String> = estate.ready("shop").into_iter().filter(|n| n.0 == "b").map(|n| n.1).collect();
    let began = Instant::now();
    estate.ground.cable("b", false);
    eventually("it is noticed", || {
        estate.hosts().iter().any(|h| h["host"]["name"] == "b" && h["liveness"]["connected"] == false)
    });
    eprintln!("noticed after {:?}", began.elapsed());
    eventually("its node runs elsewhere", || {
        let nodes = estate.ready("shop");
        nodes.iter().filter(|n| n.0 != "b" && !lost.contains(&n.1)).count() == 3
    });
    eprintln!("elsewhere after {:?}", began.elapsed());
    let why = lace.run(&["why", "keep/web"]).ok().out;
    assert!(why.contains("stays on the silent host b: its state is pinned"), "{why}");
    let kept = estate.ground.nodes("b");
    assert!(lost.iter().all(|id| kept.contains(id)), "the nodes there go on");

    // It returns: what was replaced goes, what waited is there.
    estate.ground.cable("b", true);
    eventually("what was replaced is removed", || {
        let nodes = estate.ground.nodes("b");
        lost.iter().all(|id| !nodes.contains(id))
    });
    eventually("what waited is there", || estate.places("keep") == names(&["a", "b", "c"]));

    // Draining moves nodes one by one, never fewer than two are ready.
    lace.run(&["host", "drain", "a", "--yes"]).ok();
    eventually("shop has left a", || {
        let nodes = estate.ready("shop");
        assert!(nodes.len() >= 2, "one at a time: {nodes:?}");
        nodes.len() == 3 && nodes.iter().all(|n| n.0 != "a")
    });
    lace.run(&["delete", "keep", "--yes"]).ok();
    lace.run(&["delete", "other", "--yes"]).ok();
    eventually("nothing is left on a", || estate.ground.nodes("a").is_empty());
    lace.run(&["host", "remove", "a", "--yes"]).ok();
    eventually("a has left nothing", || estate.ground.is_clean("a").is_ok());
    for name in ["b", "c"] {
        estate.ground.down_and_nothing_left(lace, name);
    }
    lace.down_and_nothing_left();
}

#[test]
fn a_cluster_over_three_hosts_fails_over_when_one_is_cut_off_and_heals() {
    if !may_run() {
        return;
    }
    let estate = Estate::new(181);
    let lace = &estate.lace;
    let dir = ball(lace);
    let manifest = std::path::Path::new(&dir).join("lace.toml");
    let text = std::fs::read_to_string(&manifest).expect("read");
    let voted = text.replace("failover = \"ball\"", "failover = \"ball\", votes = true");
    let voted = voted.replace("backups = 2", "backups = 4");
    std::fs::write(&manifest, voted).expect("written");
    lace.run(&["deploy", "ball", &dir, "--var", "nodes=5"]).ok();
    assert_eq!(estate.places("ball"), names(&["a", "b", "c"]));
    let runs = |node: u32| {
        let ran =
            lace.run(&["exec", &format!("ball/ball/{node}"), "--", "bin/ball", "rpc", "ball_srv", "ask"]);
        ran.out.split_once("{'").and_then(|(_, rest)| Some(rest.split_once('\'')?.0.to_owned()))
    };
    let peers = estate.exec("ball/ball/1", &["bin/ball", "eval", "length(nodes())"]);
    assert!(peers.contains('4'), "all know each other: {peers}");
    eventually("the first runs it", || runs(2).is_some_and(|name| name.starts_with("ball@ball-1.")));

    let of_first = estate.ready("ball").into_iter().zip(1..).collect::<Vec<_>>();
    let host = of_first[0].0.0.clone();
    let away: Vec<u32> = of_first.iter().filter(|(n, _)| n.0 == host).map(|(_, index)| *index).collect();
    let stays = (1..=5).find(|index| !away.contains(index)).expect("another host");
    let began = Instant::now();
    estate.ground.cable(&host, false);
    eventually("another one runs it", || {
        runs(stays).is_some_and(|name| !away.iter().any(|n| name.starts_with(&format!("ball@ball-{n}."))))
    });
    eprintln!("failed over after {:?}", began.elapsed());
    estate.ground.cable(&host, true);
    eventually("all are ready and the first runs it again", || {
        lace.ready("ball") == 5 && runs(stays).is_some_and(|name| name.starts_with("ball@ball-1."))
    });
    eprintln!("whole after {:?}", began.elapsed());
    for name in ["a", "b", "c"] {
        estate.ground.down_and_nothing_left(lace, name);
    }
    lace.down_and_nothing_left();
}
