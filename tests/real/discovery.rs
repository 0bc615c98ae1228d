//! How nodes find each other without Lace: by A records, by SRV records, and by an epmd of their own.

use crate::lace::{Lace, eventually, may_run};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A copy of an example, without what was built in it.
pub fn copy(lace: &Lace, example: &str) -> std::path::PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let to = lace.files().join(example);
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp");
    assert!(copied.success());
    let _ = fs::remove_dir_all(to.join("_build"));
    to
}

/// The m8ball example as a plain release: nothing of CCL fills its settings.
pub fn m8ball(lace: &Lace) -> std::path::PathBuf {
    let dir = copy(lace, "m8ball");
    let vars = "{name, \"m8ball@127.0.0.1\"}.\n{home, \"'m8ball@127.0.0.1'\"}.\n";
    fs::write(dir.join("rel/files/vars.config"), vars).expect("written");
    dir
}

const PONDS: &str = r#"
[application]
name = "find"

[service.pa]
release = { path = "pond", build = [["env", "MIX_ENV=prod", "mix", "release", "--overwrite", "--quiet", "--path", "_build/pond"]], output = "_build/pond", name = "pond" }
count = 3
cpu = 0.2
memory = "200MiB"
beam = { name = "pond", names = "address", join = false, applications = ["pond"] }
env = { POND_QUERY = "pa.find.lace.internal", POND_RECORD = "a" }
stop = { timeout = "5s" }

[service.ps]
release = { path = "pond/_build/pond", name = "pond" }
needs = ["pa"]
count = 3
cpu = 0.2
memory = "200MiB"
beam = { name = "pond", join = false, applications = ["pond"] }
env = { POND_QUERY = "ps.ps.find.lace.internal", POND_RECORD = "srv" }
stop = { timeout = "5s" }
"#;

/// How many other nodes each node of a service sees.
fn seen(lace: &Lace, target: &str) -> Vec<usize> {
    let ran = lace.run(&["beam", "status", target, "--format", "json"]);
    let nodes = if ran.status == 0 { ran.json() } else { return Vec::new() };
    let count = |node: &serde_json::Value| node["nodes"].as_array().map_or(0, Vec::len);
    nodes.as_array().expect("a list").iter().map(count).collect()
}

/// What needs another service is begun when that one is ready.
fn in_order(lace: &Lace) {
    let told = lace.run(&["events"]).ok().out;
    let at = |kind: &str, node: &str| {
        let is_it = |line: &&str| line.contains(kind) && line.contains(&format!(" {node}: "));
        let line = told.lines().find(is_it).unwrap_or_else(|| panic!("no {kind} of {node}: {told}"));
        line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
    };
    let ready = (1..=3).map(|n| at("node.ready", &format!("find/pa/{n}"))).max();
    let begun = (1..=3).map(|n| at("node.running", &format!("find/ps/{n}"))).min();
    assert!(ready < begun, "{told}");
}

