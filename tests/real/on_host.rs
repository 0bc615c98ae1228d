//! Isolation `host`: nodes on the network and the files of their host. That host has a network namespace of its own here, so
//! that no port of this machine is taken.

use crate::cluster::{ball, runners};
use crate::daily::project;
use crate::elixir::pond;
use crate::ground::Ground;
use crate::hosts::Estate;
use crate::lace::{Lace, at_last, eventually, may_run};
use crate::relx;
use std::time::Duration;

/// An installation whose nodes are all on host `a`.
struct House {
    lace: Lace,
    ground: Ground,
}

impl Drop for House {
    fn drop(&mut self) {
        self.ground.end(&self.lace);
    }
}

impl House {
    fn new(net: u8) -> Self {
        let ground = Ground::new(net);
        let lace = Lace::up_reached_at(net, &ground.address());
        let mut house = Self { lace, ground };
        house.ground.join(&house.lace, "a");
        house.ground.whole(&house.lace);
        let hosts = house.lace.run(&["host", "list", "--format", "json"]).ok().json();
        let names = hosts.as_array().expect("a list").iter().map(|host| host["host"]["name"].as_str());
        let first = names.flatten().find(|name| *name != "a").expect("the controller's own").to_owned();
        house.lace.run(&["host", "drain", &first, "--yes"]).ok();
        house
    }

    fn exec(&self, node: &str, script: &str) -> String {
        self.lace.run(&["exec", node, "--", "sh", "-c", script]).ok().out
    }

    fn on_host(&self, script: &str) -> String {
        self.ground.said("a", &["sh", "-c", script])
    }

    /// Processes of the host whose command lines speak of something. Other hosts of the tests are on this machine too, each
    /// with a network of its own.
    fn processes(&self, word: &str) -> usize {
        let script = "own=$(readlink /proc/self/ns/net); for p in /proc/[0-9]*; do \
                      [ \"$(readlink $p/ns/net)\" = \"$own\" ] && tr '\\0' ' ' < $p/cmdline && echo; done 2>/dev/null; true";
        self.on_host(script).lines().filter(|line| line.contains(word)).count()
    }
}

/// Listens on all addresses of its host, and leaves a child behind that nobody waits for.
const SERVES: &str = "echo hello from $(id -u)\nsetsid -f sleep 98765\n\
    python3 -m http.server 9017 --directory /app &";

