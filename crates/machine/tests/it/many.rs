//! Many nodes, and nothing left of them.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use lace_machine::Machine;

use crate::world::{says, world};

fn words(program: &str, args: &[&str]) -> BTreeSet<String> {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What nodes of one installation could leave on the host.
fn traces(installation: &str, links: &[String]) -> Vec<String> {
    let group = format!("lace-{installation}");
    let mut found = Vec::new();
    let mut look = |what: &str, lines: BTreeSet<String>, needle: &str| {
        let lines = lines.into_iter().filter(|l| l.contains(needle));
        found.extend(lines.map(|l| format!("{what}: {l}")));
    };
    look("mount", words("cat", &["/proc/self/mountinfo"]), &format!("/{installation}/"));
    look("cgroup", words("find", &["/sys/fs/cgroup", "-maxdepth", "3", "-name", &group]), &group);
    look("nft", words("nft", &["list", "tables"]), &group);
    look("route", words("ip", &["route"]), "unreachable 10.23");
    for link in links {
        look("link", words("ls", &["/sys/class/net"]), link);
    }
    found
}

#[test]
fn fifty_nodes_start_at_once_and_leave_nothing() {
    let Some(mut world) = world() else { return };
    let before: BTreeSet<String> = words("ls", &["/sys/class/net"]);
    let specs: Vec<_> = (0..50).map(|n| world.spec(n, "exec sleep 1000")).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for chunk in specs.chunks(7) {
            let machine = world.machine();
            scope.spawn(move || {
                for spec in chunk {
                    machine.start(spec).unwrap();
                }
            });
        }
    });
    eprintln!("50 nodes in {:?}", begun.elapsed());
    let states = world.machine().list();
    assert_eq!(states.iter().filter(|s| s.alive && s.veth && s.cgroup).count(), 50);
    let ranges: BTreeSet<_> = states.iter().map(|s| s.uid_base).collect();
    assert_eq!(ranges.len(), 50, "a range was given twice");
    assert_eq!(says(&world.machine().connect("node-49").unwrap(), "hostname"), "n49");
    let pids: Vec<i32> = states.iter().filter_map(|s| s.pid).collect();
    let mine: Vec<String> = words("ls", &["/sys/class/net"]).difference(&before).cloned().collect();
    for n in 0..25 {
        world.machine().remove(&format!("node-{n}")).unwrap();
        world.machine().remove(&format!("node-{n}")).unwrap();
    }
    assert_eq!(world.machine().list().len(), 25);
    world.machine.take().unwrap().close_all().unwrap();
    let own: Vec<String> = mine;
    let left = traces(&world.config.installation, &[]);
    let left: Vec<_> = left.into_iter().filter(|l| !l.starts_with("route")).collect();
    assert!(left.is_empty(), "{left:?}");
    let space = world.config.space.to_string();
    assert!(!words("ip", &["route"]).iter().any(|r| r.contains(&space)));
    let prefix =
        own.iter().map(|l| l[..7].to_owned()).max_by_key(|p| own.iter().filter(|l| l.starts_with(p)).count());
    let prefix = prefix.unwrap();
    assert!(!words("ls", &["/sys/class/net"]).iter().any(|l| l.starts_with(&prefix)));
    for pid in pids {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!comm.contains("pid1"), "{pid} lives");
    }
    assert!(std::fs::read_dir(world.config.state_dir.join("nodes")).unwrap().next().is_none());
}

#[test]
fn half_built_nodes_are_found_and_removed() {
    let Some(world) = world() else { return };
    let dir = world.config.state_dir.join("nodes/half-1/own/upper");
    std::fs::create_dir_all(dir).unwrap();
    let group = format!("lace-{}", world.config.installation);
    let unified = words("find", &["/sys/fs/cgroup", "-maxdepth", "3", "-name", &group]);
    for dir in unified {
        std::fs::create_dir(format!("{dir}/half-2")).unwrap();
    }
    let ids: Vec<_> = world.machine().list().into_iter().map(|n| n.id).collect();
    assert_eq!(ids, ["half-1", "half-2"]);
    assert_eq!(world.machine().sweep(&[]).unwrap(), ["half-1", "half-2"]);
    assert!(world.machine().list().is_empty());
    // What was never there is removed without complaint.
    world.machine().remove("never-was").unwrap();
}

#[test]
fn the_preflight_names_what_it_looks_at() {
    let findings = Machine::preflight();
    for what in ["kernel", "overlayfs", "nft", "cgroup memory", "open files"] {
        assert!(findings.iter().any(|f| f.what == what), "{what}");
    }
    assert!(findings.iter().all(|f| f.remedy.is_empty() == (f.level == lace_machine::Level::Good)));
}