#[test]
fn strategies_that_ask_dns_find_all_nodes_and_new_ones() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(227, 0);
    copy(&lace, "pond");
    fs::write(lace.files().join("lace.toml"), PONDS).expect("written");
    lace.run(&["deploy", &lace.files().join("lace.toml").display().to_string()]).ok();
    in_order(&lace);
    for target in ["find/pa", "find/ps"] {
        eventually("everybody found the others", || seen(&lace, target) == [2, 2, 2]);
        // Who finds its mesh itself deviates from no plan.
        let told = lace.run(&["beam", "status", target]).ok().out;
        assert!(!told.contains("not planned") && !told.contains('!'), "{told}");
    }
    let frogs =
        lace.run(&["exec", "find/pa/1", "--", "bin/pond", "rpc", "IO.inspect(Pond.frogs())"]).ok().out;
    assert_eq!(frogs.matches("pond@10.227.").count(), 3, "named by address: {frogs}");
    let frogs =
        lace.run(&["exec", "find/ps/1", "--", "bin/pond", "rpc", "IO.inspect(Pond.frogs())"]).ok().out;
    assert!((1..=3).all(|n| frogs.contains(&format!("pond@ps-{n}.ps.find.lace.internal"))), "{frogs}");
    lace.run(&["scale", "find/pa", "4"]).ok();
    eventually("the new one was found", || seen(&lace, "find/pa") == [3, 3, 3, 3]);
    let _ = lace.run(&["exec", "find/pa/2", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed one is back", || seen(&lace, "find/pa") == [3, 3, 3, 3]);
    // Who is gone has no name any more.
    let records = || {
        let ran = lace.run(&["exec", "find/ps/1", "--", "getent", "ahostsv4", "pa.find.lace.internal"]);
        let mut found: Vec<_> =
            ran.out.split_whitespace().filter(|word| word.starts_with("10.227.")).collect();
        found.sort_unstable();
        found.dedup();
        found.len()
    };
    eventually("four addresses", || records() == 4);
    lace.run(&["scale", "find/pa", "2"]).ok();
    eventually("two addresses", || records() == 2);
    eventually("two that see each other", || seen(&lace, "find/pa") == [1, 1]);
    lace.down_and_nothing_left();
}

const EPMD: &str = r#"
[application]
name = "epmd"

[service.own]
release = { path = "m8ball/rel/m8ball", name = "m8ball" }
count = 2
memory = "128MiB"
beam = { name = "m8ball", epmd = true, replace_loopback = true }
stop = { timeout = "5s" }

[service.none]
release = { path = "m8ball", build = [["./build.sh", "compile"], ["./build.sh", "rel"]], output = "rel/m8ball", name = "m8ball" }
count = 2
memory = "128MiB"
beam = { name = "m8ball", replace_loopback = true }
stop = { timeout = "5s" }

[service.solo]
release = { path = "m8ball/rel/m8ball", name = "m8ball" }
needs = ["none"]
count = 2
memory = "128MiB"
bootstrap = "none"
beam = { name = "m8ball", replace_loopback = true }
stop = { timeout = "5s" }
"#;

/// The names that the epmd of a node knows; nothing where none answers.
fn known(lace: &Lace, node: &str) -> String {
    lace.run(&["exec", node, "--", "epmd", "-names"]).out
}

#[test]
fn an_epmd_in_each_node_or_none_at_all() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(227, 1);
    m8ball(&lace);
    fs::write(lace.files().join("lace.toml"), EPMD).expect("written");
    lace.run(&["deploy", &lace.files().join("lace.toml").display().to_string()]).ok();
    for service in ["own", "none"] {
        assert_eq!(seen(&lace, &format!("epmd/{service}")), [1, 1], "{service} is one cluster");
        let asked = lace.run(&["exec", &format!("epmd/{service}"), "--", "bin/m8ball", "ask"]).ok().out;
        assert_eq!(asked.matches(&format!("m8ball@{service}-")).count(), 2, "{asked}");
    }
    // Who joins nobody is ready by itself.
    assert_eq!(seen(&lace, "epmd/solo"), [0, 0]);
    assert_eq!(lace.run(&["export", "epmd"]).ok().out.matches("bootstrap = \"none\"").count(), 1);
    for node in ["epmd/own/1", "epmd/own/2"] {
        let names = known(&lace, node);
        assert!(names.contains("name m8ball at port 9100") && names.matches("name ").count() == 1, "{names}");
    }
    assert!(!known(&lace, "epmd/none/1").contains("name m8ball"), "no epmd is there");
    // One that died is there again, knows the node again, and the node never left its cluster.
    let old = lace.run(&["exec", "epmd/own/2", "--", "pidof", "epmd"]).ok().out;
    lace.run(&["exec", "epmd/own/2", "--", "sh", "-c", "kill -9 $(pidof epmd)"]).ok();
    eventually("another epmd knows the node", || {
        let now = lace.run(&["exec", "epmd/own/2", "--", "pidof", "epmd"]).out;
        !now.is_empty() && now != old && known(&lace, "epmd/own/2").contains("name m8ball at port 9100")
    });
    assert_eq!(seen(&lace, "epmd/own"), [1, 1]);
    let restarts = lace.status("epmd/own");
    assert!(!restarts.to_string().contains("\"restarts\":1"), "{restarts}");
    lace.down_and_nothing_left();
}

const GROUPS: &str = r#"
[application]
name = "big"

[vars]
right = { default = "3-6" }
rule = { default = "rolling" }