#[test]
fn a_day_on_the_host_itself() {
    if !may_run() {
        return;
    }
    let house = House::new(175);
    let lace = &house.lace;
    let manifest = "isolation = \"host\"\ncheck = { http = \":9017/\", interval = \"200ms\" }\n\
        secrets = [\"KEY\"]\nfiles = { \"/app/made.conf\" = { content = \"at {{self.address}}\" } }\n\
        stop = { timeout = \"3s\" }\nbefore = [[\"sh\", \"-c\", \"test $(id -u) -gt 1000\"]]";
    let dir = project(lace, "shop", SERVES, manifest);
    let dir = dir.to_str().expect("text");
    lace.run(&["app", "create", "shop"]).ok();
    lace.run_with(&["secret", "set", "shop", "KEY"], "hunter2").ok();
    lace.run(&["deploy", "shop", dir]).ok();
    assert_eq!(lace.ready("shop"), 1);

    // It is a process of the host, as nobody who has rights there; what is its own is where it is in every node.
    let address =
        house.exec("shop/web/1", "cat /app/made.conf").trim().rsplit(' ').next().expect("it").to_owned();
    assert!(house.on_host("ip -4 -o addr").contains(&format!("{address}/32")), "{address}");
    assert!(house.on_host("ss -tln").contains(":9017 "));
    let uid = house.exec("shop/web/1", "id -u");
    assert!(lace.run(&["logs", "shop/web/1"]).ok().out.contains(&format!("hello from {}", after_bar(&uid))));
    assert_eq!(house.processes("sleep 98765"), 1);
    assert!(house.exec("shop/web/1", "cat /run/lace/context.json").contains("hunter2"));
    let host = house.on_host("cat /proc/sys/kernel/hostname");
    assert_eq!(after_bar(&house.exec("shop/web/1", "cat /proc/sys/kernel/hostname")), host.trim());
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", "cat /etc/shadow || exit 9"]).ends(9);
    let found = house.exec("shop/web/1", "getent hosts web-1.web.shop.lace.internal");
    assert!(found.contains(&address), "{found}");
    eventually("the door of the host leads there", || {
        let words = ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}"];
        let url = ["-H", "host: web.shop.localhost", "http://127.0.0.1:7480/made.conf"];
        house.ground.said("a", &[&words[..], &url].concat()) == "200"
    });

    // A second one would want the same port: it is held, and it is said why.
    let scaled = lace.run(&["scale", "shop/web", "2", "--timeout", "3s"]);
    assert_ne!(scaled.status, 0, "{}", scaled.out);
    let why = lace.run(&["why", "shop/web"]).ok().out;
    assert!(why.contains("another node there has port 9017"), "{why}");
    lace.run(&["scale", "shop/web", "1"]).ok();

    // Its agent may die; its process is restarted; what it forked ends with it.
    let started =
        |house: &House| house.on_host("ps axo lstart,pid,args | grep 'http.server 9017' | grep -v grep");
    let before = started(&house);
    let agent = house.on_host(&format!("cat {}/run/agent.json", lace.files().join("a").display()));
    let agent: serde_json::Value = serde_json::from_str(&agent).expect("json");
    house.on_host(&format!("kill -9 {}", agent["pid"]));
    eventually("another agent is there", || lace.run(&["exec", "shop/web/1", "--", "true"]).status == 0);
    assert_eq!(started(&house), before, "the process went on");
    lace.run(&["restart", "shop"]).ok();
    eventually("it is ready again", || lace.ready("shop") == 1 && started(&house) != before);
    assert_eq!(house.processes("sleep 98765"), 1, "of its former life nothing is left");
    lace.run(&["stop", "shop"]).ok();
    eventually("a stop leaves no process", || {
        house.processes("sleep 98765") + house.processes("http.server 9017") == 0
    });
    lace.run(&["start", "shop"]).ok();
    eventually("it is ready again", || lace.ready("shop") == 1);
    lace.run(&["delete", "shop", "--yes"]).ok();
    assert!(house.ground.nodes("a").is_empty(), "{:?}", house.ground.nodes("a"));
    assert_eq!(house.processes("sleep 98765") + house.processes("http.server 9017"), 0);
    assert!(!house.on_host("ip -4 -o addr").contains(&format!("{address}/32")));
    for path in ["/app", "/tmp/erl_crash.dump"] {
        assert!(!std::path::Path::new(path).exists(), "{path} is on the host");
    }
    house.ground.down_and_nothing_left(lace, "a");
}

/// What a node said, without the bar before it.
fn after_bar(said: &str) -> &str {
    said.trim().rsplit("| ").next().unwrap_or_default()
}

#[test]
fn who_may_not_have_nodes_on_hosts_is_told() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(176);
    let dir = project(
        &lace,
        "shop",
        "echo up",
        "isolation = \"host\"\nfiles = { \"/etc/x\" = { content = \"y\" } }",
    );
    let dir = dir.to_str().expect("text");
    let ran = lace.run(&["deploy", "shop", dir]).ends(2);
    assert!(ran.err.contains("/etc/x is the host's"), "{}", ran.err);
    assert!(ran.err.contains("write a path below /app"), "{}", ran.err);
    lace.down_and_nothing_left();
}

