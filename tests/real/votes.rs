//! A distributed OTP application whose nodes vote: whatever is cut off, two copies never run.
//!
//! The example's server listens on a port while it runs. Copies are counted from outside, in the network namespaces of
//! all nodes, many times a second, and whoever counts two fails the test.

use crate::cluster::ball;
use crate::lace::{Lace, eventually, may_run};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Port 8090 as the kernel's tables write it, in the state of listening.
const LISTENS: &str = ":1F9A 00000000:0000 0A";
/// Between two counts: as often as asked for and a little more.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// The example, told to vote, with a mark that can be seen from outside.
fn voting_ball(lace: &Lace) -> String {
    let dir = ball(lace);
    let change = |file: &str, from: &str, to: &str| {
        let path = Path::new(&dir).join(file);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("written");
    };
    let mark = "init(Type) ->\n    {ok, _} = gen_tcp:listen(8090, [{reuseaddr, true}]),\n";
    change("src/ball/ball_srv.erl", "init(Type) ->\n", mark);
    change("lace.toml", "failover = \"ball\"", "failover = \"ball\", votes = true");
    change("lace.toml", "backups = 2", "backups = 4");
    dir
}

/// Counts copies until it is dropped.
struct Count {
    end: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    counts: u64,
    /// Namespaces of nodes that run a copy now.
    now: Vec<String>,
    /// All moments with more than one.
    two: Vec<String>,
}

