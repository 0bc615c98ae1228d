//! One installation for one test: its own state, ports, space and context; nothing is left of it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The longest that a state is waited for.
pub const WITHIN: Duration = Duration::from_secs(60);

pub struct Lace {
    dir: tempfile::TempDir,
    /// The binary that is typed.
    exe: PathBuf,
    listen: u16,
    /// Where agents dial; loopback unless hosts elsewhere shall come.
    link_address: String,
    link: u16,
    door: u16,
    door_tls: u16,
    git: u16,
    space: String,
    /// Nobody else on this machine tests in the same space meanwhile.
    _alone: std::fs::File,
}

/// How a command ended.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends(0)
    }

    #[track_caller]
    pub fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// Root is needed. Without it a test does nothing at a desk, and fails where CI is set.
pub fn may_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "these tests need root");
    if !root {
        eprintln!("not run: needs root");
    }
    root
}

/// Waits until `is_so` says yes.
#[track_caller]
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    at_last(WITHIN, what, is_so);
}

/// The same for what may take longer.
#[track_caller]
pub fn at_last(within: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until no other test, of another checkout say, is at work in a space; it is ours as long as the file is open.
fn alone_in(space: &str) -> std::fs::File {
    let name = format!("lace-test-{}.lock", space.replace('/', "-"));
    let file = std::fs::File::create(std::env::temp_dir().join(name)).expect("a lock");
    file.lock().expect("locked");
    file
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

impl Lace {
    /// An installation that is up. `net` is the second part of its private space, 10.`net`.0.0/18.
    pub fn up(net: u8) -> Self {
        Self::up_in(net, 0)
    }

    /// The same in another quarter (0 to 3) of 10.`net`.0.0/16.
    pub fn up_in(net: u8, quarter: u8) -> Self {
        let lace = Self::new(net, quarter, env!("CARGO_BIN_EXE_lace").as_ref());
        lace.start();
        lace
    }

    /// One that other hosts reach at an address of this machine.
    pub fn up_reached_at(net: u8, address: &str) -> Self {
        let mut lace = Self::new(net, 0, env!("CARGO_BIN_EXE_lace").as_ref());
        address.clone_into(&mut lace.link_address);
        lace.start();
        lace
    }

    /// The same, with agents that dial an address of this machine.
    pub fn linked_at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.link_address);
        self
    }

    /// The binary that is typed.
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// One that was never up, and whose binary is another one.
    pub fn new(net: u8, quarter: u8, exe: &Path) -> Self {
        Self::within(&format!("10.{net}.{}.0/18", quarter * 64), exe)
    }

    /// One with a space of its own, `10.X.Y.0/LENGTH`: a quarter has blocks for eight hosts.
    pub fn within(space: &str, exe: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("lace-real-").tempdir().expect("a directory");
        let space = space.to_owned();
        let alone = alone_in(&space);
        let gateway = format!("{}.1/", space.rsplit_once(".0/").expect("a space").0);
        // A test that was killed may have left its gateway; nobody else has these addresses.
        for left in lines_with(&said(&["ip", "-o", "-4", "address"]), &gateway).lines() {
            said(&["ip", "link", "del", left.split_whitespace().nth(1).expect("a name")]);
        }
        let [listen, link, door, door_tls, git] = [(); 5].map(|()| free_port());
        let link_address = "127.0.0.1".to_owned();
        Self {
            dir,
            exe: exe.to_owned(),
            listen,
            link_address,
            link,
            door,
            door_tls,
            git,
            space,
            _alone: alone,
        }
    }

    /// `lace up --detach`.
    pub fn start(&self) -> Ran {
        let words = self.up_words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.command(&words, |c| c).ok()
    }

    /// The words of `lace up --detach` for this installation.
    pub fn up_words(&self) -> Vec<String> {
        let port = |port: u16| format!("127.0.0.1:{port}");
        let said = [
            ("--listen", port(self.listen)),
            ("--link", format!("{}:{}", self.link_address, self.link)),
            ("--door", port(self.door)),
            ("--door-tls", port(self.door_tls)),
            ("--git", port(self.git)),
            ("--space", self.space.clone()),
            ("--state", self.state().display().to_string()),
        ];
        let words = said.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        ["up".to_owned(), "--detach".to_owned()].into_iter().chain(words).collect()
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where the controller answers.
    #[allow(dead_code, reason = "the browser's tests use it")]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.listen)
    }

    /// Where agents dial.
    #[allow(dead_code, reason = "the test of strangers uses it")]
    pub fn link(&self) -> String {
        format!("{}:{}", self.link_address, self.link)
    }

    /// Where requests from outside come in.
    pub fn door(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.door).into()
    }

    /// Where encrypted requests come in.
    #[allow(dead_code, reason = "the door's tests use it")]
    pub fn door_tls(&self) -> u16 {
        self.door_tls
    }

    /// The port where releases are pushed to.
    #[allow(dead_code, reason = "the test of pushes uses it")]
    pub fn git(&self) -> u16 {
        self.git
    }

    /// A directory for the test's own files.
    pub fn files(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, words: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) -> Ran {
        let mut command = Command::new(&self.exe);
        command.args(words).env("LACE_CONFIG_DIR", self.dir.path().join("cli")).stdin(Stdio::null());
        more(&mut command);
        let Output { status, stdout, stderr } = command.output().expect("lace runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs one command line.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.command(words, |c| c)
    }

    /// Runs a line of the shell, in which `$0` is lace.
    #[allow(dead_code, reason = "tests of whole applications use it")]
    pub fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]).arg(&self.exe).env("LACE_CONFIG_DIR", self.dir.path().join("cli"));
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("sh runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs one command line in a directory, with more environment and something on stdin.
    pub fn run_in(&self, dir: &Path, words: &[String], env: &[(String, String)], stdin: &str) -> Ran {
        let file = self.files().join("stdin");
        std::fs::write(&file, stdin).expect("written");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let input = std::fs::File::open(&file).expect("readable");
        let env = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.command(&words, |c| c.current_dir(dir).envs(env).stdin(input))
    }

    /// Runs one command line about this installation's state.
    pub fn run_here(&self, words: &[&str]) -> Ran {
        self.command(words, |c| c.arg("--state").arg(self.state()))
    }

    /// Runs one command line with something on stdin.
    pub fn run_with(&self, words: &[&str], stdin: &str) -> Ran {
        let file = self.files().join("stdin");
        std::fs::write(&file, stdin).expect("written");
        self.command(words, |c| c.stdin(std::fs::File::open(&file).expect("readable")))
    }

    /// Status of a target, as JSON.
    pub fn status(&self, target: &str) -> Value {
        self.run(&["status", target, "--format", "json"]).ok().json()
    }

    /// Ready nodes of the application's first family.
    pub fn ready(&self, app: &str) -> u64 {
        let ran = self.run(&["status", app, "--format", "json"]);
        if ran.status != 0 {
            return 0;
        }
        ran.json()["apps"][0]["families"][0]["ready"].as_u64().unwrap_or_default()
    }

    /// The process of a role; between one that leaves and the next there is none for a moment.
    pub fn pid(&self, role: &str) -> i32 {
        let path = self.state().join("run").join(format!("{role}.json"));
        let mut record = Value::Null;
        eventually("the role has a record", || {
            let text = std::fs::read(&path).unwrap_or_default();
            record = serde_json::from_slice(&text).unwrap_or_default();
            !record.is_null()
        });
        i32::try_from(record["pid"].as_i64().expect("a pid")).expect("a pid")
    }

    /// SIGKILL for a role's process.
    pub fn kill(&self, role: &str) {
        let pid = rustix::process::Pid::from_raw(self.pid(role)).expect("a pid");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }

    /// The short name that everything of this installation on the machine carries.
    pub fn label(&self) -> String {
        let text = std::fs::read(self.state().join("up.json")).expect("settings");
        let settings: Value = serde_json::from_slice(&text).expect("json");
        settings["label"].as_str().expect("a label").to_owned()
    }

    /// Process ids of all PID 1s of this installation's nodes, by its cgroups.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let name = format!("lace-{}", self.label());
        let mut found = Vec::new();
        for root in
            ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]
        {
            let path = Path::new(root).join(&name);
            if path.exists() {
                found.push(path);
            }
        }
        found
    }

    /// Where nodes have what they write.
    pub fn node_dirs(&self) -> PathBuf {
        self.state().join("agent/machine/nodes")
    }

    /// What the gateway's and the nodes' interfaces of this installation start with, read off the gateway address.
    fn links(&self) -> [String; 2] {
        let first = self.space.rsplit_once(".0/").expect("a space").0;
        let addresses = said(&["ip", "-o", "-4", "addr"]);
        let words = addresses.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let gateway = words.into_iter().find(|words| words[3] == format!("{first}.1/32"));
        let gateway =
            gateway.unwrap_or_else(|| panic!("no interface has {first}.1:\n{addresses}"))[1].to_owned();
        let nodes = format!("ln{}", gateway.strip_prefix("lg").expect("a gateway of ours"));
        [gateway, nodes]
    }

    /// Namespaces that the nodes live in, as the kernel names them; this test's own are not among them.
    fn namespaces(&self) -> BTreeSet<PathBuf> {
        let ours = namespaces_of(Path::new("/proc/self"));
        let group = format!("lace-{}/", self.label());
        let groups = |process: &Path| std::fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        let nodes = processes().into_keys().filter(|process| groups(process).contains(&group));
        nodes.flat_map(|node| namespaces_of(&node)).filter(|name| !ours.contains(name)).collect()
    }

    /// What the nodes have on the machine: links, routes, and processes that are PID 1 of a node; one of each for a node.
    #[allow(dead_code, reason = "the kill tests use it")]
    pub fn traces(&self) -> [(&'static str, usize); 3] {
        let [_, nodes] = self.links();
        let links = said(&["ip", "-o", "link"]);
        let links = links.lines().filter_map(|line| line.split_whitespace().nth(1));
        let space = self.space.rsplit_once(".0/").expect("a space").0.to_owned();
        let routes = said(&["ip", "-4", "route", "show"]);
        let state = format!("{}/", self.state().display());
        let group = format!("lace-{}/", self.label());
        let is_first = |process: &Path| {
            let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
            let inner = read("status").lines().find(|l| l.starts_with("NSpid:")).map(str::to_owned);
            inner.is_some_and(|l| l.split_whitespace().count() == 3 && l.ends_with("\t1"))
                && (read("cgroup").contains(&group) || read("cmdline").contains(&state))
        };
        [
            ("links", links.filter(|name| name.starts_with(&nodes)).count()),
            ("routes", routes.lines().filter(|l| l.contains(&nodes) && l.contains(&space)).count()),
            ("first processes", processes().into_keys().filter(|process| is_first(process)).count()),
        ]
    }

    /// Ends everything and looks for leftovers: processes, namespaces, cgroups, links, routes, tables, mounts, node
    /// directories, and the use of `ip_forward`.
    #[track_caller]
    pub fn down_and_nothing_left(&self) {
        let (label, links, spaces) = (self.label(), self.links(), self.namespaces());
        let has_nodes = std::fs::read_dir(self.node_dirs()).is_ok_and(|mut nodes| nodes.next().is_some());
        assert!(!has_nodes || spaces.len() >= 6, "a node has namespaces of its own: {spaces:?}");
        let (state, before_it) = (self.state().display().to_string(), processes());
        let there = || {
            let ip = said(&["ip", "-o", "link"]);
            let names = ip.lines().filter_map(|line| line.split_whitespace().nth(1));
            let links: Vec<_> = names.filter(|name| links.iter().any(|l| name.starts_with(l))).collect();
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("read");
            let nodes = std::fs::read_dir(self.node_dirs()).into_iter().flatten().flatten();
            [
                ("links", links.join(" ")),
                ("cgroups", format!("{:?}", self.cgroups())),
                ("nft", lines_with(&said(&["nft", "list", "ruleset"]), &label)),
                ("routes", lines_with(&said(&["ip", "route", "show", "table", "all"]), &self.space)),
                ("processes", lines_with(&said(&["ps", "axo", "args"]), &state)),
                ("mounts", lines_with(&mounts, &format!("{state}/"))),
                ("node directories", nodes.map(|n| n.path().display().to_string()).collect()),
                ("forwarding", lines_with(&said(&["find", "/run/lace/forward"]), &label)),
            ]
        };
        let before = there();
        for what in ["links", "nft", "routes", "processes", "forwarding"] {
            let (_, found) = before.iter().find(|(name, _)| *name == what).expect("looked for");
            assert!(!found.is_empty(), "{what} are not found while it is up: this check would never fail");
        }
        self.command(&["down", "--state"], |c| c.arg(self.state())).ok();
        for (what, left) in there() {
            assert!(left.is_empty() || left == "[]", "{what} are left: {left}");
        }
        // The kernel gives a number again: who began later may have it.
        let after = processes().into_iter().filter(|(path, began)| before_it.get(path) == Some(began));
        let in_use = after.flat_map(|(process, _)| namespaces_of(&process)).chain(mounted_namespaces());
        let left: Vec<_> = in_use.filter(|name| spaces.contains(name)).collect();
        assert!(left.is_empty(), "namespaces are left: {left:?}");
    }
}

