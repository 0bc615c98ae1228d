//! Distributed OTP applications whose nodes vote: whatever is cut off, two copies never run.
//!
//! The example's server listens on a port while it runs, another one for each application. Copies are counted from outside,
//! in the network namespaces of all nodes, many times a second, and whoever counts two fails the test.

use crate::cluster::ball;
use crate::lace::{Lace, at_last, eventually, may_run};
use rustix::process::{Pid, Signal, kill_process};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two counts: as often as asked for and a little more.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// An application: its name, and the port that its copy listens on.
#[derive(Clone, Copy)]
struct App {
    name: &'static str,
    port: u16,
}

const BALL: App = App { name: "ball", port: 8090 };
const TWO: App = App { name: "two", port: 8091 };
const THREE: App = App { name: "three", port: 8093 };
const FIVE: App = App { name: "five", port: 8095 };

impl App {
    /// The example with a mark that can be seen from outside, deployed with so many nodes. The service is called `ball` in all.
    fn deploy(self, lace: &Lace, nodes: u32, beam: &str) {
        let dir = ball(lace);
        let own = lace.files().join(format!("app-{}", self.name));
        std::fs::rename(dir, &own).expect("moved");
        let change = |file: &str, from: &str, to: &str| {
            let path = own.join(file);
            let text = std::fs::read_to_string(&path).expect("readable");
            assert!(text.contains(from), "{file} has no {from}");
            std::fs::write(path, text.replacen(from, to, 1)).expect("written");
        };
        let port = self.port;
        let mark = format!("init(Type) ->\n    {{ok, _}} = gen_tcp:listen({port}, [{{reuseaddr, true}}]),\n");
        change("src/ball/ball_srv.erl", "init(Type) ->\n", &mark);
        change("lace.toml", "name = \"ball\"", &format!("name = \"{}\"", self.name));
        change("lace.toml", "backups = 2, net_ticktime = 8", &format!("backups = 4, {beam}"));
        let nodes = format!("nodes={nodes}");
        lace.run(&["deploy", self.name, &own.display().to_string(), "--var", &nodes]).ok();
    }

    /// Its family.
    fn family(self) -> String {
        format!("{}/ball", self.name)
    }

    fn places(self, lace: &Lace) -> Vec<Place> {
        let status = lace.status(self.name);
        let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(Place::of).collect()
    }

    /// The port as the kernel's tables write it, in the state of listening.
    fn listens(self) -> String {
        format!(":{:04X} 00000000:0000 0A", self.port)
    }
}

/// Counts copies of some applications until it is dropped.
struct Count {
    began: Instant,
    end: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Seen {
    app: App,
    counts: u64,
    /// The longest time between two counts.
    longest: Duration,
    last: Instant,
    /// Ids of nodes that run a copy now.
    now: Vec<String>,
    /// All moments with more than one.
    two: Vec<String>,
}

impl Seen {
    fn counted(&mut self, now: Vec<String>, began: Instant) {
        self.counts += 1;
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
        if now.len() > 1 {
            self.two.push(format!("{now:?} after {:?}", began.elapsed()));
            // At once: whatever else goes wrong now, no second try makes it well.
            std::fs::write(two_seen(), &self.two[0]).expect("written");
        }
        self.now = now;
    }
}

/// Where the sight of two copies is kept for further tries of the same run: no second try makes it well.
fn two_seen() -> PathBuf {
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("two-copies-{run}"))
}

