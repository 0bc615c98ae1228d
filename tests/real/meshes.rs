//! Two revisions of an Erlang family side by side: two clusters that never meet, and one when it is over.

use crate::discovery::{copy, m8ball};
use crate::lace::{Lace, Ran, eventually, may_run};
use std::collections::BTreeSet;
use std::fs;

const TWO: &str = r#"
[application]
name = "two"

[vars]
word = { default = "1" }
strategy = { default = "blue-green" }

[service.two]
release = { path = "m8ball", build = [["./build.sh", "compile"], ["./build.sh", "rel"]], output = "rel/m8ball", name = "m8ball" }
count = 2
cpu = 0.2
memory = "128MiB"
env = { WORD = "{{vars.word}}" }
beam = { name = "m8ball", replace_loopback = true, FAILOVER }
stop = { timeout = "5s" }
rollout = { strategy = "{{vars.strategy}}", healthy_for = "500ms", keep = "300s", revert = true }
"#;

struct Two(Lace);

impl Two {
    fn open(quarter: u8) -> Self {
        let lace = Lace::up_in(234, quarter);
        m8ball(&lace);
        let two = Self(lace);
        two.write("");
        two
    }

    fn write(&self, failover: &str) {
        fs::write(self.0.files().join("lace.toml"), TWO.replace(", FAILOVER", failover)).expect("written");
    }

    fn deploy(&self, more: &[&str]) -> Ran {
        let file = self.0.files().join("lace.toml").display().to_string();
        self.0.run(&[&["deploy", file.as_str()], more].concat())
    }

    /// Who each node sees, in the open or hidden, by the nodes' names without their domain.
    fn seen(&self) -> Vec<(String, BTreeSet<String>)> {
        let ran = self.0.run(&["beam", "status", "two", "--format", "json"]);
        let nodes = if ran.status == 0 { ran.json() } else { return Vec::new() };
        let short = |name: &serde_json::Value| {
            let host = name.as_str()?.split_once('@')?.1;
            Some(host.split('.').next()?.to_owned())
        };
        let node = |node: &serde_json::Value| {
            let list = |key: &str| node[key].as_array().cloned().unwrap_or_default();
            let all = list("nodes").into_iter().chain(list("hidden"));
            (short(&node["name"]).unwrap_or_default(), all.filter_map(|name| short(&name)).collect())
        };
        nodes.as_array().into_iter().flatten().map(node).collect()
    }

    fn sees(&self, groups: &[&[&str]]) -> bool {
        let of = |group: &&[&str]| {
            let all: BTreeSet<String> = group.iter().map(|name| (*name).to_owned()).collect();
            let others = |name: &String| all.iter().filter(|other| *other != name).cloned().collect();
            all.iter().map(|name| (name.clone(), others(name))).collect::<Vec<(_, BTreeSet<_>)>>()
        };
        let mut seen = self.seen();
        seen.sort();
        let mut wanted: Vec<_> = groups.iter().flat_map(of).collect();
        wanted.sort();
        seen == wanted
    }

    fn ping(&self, from: &str, to: &str) -> String {
        let to = format!("'m8ball@{to}.two.two.lace.internal'");
        self.0.run(&["beam", "rpc", from, "net_adm", "ping", &to]).ok().out
    }
}