[service.big]
release = { path = "m8ball", build = [["./build.sh", "compile"], ["./build.sh", "rel"]], output = "rel/m8ball", name = "m8ball" }
count = 4
cpu = 0.2
memory = "128MiB"
beam = { name = "m8ball", global_groups = { left = "1-2", right = "{{vars.right}}" }, replace_loopback = true }
rollout = { strategy = "{{vars.rule}}", healthy_for = "500ms" }
stop = { timeout = "5s" }
"#;

#[test]
fn global_groups_share_names_within_and_are_not_connected_to_others() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(234, 2);
    m8ball(&lace);
    fs::write(lace.files().join("lace.toml"), GROUPS).expect("written");
    let file = lace.files().join("lace.toml").display().to_string();
    let ran = lace.run(&["deploy", &file, "--var", "right=2-6"]).ends(2);
    assert!(ran.err.contains("in left and in right"), "{}", ran.err);
    lace.run(&["deploy", &file]).ok();
    let pairs = [vec![named(2)], vec![named(1)], vec![named(4)], vec![named(3)]];
    eventually("two groups of two", || lists(&lace, "nodes") == pairs);
    let rpc = |node: u32, words: &[&str]| {
        let name = format!("big/big/{node}");
        lace.run(&[&["beam", "rpc", name.as_str()], words].concat()).ok().out
    };
    // OTP has them as its own, and each group has a global name of its own.
    for (node, own) in [(1, "left"), (2, "left"), (3, "right"), (4, "right")] {
        let own_group = rpc(node, &["global_group", "info"]);
        assert!(
            own_group.contains(&format!("{{own_group_name,{own}}}")) && own_group.contains("synced"),
            "{own_group}"
        );
        let asked = lace.run(&["exec", &format!("big/big/{node}"), "--", "bin/m8ball", "ask"]).ok().out;
        let mine = if own == "left" { [1, 2] } else { [3, 4] };
        assert!(mine.into_iter().any(|m| asked.contains(&named(m))), "{node}: {asked}");
    }
    let told = lace.run(&["beam", "status", "big"]).ok().out;
    assert!(
        told.contains("(group left)") && told.contains("(group right)") && !told.contains("planned"),
        "{told}"
    );
    // Whoever comes to a group finds its list with those who are there already.
    lace.run(&["scale", "big", "5"]).ok();
    let wanted = [
        vec![named(2)],
        vec![named(1)],
        vec![named(4), named(5)],
        vec![named(3), named(5)],
        vec![named(3), named(4)],
    ];
    eventually("the new one is of the second group", || lists(&lace, "nodes") == wanted);
    let group = rpc(5, &["global_group", "info"]);
    assert!(group.contains("synced"), "{group}");
    // Somebody connects the two by hand: it is told.
    let far = format!("'{}'", named(3));
    rpc(2, &["net_kernel", "connect_node", &far]);
    eventually("it is told", || {
        let told = lace.run(&["beam", "status", "big"]).ok().out;
        told.contains(&format!("big/big/2: sees {}, which is not planned", named(3))) && told.contains('?')
    });
    // Nodes that know other groups would wait for each other for ever: all change over at once, or nobody.
    let change = ["deploy", &file, "--var", "right=3-6 hidden", "--var", "rule=rolling"];
    let ran = lace.run(&change).ends(8);
    assert!(ran.err.contains("know other global groups then than now"), "{}", ran.err);
    lace.run(&["deploy", &file, "--var", "right=3-6 hidden", "--var", "rule=all-at-once"]).ok();
    assert_eq!(lace.ready("big"), 4);
    let pairs = [vec![named(2)], vec![named(1)], vec![named(4)], vec![named(3)]];
    eventually("two groups of two again", || lists(&lace, "nodes") == pairs);
    // Whom a hidden group's node meets outside of it does not see it in the open.
    rpc(2, &["net_kernel", "connect_node", &far]);
    eventually("it is met out of sight", || lists(&lace, "hidden")[1] == [named(3)]);
    assert_eq!(lists(&lace, "nodes")[1], [named(1)]);
    lace.down_and_nothing_left();
}