impl Count {
    fn begin(lace: &Lace, apps: &[App]) -> Self {
        let before = std::fs::read_to_string(two_seen()).ok();
        assert!(before.is_none(), "an earlier try of this run counted two: {before:?}");
        let fresh = |app: &App| Seen {
            app: *app,
            counts: 0,
            longest: Duration::ZERO,
            last: Instant::now(),
            now: Vec::new(),
            two: Vec::new(),
        };
        let seen = Arc::new(Mutex::new(apps.iter().map(fresh).collect::<Vec<_>>()));
        let end = Arc::new(AtomicBool::new(false));
        let (label, ended, counted) = (lace.cgroups(), end.clone(), seen.clone());
        let apps = apps.to_vec();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                for (n, app) in apps.iter().enumerate() {
                    let listens = app.listens();
                    let now = sure(copies(&label, &listens), || copies(&label, &listens));
                    let mut seen = counted.lock().expect("not poisoned");
                    seen[n].counted(now, began);
                }
                std::thread::sleep(COUNT_EVERY);
            }
        });
        Self { began: Instant::now(), end, seen, thread: Some(thread) }
    }

    /// Who runs it, if one does.
    fn holder(&self, app: App) -> Option<String> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().find(|seen| seen.app.port == app.port).and_then(|seen| seen.now.first().cloned())
    }

    #[track_caller]
    fn never_two(&self) {
        for seen in self.seen.lock().expect("not poisoned").iter() {
            assert!(seen.two.is_empty(), "two copies of {}: {:?}", seen.app.name, seen.two);
        }
    }

    /// They were counted at all.
    #[track_caller]
    fn end(self) {
        self.never_two();
        for seen in self.seen.lock().expect("not poisoned").iter() {
            assert!(seen.counts > 100, "{} was counted {} times only", seen.app.name, seen.counts);
            let (name, counts, longest) = (seen.app.name, seen.counts, seen.longest);
            let mean = seen.last.duration_since(self.began) / u32::try_from(counts).expect("small");
            eprintln!("{name}: counted {counts} times, each {mean:?}, once not for {longest:?}");
        }
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
fn copies(cgroups: &[PathBuf], listens: &str) -> Vec<String> {
    let mut found = Vec::new();
    let nodes = cgroups.first().into_iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten());
    for node in nodes.flatten() {
        let procs = std::fs::read_to_string(node.path().join("cgroup.procs")).unwrap_or_default();
        // All of a node share its network; one that has just ended has no tables any more.
        let table = |pid: &str, table: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{table}"));
        let tables = procs
            .lines()
            .find_map(|pid| Some([table(pid, "tcp").ok()?, table(pid, "tcp6").unwrap_or_default()]));
        if tables.is_some_and(|tables| tables.iter().any(|table| table.contains(listens))) {
            found.push(node.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// What is dropped between nodes, beside everything else; gone with it.
struct Cut(String);

impl Cut {
    fn new(lace: &Lace, app: App, pairs: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let cut = Cut(format!("lace_cut_{}_{}", lace.label().replace('-', "_"), app.name));
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

/// A node's cable that is out: its link on the host is down; in again with its end.
struct Unplugged {
    link: String,
    route: Vec<String>,
}

impl Unplugged {
    fn new(place: &Place) -> Self {
        let text = |words: &[&str]| {
            let out = Command::new("ip").args(words).output().expect("ip").stdout;
            String::from_utf8_lossy(&out).trim().to_owned()
        };
        // The kernel forgets the route with the link.
        let route: Vec<_> = text(&["route", "show", &format!("{}/32", place.address)])
            .split_whitespace()
            .map(str::to_owned)
            .filter(|word| word != "linkdown")
            .collect();
        let at = route.iter().position(|word| word == "dev").expect("a route to the node");
        let link = route[at + 1].clone();
        assert!(Command::new("ip").args(["link", "set", &link, "down"]).status().expect("ip").success());
        Self { link, route }
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "set", &self.link, "up"]).status();
        let _ = Command::new("ip").args(["route", "replace"]).args(&self.route).status();
    }
}

/// A role that does nothing; goes on with its end.
struct Frozen(Pid);

impl Frozen {
    fn new(lace: &Lace, role: &str) -> Self {
        let pid = Pid::from_raw(lace.pid(role)).expect("a pid");
        kill_process(pid, Signal::STOP).expect("stopped");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// A node as the status says it.
#[derive(Clone, Debug)]
struct Place {
    id: String,
    index: u64,
    address: Ipv4Addr,
}

impl Place {
    fn of(view: &serde_json::Value) -> Self {
        let node = &view["status"];
        let text = |key: &str| node[key].as_str().unwrap_or_else(|| panic!("no {key}: {node}")).to_owned();
        let index = text("path").rsplit_once('/').expect("a path").1.parse().expect("an index");
        Self { id: text("id"), index, address: text("address").parse().expect("an address") }
    }

    /// SIGKILL for its PID 1, and with it for everything in it.
    fn kill_first(&self, lace: &Lace) {
        assert!(self.is_killed(lace), "there is a PID 1");
    }

    /// The same for whichever there is now: false where it is between two lives.
    fn is_killed(&self, lace: &Lace) -> bool {
        let is_first = |pid: &i32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            numbers.is_some_and(|numbers| numbers.split_whitespace().last() == Some("1"))
        };
        let procs = lace.cgroups()[0].join(&self.id).join("cgroup.procs");
        let procs = std::fs::read_to_string(procs).unwrap_or_default();
        let pid = procs.lines().filter_map(|pid| pid.parse().ok()).find(is_first);
        pid.is_some_and(|pid| kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).is_ok())
    }
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

/// Where OTP waits for who was cut off, a holder tries to start and to stop for 20 s each before it is ended, and boots that
/// hang are begun again after 8 s, one after the other where several do.
const HEALS_WITHIN: Duration = Duration::from_secs(180);

/// Whole again: all ready, one copy, at the first node.
fn whole(lace: &Lace, count: &Count, app: App, places: &[Place]) {
    let nodes = places.len() as u64;
    at_last(HEALS_WITHIN, &format!("all of {} are ready and the first runs it", app.name), || {
        index_of(places, count.holder(app)) == Some(1) && lace.ready(app.name) == nodes
    });
    count.never_two();
}

/// A kernel's table that is read while sockets come and go may lack one: that nobody runs a copy is believed at the third
/// look. A hand-over takes longer.
const MISSES: u32 = 3;

/// Looks for a copy that has to stay at a node; how often it was missed in a row.
#[track_caller]
fn misses(holder: Option<u64>, index: u64, misses: u32, what: &str) -> u32 {
    let missed = if holder.is_none() { misses + 1 } else { 0 };
    assert!(
        holder == Some(index) || (1..MISSES).contains(&missed),
        "{what}: node {holder:?} instead of {index}"
    );
    missed
}

/// For so long it stays where it is.
#[track_caller]
fn stays(count: &Count, app: App, places: &[Place], index: u64, seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut missed = 0;
    while Instant::now() < until {
        std::thread::sleep(COUNT_EVERY);
        missed = misses(index_of(places, count.holder(app)), index, missed, app.name);
    }
}

/// xorshift64 (Marsaglia, 2003).
fn chance(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

/// Packets of a node that are dropped: those that go out, those that come back.
const WAYS: [(bool, bool); 3] = [(true, true), (true, false), (false, true)];

/// What goes wrong in one family in one round.
struct Trouble {
    words: String,
    /// Who may run the copy then, at last.
    heirs: Vec<u64>,
    _cut: Option<Cut>,
    _links: Vec<Unplugged>,
}

impl Trouble {
    /// The nodes whose bit is set lose their cables, or are cut off together, or are not heard, or hear nothing.
    fn begin(lace: &Lace, app: App, places: &[Place], pattern: u64, kind: u64) -> Self {
        let all = places.len() as u64;
        let (inside, outside): (Vec<u64>, Vec<u64>) = (1..=all).partition(|n| pattern >> (n - 1) & 1 == 1);
        let majority = places.len() / 2 + 1;
        let is_minority = inside.len() < majority;
        let heirs = if is_minority { outside } else { Vec::new() };
        // Who is cut off together has the majority where they are many: then all lose their cables instead.
        let (out, back) = WAYS[kind as usize % 3];
        if kind < 3 && is_minority {
            let words = format!("{} {inside:?} out {out} back {back}", app.name);
            let cut = Some(Cut::new(lace, app, &around(places, &inside, out, back)));
            return Self { words, heirs, _cut: cut, _links: Vec::new() };
        }
        let places = places.iter().filter(|place| inside.contains(&place.index));
        let links = places.map(Unplugged::new).collect();
        Self { words: format!("{} {inside:?} unplugged", app.name), heirs, _cut: None, _links: links }
    }

    fn is_settled(&self, count: &Count, app: App, places: &[Place]) -> bool {
        match index_of(places, count.holder(app)) {
            Some(index) => self.heirs.contains(&index),
            None => self.heirs.is_empty(),
        }
    }
}

/// A promise, a question and some more: whoever could take a copy that it should not have has done so then.
const HOLDS_FOR: Duration = Duration::from_secs(8);

/// As long as the troubles last nobody without a majority runs a copy, and who had it and has a majority keeps it.
fn holds(count: &Count, families: &[(App, Vec<Place>)], troubles: &[Trouble]) {
    let until = Instant::now() + HOLDS_FOR;
    let mut missed = vec![0; families.len()];
    while Instant::now() < until {
        std::thread::sleep(COUNT_EVERY);
        count.never_two();
        for (n, ((app, places), trouble)) in families.iter().zip(troubles).enumerate() {
            let holder = index_of(places, count.holder(*app));
            // The first had it when this began.
            if trouble.heirs.contains(&1) {
                missed[n] = misses(holder, 1, missed[n], &trouble.words);
                continue;
            }
            let may = holder.is_none_or(|index| trouble.heirs.contains(&index));
            assert!(may, "{} is run by {holder:?}, and should be by one of {:?}", app.name, trouble.heirs);
        }
    }
}

/// Which vote set each node of the family knows, if any.
fn sets(lace: &Lace, app: App) -> Vec<u64> {
    let status = lace.status(app.name);
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().map(|node| node["status"]["votes_seen"].as_u64().unwrap_or(0)).collect()
}

/// Scales the family while one of its voters, whichever, is cut off in whatever direction, and holds the cut until all know
/// the votes of so many.
fn scaled_while_cut_off(lace: &Lace, app: App, places: &[Place], state: &mut u64, to: usize) {
    let before = sets(lace, app).into_iter().max().unwrap_or(0);
    let steps = places.len().abs_diff(to) as u64;
    let voter = 1 + chance(state, places.len() as u64);
    let (out, back) = WAYS[chance(state, 3) as usize];
    eprintln!("{} from {} to {to} nodes with {voter} cut: out {out} back {back}", app.name, places.len());
    let cut = Cut::new(lace, app, &around(places, &[voter], out, back));
    // What joins a mesh that is cut is not ready before it is whole: nobody waits for that here.
    lace.run(&["scale", &app.family(), &to.to_string(), "--timeout", "5s"]);
    at_last(HEALS_WITHIN, "one member after the other has come or gone, with a voter cut off", || {
        let sets = sets(lace, app);
        sets.len() == to && sets.iter().all(|set| *set >= before + steps)
    });
    drop(cut);
}

/// Families of three and five side by side, from three to five and back, in rounds of trouble.
fn rounds(quarter: u8, rounds: u64) {
    let lace = Lace::up_in(226, quarter);
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let (seed, rounds) = (given("LACE_SEED").unwrap_or(clock).max(1), given("LACE_ROUNDS").unwrap_or(rounds));
    eprintln!("seed {seed}: LACE_SEED={seed} LACE_ROUNDS={rounds} does it again");
    THREE.deploy(&lace, 3, "net_ticktime = 8");
    FIVE.deploy(&lace, 3, "net_ticktime = 8");
    let count = Count::begin(&lace, &[THREE, FIVE]);
    // The votes of three become those of five, one at a time, while the copy runs and a voter is cut off.
    let before = FIVE.places(&lace);
    whole(&lace, &count, FIVE, &before);
    let mut state = seed;
    scaled_while_cut_off(&lace, FIVE, &before, &mut state, 5);
    eventually("two have joined", || lace.ready(FIVE.name) == 5);
    let families = [(THREE, THREE.places(&lace)), (FIVE, FIVE.places(&lace))];
    families.iter().for_each(|(app, places)| whole(&lace, &count, *app, places));
    for round in 1..=rounds {
        // All patterns of one, two and three nodes in turn, of three and of five; the seed says which comes first.
        let patterns: Vec<u64> = (1..32_u64).filter(|bits| bits.count_ones() <= 3).collect();
        let bits = [1 + round % 7, patterns[((seed % 25 + round) % patterns.len() as u64) as usize]];
        let troubles: Vec<_> = families
            .iter()
            .zip(bits)
            .map(|((app, places), bits)| Trouble::begin(&lace, *app, places, bits, chance(&mut state, 6)))
            .collect();
        let away = [&[][..], &["agent"], &["server"], &["agent", "server"]][chance(&mut state, 4) as usize];
        let frozen: Vec<_> = away.iter().map(|role| Frozen::new(&lace, role)).collect();
        let words: Vec<_> = troubles.iter().map(|trouble| trouble.words.as_str()).collect();
        eprintln!("round {round}: {}; away: {away:?}", words.join("; "));
        let is_settled = || {
            count.never_two();
            let mut both = families.iter().zip(&troubles);
            both.all(|((app, places), trouble)| trouble.is_settled(&count, *app, places))
        };
        at_last(HEALS_WITHIN, "whoever has a majority runs it, and nobody without", is_settled);
        holds(&count, &families, &troubles);
        at_last(HEALS_WITHIN, "it is so still", is_settled);
        drop((troubles, frozen));
        families.iter().for_each(|(app, places)| whole(&lace, &count, *app, places));
    }
    scaled_while_cut_off(&lace, FIVE, &families[1].1, &mut state, 3);
    eventually("two have left", || lace.ready(FIVE.name) == 3 && count.holder(FIVE).is_some());
    count.end();
    lace.down_and_nothing_left();
}

#[test]
fn three_and_five_nodes_in_ten_rounds_never_run_two_copies() {
    if may_run() {
        rounds(0, 10);
    }
}

#[test]
#[ignore = "long: 100 rounds, about half an hour"]
fn three_and_five_nodes_in_many_rounds_never_run_two_copies() {
    if may_run() {
        rounds(1, 100);
    }
}

#[test]
fn two_nodes_and_the_controller_survive_a_cut() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(226, 2);
    // OTP itself would notice a silent peer after a minute, and wait for half a minute more: the votes do not.
    TWO.deploy(&lace, 2, "net_ticktime = 60, failover_timeout = \"30s\", takeover = false");
    let count = Count::begin(&lace, &[TWO]);
    let places = TWO.places(&lace);
    eventually("one runs it", || count.holder(TWO).is_some() && lace.ready(TWO.name) == 2);
    let first = index_of(&places, count.holder(TWO)).expect("one");

    // The controller hears both: who had it keeps it, longer than any promise.
    let cut = Cut::new(&lace, TWO, &around(&places, &[1], true, true));
    stays(&count, TWO, &places, first, 8);
    // Nobody but the controller can tell the halves from each other: without it both would be alone.
    let frozen = Frozen::new(&lace, "server");
    eventually("nobody runs it", || count.holder(TWO).is_none());
    drop(frozen);
    // A controller that comes again votes again.
    eventually("somebody runs it", || count.holder(TWO).is_some());
    lace.kill("server");
    eventually("somebody runs it all the same", || count.holder(TWO).is_some());
    drop(cut);
    eventually("all is ready again", || lace.ready(TWO.name) == 2 && count.holder(TWO).is_some());

    // One node that is gone: the other one and the controller are two of three.
    let holder = index_of(&places, count.holder(TWO)).expect("one");
    let place = places.iter().find(|place| place.index == holder).expect("a place");
    place.kill_first(&lace);
    eventually("the other one runs it", || {
        // It would come back, and stand for the copy like the other one.
        place.is_killed(&lace);
        index_of(&places, count.holder(TWO)).is_some_and(|index| index != holder)
    });
    // Healed: connected again, and nobody takes it over where the manifest says so.
    let stayed = index_of(&places, count.holder(TWO)).expect("one");
    eventually("all is ready again", || lace.ready(TWO.name) == 2);
    eventually("they are connected", || {
        let nodes =
            |index: &str| lace.run(&["beam", "rpc", &format!("two/ball/{index}"), "erlang", "nodes"]).out;
        nodes("1").contains("ball-2") && nodes("2").contains("ball-1")
    });
    stays(&count, TWO, &places, stayed, 2);
    // While both hear each other nobody else is needed.
    let frozen = (Frozen::new(&lace, "agent"), Frozen::new(&lace, "server"));
    stays(&count, TWO, &places, stayed, 6);
    drop(frozen);
    count.end();
    lace.down_and_nothing_left();
}

#[test]
fn two_copies_never_run_whatever_is_cut_off() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(226, 3);
    BALL.deploy(&lace, 3, "net_ticktime = 8");
    let count = Count::begin(&lace, &[BALL]);
    let places = BALL.places(&lace);
    whole(&lace, &count, BALL, &places);
    let elsewhere = || index_of(&places, count.holder(BALL)).is_some_and(|index| index != 1);

    // Each node's kernel was given the same, and goes by it.
    for index in 1..=3 {
        let ask = |module: &str, function: &str, arguments: &[&str]| {
            let node = format!("ball/ball/{index}");
            let said = lace.run(&[&["beam", "rpc", &node, module, function], arguments].concat()).ok().out;
            said.split_whitespace().collect::<String>()
        };
        assert_eq!(ask("net_kernel", "get_net_ticktime", &[]), "8");
        let kernel = |key: &str| ask("application", "get_env", &["kernel", key]);
        let name = |n: u32| format!("'ball@ball-{n}.ball.ball.lace.internal'");
        let all = format!("[{},{{{},{}}}]", name(1), name(2), name(3));
        assert!(kernel("distributed").contains(&all), "{}", kernel("distributed"));
        let others: Vec<_> = (1..=3).filter(|n| *n != index).map(name).collect();
        assert_eq!(kernel("sync_nodes_optional"), format!("{{ok,[{}]}}", others.join(",")));
        assert_eq!(kernel("sync_nodes_mandatory"), "{ok,[]}");
        // Whoever holds the votes, and nobody else, is permitted to run it.
        assert_eq!(kernel("permissions"), format!("{{ok,[{{ball,{}}}]}}", index == 1));
    }

    // A cluster that is whole needs neither controller nor agent.
    let frozen = (Frozen::new(&lace, "agent"), Frozen::new(&lace, "server"));
    stays(&count, BALL, &places, 1, 8);
    drop(frozen);

    // Cut off with everything, the holder's copy ends before another begins; whole again, the first takes it again.
    let began = Instant::now();
    let cut = Cut::new(&lace, BALL, &around(&places, &[1], true, true));
    eventually("another one runs it", elsewhere);
    eprintln!("cut off: {:?} until another one runs it", began.elapsed());
    count.never_two();
    drop(cut);
    whole(&lace, &count, BALL, &places);

    // Standbys that are cut off change nothing.
    let cut = Cut::new(&lace, BALL, &around(&places, &[3], true, true));
    stays(&count, BALL, &places, 1, 6);
    drop(cut);

    // On purpose it moves, stays, and moves again; what cannot be is refused.
    lace.run(&["beam", "failover", "ball", "--to", "3"]).ok();
    eventually("the third one has it", || index_of(&places, count.holder(BALL)) == Some(3));
    stays(&count, BALL, &places, 3, 3);
    assert!(lace.run(&["beam", "failover", "ball", "--to", "ball/ball/9"]).ends(7).err.contains("node 9"));
    lace.run(&["beam", "failover", "ball"]).ok();
    eventually("the first backup has it", || index_of(&places, count.holder(BALL)) == Some(1));

    // With neither controller nor agent nor who would start them again: heard by nobody, though it hears them all.
    for role in ["up", "agent", "server"] {
        lace.kill(role);
    }
    let cut = Cut::new(&lace, BALL, &around(&places, &[1], true, false));
    eventually("another one runs it", elsewhere);
    count.never_two();
    drop(cut);
    // What was wished before is over: the manifest's first has it back.
    eventually("the first runs it again", || index_of(&places, count.holder(BALL)) == Some(1));
    count.never_two();

    // Still nobody there: the whole node dies, and a standby runs it.
    let began = Instant::now();
    places.iter().find(|place| place.index == 1).expect("the first").kill_first(&lace);
    eventually("another one runs it", elsewhere);
    eprintln!("killed, with no agent there: {:?} until another one runs it", began.elapsed());
    count.never_two();
    lace.start();
    whole(&lace, &count, BALL, &places);
    count.end();
    lace.down_and_nothing_left();
}