#[test]
fn several_erlang_nodes_on_one_host_have_names_of_their_own() {
    if !may_run() {
        return;
    }
    let house = House::new(177);
    let lace = &house.lace;
    let dir = ball(lace);
    let change = |file: &str, from: &str, to: &str| {
        let path = std::path::Path::new(&dir).join(file);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("written");
    };
    // Several on one host: its door listens at the node's own address.
    change(
        "lace.toml",
        "count = ",
        "isolation = \"host\"\nper_host = 5\nenv = { ADDRESS = \"{{self.address}}\" }\ncount = ",
    );
    change(
        "src/court/court_door.erl",
        "gen_tcp:listen(Port, ?LISTEN)",
        "gen_tcp:listen(Port, [{ip, element(2, inet:parse_address(os:getenv(\"ADDRESS\")))} | ?LISTEN])",
    );
    lace.run(&["deploy", "ball", &dir]).ok();
    assert_eq!(lace.ready("ball"), 3);
    let names =
        lace.run(&["exec", "ball/ball", "--", "bin/ball", "eval", "lists:sort([node() | nodes()])"]).ok().out;
    for index in 1..=3 {
        assert_eq!(names.matches(&format!("'ball-{index}@10.177.")).count(), 3, "{names}");
    }
    assert!(runners(lace).iter().all(|name| name.starts_with("ball-1@")), "{:?}", runners(lace));
    let listeners = house.on_host("ss -tln");
    assert_eq!(listeners.matches(":9100 ").count(), 3, "{listeners}");
    assert!(!listeners.contains(":4369 "), "nobody needs an epmd: {listeners}");
    assert_eq!(house.processes("beam.smp"), 3);

    // One is killed: its application moves, and comes back with it.
    let _ = house.lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed node was seen", || lace.run(&["events"]).out.contains("node.exited"));
    at_last(Duration::from_secs(90), "node 1 is back and runs it again", || {
        let all = runners(lace);
        lace.ready("ball") == 3 && all.len() == 3 && all.iter().all(|name| name.starts_with("ball-1@"))
    });
    lace.run(&["beam", "failover", "ball", "--to", "ball/ball/2"]).ok();
    assert!(runners(lace).iter().all(|name| name.starts_with("ball-2@")), "{:?}", runners(lace));
    let said = lace.run(&["beam", "rpc", "ball/ball/3", "erlang", "node"]).ok().out;
    assert!(said.contains("ball-3@10.177."), "{said}");

    lace.run(&["delete", "ball", "--yes"]).ok();
    assert_eq!(house.processes("beam.smp"), 0);
    lace.run(&["deploy", "ball", &dir, "--var", "tls=true"]).ok();
    assert_eq!(lace.ready("ball"), 3);
    assert!(runners(lace).iter().all(|name| name.starts_with("ball-1@")), "{:?}", runners(lace));
    lace.run(&["delete", "ball", "--yes"]).ok();
    assert_eq!(house.processes("beam.smp"), 0);
    assert!(!house.on_host("ss -tuln").contains(":910"), "{}", house.on_host("ss -tuln"));
    assert!(house.ground.nodes("a").is_empty());
    house.ground.down_and_nothing_left(lace, "a");
}

#[test]
fn releases_of_rebar3_and_mix_are_at_home_there() {
    if !may_run() {
        return;
    }
    let house = House::new(178);
    let lace = &house.lace;
    for archive in relx::build(lace) {
        lace.run(&["release", "upload", "ring", &archive.display().to_string()]).ok();
    }
    let dir = lace.files().join("project");
    std::fs::create_dir(&dir).expect("made");
    let manifest = relx::MANIFEST.replace("at = \"/data\" }]", "at = \"/app/data\" }]\nisolation = \"host\"");
    std::fs::write(dir.join("lace.toml"), manifest).expect("written");
    lace.run(&["deploy", "ring", &dir.display().to_string()]).ok();
    assert_eq!(lace.ready("ring"), 2);
    let cluster = lace.run(&["exec", "ring/ring/1", "--", "bin/ring", "eval", "nodes()."]).ok().out;
    assert!(cluster.contains("ring-2@10.178."), "{cluster}");
    // Hot: what the release handler writes lies beside the release, as everything that the node writes there.
    let before = [1, 2].map(|n| relx::asked(lace, n));
    lace.run(&["release", "activate", "ring/ring", "ring@1.1.0"]).ok();
    for (n, before) in (1..).zip(&before) {
        let after = relx::asked(lace, n);
        assert_eq!((&after[0], &after[2]), (&"1.1.0".into(), &before[2]), "the same process");
    }
    lace.run(&["delete", "ring", "--yes"]).ok();

    let dir = pond(lace);
    let path = std::path::Path::new(&dir).join("lace.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replacen("count = ", "isolation = \"host\"\ncount = ", 1)).expect("written");
    lace.run(&["deploy", "pond", &dir]).ok();
    let frogs = ["exec", "pond/pond/1", "--", "bin/pond", "rpc", "IO.inspect(Pond.frogs())"];
    let said = lace.run(&frogs).ok().out;
    assert!((1..=3).all(|n| said.contains(&format!("pond-{n}@10.178."))), "{said}");
    lace.run(&["delete", "pond", "--yes"]).ok();
    assert_eq!(house.processes("beam.smp"), 0);
    house.ground.down_and_nothing_left(lace, "a");
}