#[test]
fn clusters_that_are_global_groups_grow_and_change_over_side_by_side() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(234, 3);
    m8ball(&lace);
    let manifest = CLUSTERS
        .replace("count = 6", "count = 2\nrollout = { strategy = \"blue-green\", healthy_for = \"500ms\" }")
        .replace("cluster_size = 3", "cluster_size = 3, global_groups = true");
    let deploy = |text: &str| {
        fs::write(lace.files().join("lace.toml"), text).expect("written");
        lace.run(&["deploy", &lace.files().join("lace.toml").display().to_string()]).ok();
    };
    deploy(&manifest);
    // A third one comes into the first cluster, and a fourth begins the second.
    lace.run(&["scale", "big", "4"]).ok();
    let meshes = [others(1), others(2), others(3), Vec::new()];
    eventually("a cluster of three and one of one", || lists(&lace, "nodes") == meshes);
    for n in 1..=4 {
        let node = format!("big/big/{n}");
        let group = lace.run(&["beam", "rpc", &node, "global_group", "info"]).ok().out;
        let own = format!("{{own_group_name,cluster_{}}}", if n < 4 { 1 } else { 2 });
        assert!(group.contains("synced") && group.contains(&own), "{group}");
    }
    // The new nodes have indexes of their own, and are clusters of the same shape.
    deploy(&manifest.replace("count = 2", "count = 4\nenv = { COLOUR = \"green\" }"));
    let green = |n: usize| named(102 + n);
    let meshes = [vec![green(2), green(3)], vec![green(1), green(3)], vec![green(1), green(2)], Vec::new()];
    eventually("the same with other indexes", || lists(&lace, "nodes") == meshes);
    eventually("their gateways are joined", || {
        lists(&lace, "hidden") == [vec![green(4)], Vec::new(), Vec::new(), vec![green(1)]]
    });
    lace.down_and_nothing_left();
}

const CLUSTERS: &str = r#"
[application]
name = "big"

[service.big]
release = { path = "m8ball", build = [["./build.sh", "compile"], ["./build.sh", "rel"]], output = "rel/m8ball", name = "m8ball" }
count = 6
cpu = 0.2
memory = "128MiB"
beam = { name = "m8ball", cluster_size = 3, replace_loopback = true }
stop = { timeout = "5s" }
"#;

fn named(n: usize) -> String {
    format!("m8ball@big-{n}.big.big.lace.internal")
}

/// Every node's list of names under a key of its report.
fn lists(lace: &Lace, key: &str) -> Vec<Vec<String>> {
    let ran = lace.run(&["beam", "status", "big", "--format", "json"]);
    let nodes = if ran.status == 0 { ran.json() } else { return Vec::new() };
    let texts = |list: &serde_json::Value| {
        let mut texts: Vec<String> =
            list.as_array().into_iter().flatten().filter_map(|t| Some(t.as_str()?.to_owned())).collect();
        texts.sort();
        texts
    };
    nodes.as_array().expect("a list").iter().map(|node| texts(&node[key])).collect()
}

fn others(n: usize) -> Vec<String> {
    let cluster = if n <= 3 { 1..=3 } else { 4..=6 };
    cluster.filter(|other| *other != n).map(named).collect()
}