/// The directories of all processes in /proc, and when each began.
fn processes() -> BTreeMap<PathBuf, String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    let is_process =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.as_encoded_bytes()[0].is_ascii_digit());
    let began = |path: &PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
    };
    entries.filter(is_process).filter_map(|path| began(&path).map(|began| (path, began))).collect()
}

/// The namespaces that a process is in: `net:[4026532345]`. One that has ended and waits for init has none of its own.
fn namespaces_of(process: &Path) -> BTreeSet<PathBuf> {
    if std::fs::read_link(process.join("ns/net")).is_err() {
        return BTreeSet::new();
    }
    let entries = std::fs::read_dir(process.join("ns")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

/// Those that a mount keeps.
fn mounted_namespaces() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("read");
    let mounted = mounts.lines().filter(|line| line.contains(" - nsfs "));
    mounted.filter_map(|line| line.split_whitespace().nth(3)).map(PathBuf::from).collect()
}

/// What a command says on stdout.
fn said(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines_with(text: &str, part: &str) -> String {
    text.lines().filter(|line| line.contains(part)).collect::<Vec<_>>().join("\n")
}

impl Lace {
    /// What somebody who looks for the cause would type first.
    fn tell(&self) {
        for words in [&["status"][..], &["events"], &["op", "list"]] {
            eprintln!("== lace {}\n{}", words.join(" "), last_lines(&self.run(words).out, 40));
        }
        let nodes = self.run(&["node", "list", "--format", "json"]);
        let nodes: Value = serde_json::from_str(&nodes.out).unwrap_or_default();
        for node in nodes.as_array().into_iter().flatten().take(5) {
            let path: Vec<_> = node["status"]["path"].as_str().unwrap_or_default().split('/').collect();
            let [app, service, .., number] = path[..] else { continue };
            let path = format!("{app}/{service}/{number}");
            for words in [["why", &path], ["logs", &path]] {
                eprintln!("== lace {}\n{}", words.join(" "), last_lines(&self.run(&words).out, 25));
            }
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let tail: Vec<_> = text.lines().rev().take(count).collect();
    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Drop for Lace {
    fn drop(&mut self) {
        if std::thread::panicking() && self.state().join("up.json").exists() {
            self.tell();
            // At a desk: somebody wants to look at it, and ends it with `lace down`.
            if std::env::var_os("LACE_KEEP").is_some() {
                self.dir.disable_cleanup(true);
                eprintln!("kept: {}", self.state().display());
                return;
            }
        }
        let _ = self.command(&["down", "--state"], |c| c.arg(self.state()));
        if std::thread::panicking() {
            for role in ["up", "server", "agent", "net"] {
                let log = self.state().join("run").join(format!("{role}.log"));
                let text = std::fs::read_to_string(log).unwrap_or_default();
                eprintln!("== {role}.log\n{}", last_lines(&text, 15));
            }
        }
    }
}