impl Count {
    fn begin(lace: &Lace) -> Self {
        let (end, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (label, ended, counted) = (lace.cgroups(), end.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                let now = sure(copies(&label), || copies(&label));
                let mut seen = counted.lock().expect("not poisoned");
                seen.counts += 1;
                if now.len() > 1 {
                    seen.two.push(format!("{now:?} after {:?}", began.elapsed()));
                }
                seen.now = now;
                drop(seen);
                std::thread::sleep(COUNT_EVERY);
            }
        });
        Self { end, seen, thread: Some(thread) }
    }

    /// Who runs it, if one does.
    fn holder(&self) -> Option<String> {
        self.seen.lock().expect("not poisoned").now.first().cloned()
    }

    #[track_caller]
    fn never_two(&self) {
        let seen = self.seen.lock().expect("not poisoned");
        assert!(seen.two.is_empty(), "two copies: {:?}", seen.two);
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Nodes are looked at one after the other: of two that were seen, one may have ended before the other began. Two run at
/// the same moment where both are still there in a second look.
fn sure(first: Vec<String>, again: impl Fn() -> Vec<String>) -> Vec<String> {
    if first.len() < 2 {
        return first;
    }
    let second = again();
    let both: Vec<_> = first.into_iter().filter(|node| second.contains(node)).collect();
    if both.is_empty() { second } else { both }
}

/// The ids of the nodes in which somebody listens on the marked port.
fn copies(cgroups: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    let nodes = cgroups.first().into_iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten());
    for node in nodes.flatten() {
        let procs = std::fs::read_to_string(node.path().join("cgroup.procs")).unwrap_or_default();
        let tables = procs.lines().take(1).flat_map(|pid| {
            ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")))
        });
        if tables.flatten().any(|table| table.contains(LISTENS)) {
            found.push(node.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// What is dropped between nodes, beside everything else; gone with it.
struct Cut(String);

impl Cut {
    fn new(lace: &Lace, pairs: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let cut = Cut(format!("lace_cut_{}", lace.label().replace('-', "_")));
        let rule = |(from, to): &(Ipv4Addr, Ipv4Addr)| format!("ip saddr {from} ip daddr {to} drop\n");
        let rules: String = pairs.iter().map(rule).collect();
        let hook = "type filter hook forward priority -400";
        let table = format!("table ip {} {{\nchain c {{\n{hook}\n{rules}}}\n}}\n", cut.0);
        assert!(Command::new("nft").arg(&table).status().expect("nft").success());
        cut
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "ip", &self.0]).status();
    }
}

/// A node as the status says it.
#[derive(Clone, Debug)]
struct Place {
    id: String,
    index: u64,
    address: Ipv4Addr,
}

fn places(lace: &Lace) -> Vec<Place> {
    let status = lace.status("ball");
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
    let place = |view: &serde_json::Value| {
        let node = &view["status"];
        let text = |key: &str| node[key].as_str().unwrap_or_else(|| panic!("no {key}: {node}")).to_owned();
        let index = text("path").rsplit_once('/').expect("a path").1.parse().expect("an index");
        Place { id: text("id"), index, address: text("address").parse().expect("an address") }
    };
    nodes.iter().map(place).collect()
}

fn index_of(places: &[Place], id: Option<String>) -> Option<u64> {
    let id = id?;
    places.iter().find(|place| place.id == id).map(|place| place.index)
}

/// Every packet between these and the others; one way only where asked.
fn around(places: &[Place], inside: &[u64], out: bool, back: bool) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let (ins, outs): (Vec<_>, Vec<_>) = places.iter().partition(|place| inside.contains(&place.index));
    let mut pairs = Vec::new();
    for (a, b) in ins.iter().flat_map(|a| outs.iter().map(move |b| (a.address, b.address))) {
        pairs.extend(out.then_some((a, b)));
        pairs.extend(back.then_some((b, a)));
    }
    pairs
}

/// Whole again: all ready, one copy, at the first node.
fn whole(lace: &Lace, count: &Count, places: &[Place]) {
    let nodes = places.len() as u64;
    eventually("all are ready and the first runs it", || {
        lace.ready("ball") == nodes && index_of(places, count.holder()) == Some(1)
    });
    count.never_two();
}

/// xorshift64 (Marsaglia, 2003).
fn chance(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

#[test]
#[ignore = "long: a quarter of an hour, or 100 rounds where they take less"]
fn five_nodes_in_rounds_never_run_two_copies() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(226, 1);
    let dir = voting_ball(&lace);
    lace.run(&["deploy", "ball", &dir]).ok();
    let count = Count::begin(&lace);
    // The votes of three become those of five, one at a time, while the copy runs.
    lace.run(&["scale", "ball/ball", "5"]).ok();
    let places = places(&lace);
    whole(&lace, &count, &places);
    let seed = std::env::var("LACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    let rounds = std::env::var("LACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    let (mut state, began) = (seed, Instant::now());
    for round in 1..=rounds {
        if began.elapsed() > Duration::from_secs(15 * 60) {
            break;
        }
        let size = 1 + chance(&mut state, 2);
        let mut inside: Vec<u64> = Vec::new();
        while inside.len() < size as usize {
            let index = 1 + chance(&mut state, 5);
            if !inside.contains(&index) {
                inside.push(index);
            }
        }
        let (out, back) = [(true, true), (true, false), (false, true)][chance(&mut state, 3) as usize];
        let killed = ["agent", "server", ""][chance(&mut state, 3) as usize];
        eprintln!("seed {seed}, round {round}: {inside:?} out {out} back {back}, killed {killed:?}");
        let cut = Cut::new(&lace, &around(&places, &inside, out, back));
        if !killed.is_empty() {
            lace.kill(killed);
        }
        eventually("somebody whom a majority hears runs it", || {
            index_of(&places, count.holder()).is_some_and(|index| !inside.contains(&index))
        });
        count.never_two();
        drop(cut);
        whole(&lace, &count, &places);
    }
    lace.run(&["scale", "ball/ball", "3"]).ok();
    eventually("two have left", || lace.ready("ball") == 3 && count.holder().is_some());
    count.never_two();
    drop(count);
    lace.down_and_nothing_left();
}

#[test]
fn two_copies_never_run_whatever_is_cut_off() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(226, 0);
    let dir = voting_ball(&lace);
    lace.run(&["deploy", "ball", &dir]).ok();
    let count = Count::begin(&lace);
    let places = places(&lace);
    whole(&lace, &count, &places);

    // Cut off with everything, the holder's copy ends before another begins; whole again, the first takes it again.
    let began = Instant::now();
    let cut = Cut::new(&lace, &around(&places, &[1], true, true));
    eventually("another one runs it", || index_of(&places, count.holder()).is_some_and(|index| index != 1));
    eprintln!("cut off: {:?} until another one runs it", began.elapsed());
    count.never_two();
    drop(cut);
    whole(&lace, &count, &places);

    // A holder that is not heard, with no controller and no agent: the process ends all the same.
    let cut = Cut::new(&lace, &around(&places, &[1], true, false));
    lace.kill("server");
    lace.kill("agent");
    eventually("the copy that nobody votes for has ended", || index_of(&places, count.holder()) != Some(1));
    drop(cut);
    whole(&lace, &count, &places);

    // Standbys that are cut off change nothing.
    let cut = Cut::new(&lace, &around(&places, &[3], true, true));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        std::thread::sleep(COUNT_EVERY);
        assert_eq!(index_of(&places, count.holder()), Some(1), "the holder has a majority");
    }
    drop(cut);

    // A process that dies gives its votes back: somebody else is quick.
    let began = Instant::now();
    let _ = lace.run(&["exec", "ball/ball/1", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("another one runs it", || index_of(&places, count.holder()).is_some_and(|index| index != 1));
    eprintln!("killed: {:?} until another one runs it", began.elapsed());
    whole(&lace, &count, &places);
    let counts = count.seen.lock().expect("not poisoned").counts;
    assert!(counts > 100, "counted {counts} times only");
    drop(count);
    lace.down_and_nothing_left();
}
