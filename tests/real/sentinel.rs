//! redis with sentinels: the primary goes for good, a replica takes its place, and who writes goes on writing.

use crate::lace::{Lace, at_last, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A package that counts up in what it links, and asks the sentinels of its link whom to ask. What was acknowledged it writes down.
fn writer(dir: &Path) {
    for sub in ["scripts", "templates"] {
        fs::create_dir_all(dir.join(sub)).expect("made");
    }
    let text = "[package]\nname = \"writer\"\nversion = \"1\"\n[role.writer]\n[consumes.store]\ninterface = \"redis\"\n\
                required = true\n[template]\n\"/run/sentinels\" = \"templates/sentinels.j2\"\n[script]\n\
                start = \"scripts/start.sh\"\n[image]\npackages = [\"redis-tools\"]\n";
    let sentinels = "export REDISCLI_AUTH='{{ links.store.password }}'\n\
                     sentinels='{{ links.store.roles.sentinel|join(' ') }}'\nport={{ links.store.ports.sentinel }}\n";
    let start = "#!/bin/sh\n. /run/sentinels\nwhile :; do\nfor s in $sentinels; do\n\
                 at=$(timeout 1 redis-cli -h \"$s\" -p \"$port\" sentinel get-master-addr-by-name main 2>/dev/null | head -n 1)\n\
                 [ -n \"$at\" ] && break\ndone\n\
                 n=$(timeout 1 redis-cli -h \"$at\" incr counter 2>/dev/null)\n\
                 case $n in ''|*[!0-9]*) ;; *) echo \"$n\" >> /tmp/acknowledged ;; esac\nsleep 0.05\ndone\n";
    fs::write(dir.join("package.toml"), text).expect("written");
    fs::write(dir.join("templates/sentinels.j2"), sentinels).expect("written");
    let path = dir.join("scripts/start.sh");
    fs::write(&path, start).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
}

const MANIFEST: &str = "[service.cache]\npackage = \"redis\"\nsettings = { append = true }\n[service.cache.family.replica]\n\
    count = 2\n[service.cache.family.sentinel]\ncount = 3\n[service.app]\npackage = \"writer\"\n\
    links = { store = \"cache\" }\n";

#[test]
fn a_primary_that_is_gone_is_replaced_and_writers_go_on() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.163.4.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let dir = lace.files().join("writer");
    writer(&dir);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, MANIFEST).ok();
    let redis = |node: &str, words: &str| {
        let words = format!("REDISCLI_AUTH=$LACE_PASSWORD_REDIS redis-cli {words}");
        lace.run(&["exec", &format!("shop/cache/{node}"), "--", "sh", "-c", &words]).out
    };
    let written = || -> Vec<u64> {
        let ran = lace.run(&["exec", "shop/app/1", "--", "cat", "/tmp/acknowledged"]);
        ran.out.lines().filter_map(|line| line.trim().parse().ok()).collect()
    };
    at_last(Duration::from_secs(60), "it writes", || written().len() > 20);
    let is_primary = |node: &str| redis(node, "info replication").contains("role:master");
    let knows = |n: u8| redis(&format!("sentinel/{n}"), "-p 26379 info sentinel");
    eventually("sentinels know all", || (1..=3).all(|n| knows(n).contains("slaves=2,sentinels=3")));
    assert!(is_primary("primary/1") && !is_primary("replica/1") && !is_primary("replica/2"));

    // It hangs without a word, then goes for good.
    lace.run(&["node", "signal", "shop/cache/primary/1", "STOP"]).ok();
    let (began, before) = (Instant::now(), written());
    let last = *before.last().expect("some");
    at_last(Duration::from_secs(60), "it goes on writing", || {
        written().last().is_some_and(|n| *n > last + 20)
    });
    let took = began.elapsed();
    let new = ["replica/1", "replica/2"].into_iter().find(|node| is_primary(node)).expect("a new primary");
    let numbers = written();
    let lost = numbers.windows(2).filter(|two| two[1] <= two[0]).count();
    println!("writes go on {took:?} after the primary hangs; acknowledged numbers that came again: {lost}");
    assert!(lost <= 1, "what was acknowledged is there: {lost}");
    lace.run(&["stop", "shop/cache/primary", "--yes"]).ok();
    eventually("it goes on without it", || written().len() > numbers.len() + 10);

    // It comes back, as a replica of the new one.
    lace.run(&["start", "shop/cache/primary"]).ok();
    eventually("the old primary follows", || {
        let said = redis("primary/1", "info replication");
        said.contains("role:slave") && said.contains("master_link_status:up")
    });
    assert!(redis("primary/1", "set key mine").contains("READONLY"));
    lace.run(&["wait", "shop", "--for", "healthy", "--timeout", "60s"]).ok();

    // A copy of what the new primary holds; what came after it is gone with a restore, on all nodes, and writers go on.
    assert!(redis(new, "set kept here").contains("OK"));
    let ran = lace.run(&["service", "backup", "shop/cache"]).ok();
    assert!(ran.out.contains("holds"), "{}", ran.out);
    redis(new, "set later there");
    redis(new, "del kept");
    let ran = lace.run(&["service", "restore", "shop/cache", "latest", "--yes"]).ok();
    assert!(ran.out.contains(new), "the primary took it: {}", ran.out);
    for node in ["primary/1", "replica/1", "replica/2"] {
        eventually("it is as it was", || {
            redis(node, "get kept").contains("here") && redis(node, "exists later").trim() == "0"
        });
    }
    let count = written().len();
    eventually("it goes on writing", || written().len() > count + 10);
    assert!(is_primary(new), "a restore is no failover");
    // It was no dream: after a crash of the primary the copy is still there.
    lace.run(&["node", "signal", &format!("shop/cache/{new}"), "KILL"]).ok();
    eventually("it is still there", || redis(new, "get kept").contains("here"));
    eventually("the figures say who is the primary", || {
        let said = lace.run(&["metrics", "shop/cache", "--format", "json"]).ok().json();
        let said = said.as_array().cloned().unwrap_or_default();
        let is = |line: &&serde_json::Value| line["name"] == "primary" && line["value"] == 1.0;
        said.iter().filter(is).count() == 1 && said.iter().any(|line| line["name"] == "used_memory")
    });
    lace.down_and_nothing_left();
}