#[test]
fn nodes_on_several_hosts_reach_each_other_and_strangers_do_not() {
    if !may_run() {
        return;
    }
    let estate = Estate::new(179);
    let lace = &estate.lace;
    let deploy = |name: &str, line: &str, manifest: &str| {
        let dir = project(lace, name, line, manifest);
        lace.run(&["deploy", name, dir.to_str().expect("text")]).ok();
    };
    // The port that they share has them on different hosts.
    let on_host = "count = 3\nisolation = \"host\"\ncheck = { tcp = \":9017\" }\nstop = { timeout = \"3s\" }";
    deploy("shop", SERVES, on_host);
    deploy("other", "echo up", "count = 3\nselect = \"spread\"");
    for app in ["shop", "other"] {
        assert_eq!(estate.places(app).len(), 3, "{app} is on all hosts");
    }
    let shop = estate.ready("shop");
    for (_, _, address) in &shop {
        eventually("they reach each other", || estate.gets_through("shop/web/1", address, 9017));
        for n in 1..=3 {
            let stranger = format!("other/web/{n}");
            assert!(!estate.gets_through(&stranger, address, 9017), "{stranger} reaches {address}");
        }
    }
    lace.run(&["route", "add", "shop/web", "shop.test", "--port", "9017"]).ok();
    for host in ["a", "b", "c"] {
        let words =
            ["curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", "host: shop.test"];
        let words = [&words[..], &["http://127.0.0.1:7480/"]].concat();
        eventually("the door of each host leads there", || estate.ground.said(host, &words) == "200");
    }
    deploy("shop", SERVES, &format!("{on_host}\nfirewall = [\"tcp:9017 from any\"]"));
    for (_, _, address) in estate.ready("shop") {
        for n in 1..=3 {
            let other = format!("other/web/{n}");
            eventually("an opening is for all", || estate.gets_through(&other, &address, 9017));
        }
    }
    for host in ["a", "b", "c"] {
        estate.ground.down_and_nothing_left(lace, host);
    }
}

/// A service with isolation `host` has what its package wants installed, and its host has not.
#[test]
fn what_a_package_wants_installed_is_there_for_its_node_and_not_on_the_host() {
    if !may_run() {
        return;
    }
    let house = House::new(163);
    let lace = &house.lace;
    // Laid out before, for this state of the host's own packages: the host has no way to a mirror.
    let wanted = "nothing-that-any-mirror-has";
    let name = lace_model::Digest::of_value(&[wanted]).to_string();
    let images = lace.files().join("a/agent/images");
    let meta = std::fs::metadata("/var/lib/dpkg/status").expect("a Debian host");
    let stamp = format!("{:x}-{:x}", std::os::unix::fs::MetadataExt::mtime(&meta), meta.len());
    let usr = images.join(&name).join(stamp).join("usr");
    std::fs::create_dir_all(usr.join("bin")).expect("made");
    let program = usr.join("bin/lace-greets");
    std::fs::write(&program, "#!/bin/sh\necho hello from the layer\n").expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("executable");
    let dir = lace.files().join("greeter");
    std::fs::create_dir_all(dir.join("scripts")).expect("made");
    let text = format!(
        "[package]\nname = \"greeter\"\nversion = \"1\"\n[role.node]\n[script]\nstart = \"scripts/start.sh\"\n\
         install = \"scripts/install.sh\"\n[image]\npackages = [\"{wanted}\"]\nprograms = [\"lace-greets\"]\n"
    );
    std::fs::write(dir.join("package.toml"), text).expect("written");
    let start = "#!/bin/sh\nlace-greets > /app/said\nexec sleep 100000\n";
    let install = "#!/bin/sh\nid -u > /app/installed\n";
    for (name, text) in [("start", start), ("install", install)] {
        let path = dir.join(format!("scripts/{name}.sh"));
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("executable");
    }
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    for (isolation, installs) in [("host", "no"), ("host-root", "0")] {
        let service = format!("[service.{isolation}]\npackage = \"greeter\"\nisolation = \"{isolation}\"\n");
        crate::packages::apply(lace, &service).ok();
        let node = format!("shop/{isolation}/1");
        eventually("its program runs", || {
            let ran = lace.run(&["exec", &node, "--", "cat", "/app/said"]);
            ran.out.contains("hello from the layer")
        });
        let said = house.exec(&node, "cat /app/installed 2>/dev/null || echo no");
        assert_eq!(said.trim(), installs, "only who may be root of the host installs there");
        let seen =
            house.exec(&node, "stat -c '%u %a' /usr/bin/lace-greets /usr/bin/env; touch /usr/x 2>&1 || true");
        assert!(seen.contains("0 755") && seen.contains("Read-only"), "{seen}");
    }
    let there = house.on_host("command -v lace-greets || echo nothing; ls /usr/bin/lace-greets 2>&1 || true");
    assert!(there.contains("nothing"), "{there}");
    // With its nodes it goes, and the layer with the last one.
    lace.run(&["delete", "shop", "--yes"]).ok();
    at_last(Duration::from_secs(90), "the layer is swept away", || !images.join(&name).exists());
    let mounts = house.on_host("cat /proc/mounts");
    assert!(!mounts.contains("lace-greets") && !mounts.contains(&name), "{mounts}");
}