/// Several gateways: the clusters stay joined when one dies. All of it over TLS.
#[test]
fn clusters_over_tls_have_several_gateways_and_lose_one() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(160, 0);
    let dir = copy(&lace, "pond");
    let mix = fs::read_to_string(dir.join("mix.exs")).expect("read");
    fs::write(dir.join("mix.exs"), mix.replace("[:logger]", "[:logger, :ssl]")).expect("written");
    let manifest = "[application]\nname = \"big\"\n\n[service.big]\n\
        release = { path = \"pond\", build = [[\"env\", \"MIX_ENV=prod\", \"mix\", \"release\", \"--quiet\", \"--path\", \"_build/pond\"]], output = \"_build/pond\", name = \"pond\" }\n\
        count = 6\ncpu = 0.2\nmemory = \"256MiB\"\n\
        beam = { name = \"m8ball\", applications = [\"pond\"], tls = true, cluster_size = 3, gateways = 2 }\n\
        stop = { timeout = \"5s\" }\n";
    fs::write(lace.files().join("lace.toml"), manifest).expect("written");
    lace.run(&["deploy", &lace.files().join("lace.toml").display().to_string()]).ok();
    let meshes: Vec<Vec<String>> = (1..=6).map(others).collect();
    let gate = |n: usize| match n {
        1 | 2 => vec![named(4), named(5)],
        4 | 5 => vec![named(1), named(2)],
        _ => Vec::new(),
    };
    let gates: Vec<Vec<String>> = (1..=6).map(gate).collect();
    let are_whole = || lists(&lace, "nodes") == meshes && lists(&lace, "hidden") == gates;
    eventually("two meshes of three, each gateway joined to both of the others", are_whole);
    let ways = lace.run(&["beam", "rpc", "big/big/1", "erlang", "system_info", "dist_ctrl"]).ok().out;
    assert!(ways.contains('<') && !ways.contains("Port"), "over TLS: {ways}");
    let kill = ["exec", "big/big/1", "--", "sh", "-c", "kill -STOP $(pidof beam.smp)"];
    lace.run(&kill).ok();
    // It is away, and its peers find that out; the other gateway carries on.
    eventually("the clusters stay joined without it", || {
        let hidden = lists(&lace, "hidden");
        hidden.get(3).is_some_and(|of| *of == [named(2)]) && hidden.get(4).is_some_and(|of| *of == [named(2)])
    });
    let told = lace.run(&["beam", "status", "big"]).ok().out;
    assert!(told.contains(&format!("does not see {}", named(1))), "{told}");
    let far = format!("'{}'", named(4));
    let ran = lace.run(&["beam", "rpc", "big/big/2", "rpc", "call", &far, "erlang", "node", "[]"]).ok();
    assert!(ran.out.contains(&named(4)), "{}", ran.out);
    lace.run(&["exec", "big/big/1", "--", "sh", "-c", "kill -KILL $(pidof beam.smp)"]);
    eventually("it is back in all of its places", are_whole);
    lace.down_and_nothing_left();
}

#[test]
fn clusters_keep_to_themselves_and_gateways_join_them_out_of_sight() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(227, 2);
    m8ball(&lace);
    fs::write(lace.files().join("lace.toml"), CLUSTERS).expect("written");
    lace.run(&["deploy", &lace.files().join("lace.toml").display().to_string()]).ok();
    let meshes: Vec<Vec<String>> = (1..=6).map(others).collect();
    let hidden = |n: usize| match n {
        1 => vec![named(4)],
        4 => vec![named(1)],
        _ => Vec::new(),
    };
    let gates: Vec<Vec<String>> = (1..=6).map(hidden).collect();
    eventually("two meshes of three, joined by their gateways", || {
        lists(&lace, "nodes") == meshes && lists(&lace, "hidden") == gates
    });
    // A global name belongs to its cluster: each has its own ball.
    for n in 1..=6 {
        let asked = lace.run(&["exec", &format!("big/big/{n}"), "--", "bin/m8ball", "ask"]).ok().out;
        let mine = if n <= 3 { 1..=3 } else { 4..=6 };
        assert!(mine.into_iter().any(|m| asked.contains(&named(m))), "{n}: {asked}");
    }
    // A message to another cluster makes no connection; through the gateway a call goes over.
    let far = format!("'{}'", named(5));
    let ran = lace.run(&["beam", "rpc", "big/big/2", "rpc", "call", &far, "erlang", "node", "[]"]).ok();
    assert!(ran.out.contains("nodedown"), "{}", ran.out);
    let far = format!("'{}'", named(4));
    let ran = lace.run(&["beam", "rpc", "big/big/1", "rpc", "call", &far, "erlang", "node", "[]"]).ok();
    assert!(ran.out.contains(&named(4)), "{}", ran.out);
    let told = lace.run(&["beam", "status", "big"]).ok().out;
    assert!(told.contains("(cluster 2)") && told.contains('+') && !told.contains("planned"), "{told}");
    // What deviates is said: somebody joins two meshes by hand.
    let far = format!("'{}'", named(6));
    lace.run(&["beam", "rpc", "big/big/3", "net_kernel", "connect_node", &far]).ok();
    eventually("it is told", || {
        let told = lace.run(&["beam", "status", "big"]).ok().out;
        told.contains(&format!("big/big/3: sees {}, which is not planned", named(6))) && told.contains('?')
    });
    lace.down_and_nothing_left();
}