#[test]
fn blue_and_green_are_two_clusters_until_one_is_left() {
    if !may_run() {
        return;
    }
    let two = Two::open(0);
    two.deploy(&[]).ok();
    eventually("one cluster", || two.sees(&[&["two-1", "two-2"]]));
    two.deploy(&["--var", "word=2", "--timeout", "5s"]).ends(4);
    let (blue, green): (&[&str], &[&str]) = (&["two-1", "two-2"], &["two-101", "two-102"]);
    eventually("each is its own cluster", || two.sees(&[blue, green]));
    // Whoever tries all the same has another cookie.
    for (from, to) in [("two/two/101", "two-1"), ("two/two/2", "two-102")] {
        assert!(two.ping(from, to).contains("pang"), "{from} reached {to}");
    }
    assert!(two.ping("two/two/101", "two-102").contains("pong"));
    assert!(two.sees(&[blue, green]), "{:?}", two.seen());
    // Nothing deviates from the plan, and each has its own global names.
    let told = two.0.run(&["beam", "status", "two"]).ok().out;
    assert!(!told.contains("planned") && !told.contains('!'), "{told}");
    for (node, mine) in [("two/two/1", blue), ("two/two/101", green)] {
        let asked = two.0.run(&["exec", node, "--", "bin/m8ball", "ask"]).ok().out;
        assert!(mine.iter().any(|name| asked.contains(&format!("m8ball@{name}."))), "{node}: {asked}");
    }
    // Going back leaves the old one as it was.
    two.0.run(&["rollout", "abort", "two"]).ok();
    eventually("the old cluster is left", || two.sees(&[blue]));
    two.deploy(&["--var", "word=3", "--timeout", "5s"]).ends(4);
    eventually("two again", || two.sees(&[blue, green]));
    two.0.run(&["rollout", "promote", "two"]).ok();
    eventually("the new cluster is left", || two.sees(&[green]));
    // Who comes later is a member, and who rolls joins.
    two.0.run(&["scale", "two", "3"]).ok();
    let three: &[&str] = &["two-101", "two-102", "two-103"];
    eventually("three of one cluster", || two.sees(&[three]));
    let strategy = ["--var", "strategy=rolling", "--var", "word=4"];
    two.deploy(&strategy).ok();
    eventually("rolled as one cluster", || two.sees(&[green]));
    // Two copies of one application are refused, with what to do instead.
    two.write(", failover = \"m8ball\"");
    let ran = two.deploy(&["--var", "word=5"]).ends(2);
    assert!(
        ran.err.contains("beam.failover and rollout.strategy") && ran.err.contains("rolling"),
        "{}",
        ran.err
    );
    assert!(two.sees(&[green]));
    two.0.down_and_nothing_left();
}

const POND: &str = r#"
[application]
name = "find"

[vars]
word = { default = "1" }

[service.pa]
release = { path = "pond", build = [["env", "MIX_ENV=prod", "mix", "release", "--overwrite", "--quiet", "--path", "_build/pond"]], output = "_build/pond", name = "pond" }
count = 2
cpu = 0.3
memory = "200MiB"
beam = { name = "pond", names = "address", join = false, applications = ["pond"] }
env = { POND_QUERY = "pa.find.lace.internal", POND_RECORD = "a", WORD = "{{vars.word}}" }
stop = { timeout = "5s" }
rollout = { strategy = "blue-green", healthy_for = "500ms", keep = "300s" }
"#;

#[test]
fn who_finds_the_others_by_dns_finds_no_other_revision() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(234, 1);
    copy(&lace, "pond");
    fs::write(lace.files().join("lace.toml"), POND).expect("written");
    let file = lace.files().join("lace.toml").display().to_string();
    let seen = || {
        let ran = lace.run(&["beam", "status", "find", "--format", "json"]);
        let nodes = if ran.status == 0 { ran.json() } else { return Vec::new() };
        let count = |node: &serde_json::Value| node["nodes"].as_array().map_or(0, Vec::len);
        nodes.as_array().into_iter().flatten().map(count).collect()
    };
    lace.run(&["deploy", &file]).ok();
    eventually("both found each other", || seen() == [1, 1]);
    lace.run(&["deploy", &file, "--var", "word=2", "--timeout", "5s"]).ends(4);
    eventually("the new found each other", || seen() == [1, 1, 1, 1]);
    // All are in DNS, so each asks again and again for those of the other revision: it never gets in.
    let asked = ["exec", "find/pa/101", "--", "getent", "ahostsv4", "pa.find.lace.internal"];
    let known = lace.run(&asked).ok().out;
    let known: BTreeSet<_> =
        known.lines().filter_map(|line| line.split("10.234.").nth(1)?.split(' ').next()).collect();
    assert_eq!(known.len(), 4, "{known:?}");
    eventually("it was turned away", || {
        lace.run(&["logs", "find/pa/1"]).out.contains("Connection attempt from")
    });
    assert_eq!(seen(), [1, 1, 1, 1]);
    lace.run(&["rollout", "promote", "find"]).ok();
    eventually("the new are left", || seen() == [1, 1]);
    lace.down_and_nothing_left();
}
