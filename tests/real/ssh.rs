//! Servers over SSH become hosts: real sshd, each in a network of its own, with a `/var/lib`, a `/usr/local/lib` and a host
//! key of its own.

use crate::daily::project;
use crate::ground::{Ground, OWN_SYS};
use crate::lace::{Lace, eventually, may_run};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const SSHD: &str = "/usr/sbin/sshd";

/// `$1` is the server's own directory, `$2` what its /usr/local/lib is mounted with; then sshd and its words.
const OWN_PLACES: &str = "\
    own=$1 local=$2; shift 2; \
    mount --bind $own/var-lib /var/lib && mount --bind $own/passwd /etc/passwd && \
    mount --bind $own/shadow /etc/shadow && \
    mount $local /usr/local/lib && mkdir -p /run/sshd && exec \"$@\"";

const CONFIG: &str = "\
UsePAM no
UseDNS no
StrictModes no
KbdInteractiveAuthentication no
PermitRootLogin yes
";

/// What root's password `secret` is known by (crypt(5)).
const SHADOW: &str = "root:$6$lacelace$FqZ7Q3yA2Lj2ofij8z/0v.Y3szBuupv/gqV1TWF0bSbk3oFxOBmcBnTIhPAAt/sjYWT9Is2Xc.Ihgxs6ag5b5.:20000::::::\n";

/// One server with its sshd.
struct Server {
    namespace: String,
    address: String,
    dir: PathBuf,
    sshd: Child,
}

/// An installation whose controller's machine takes no nodes, and servers in its network.
struct Estate {
    lace: Lace,
    ground: Ground,
    servers: BTreeMap<String, Server>,
    /// What is typed, without what debuggers read: it is copied to each server.
    _exe: tempfile::TempDir,
}

impl Drop for Estate {
    fn drop(&mut self) {
        for server in self.servers.values_mut() {
            let pid = server.sshd.id().to_string();
            // Nothing to do after a test that went well.
            let down = ["-t", &pid, "-m", "-n", "-u", "--"];
            let exe = self.lace.exe();
            let state = server.dir.join("var-lib/lace/host.json");
            if state.exists() {
                let _ = Command::new("nsenter")
                    .args(down)
                    .arg(exe)
                    .args(["down", "--state", "/var/lib/lace"])
                    .status();
            }
            let _ = server.sshd.kill();
            let _ = server.sshd.wait();
        }
        self.ground.end(&self.lace);
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

impl Estate {
    fn new(space: &str, ground: u8) -> Self {
        let dir = tempfile::Builder::new().prefix("lace-ssh-").tempdir().expect("a directory");
        let exe = dir.path().join("lace");
        run(&["strip", "-o", text(&exe), env!("CARGO_BIN_EXE_lace")]);
        let ground = Ground::new(ground);
        let lace = Lace::within(space, &exe).linked_at(&ground.address());
        lace.start();
        for name in ["key", "other"] {
            let file = lace.files().join(name);
            run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", text(&file)]);
        }
        Self { lace, ground, servers: BTreeMap::new(), _exe: dir }
    }

    fn file(&self, name: &str) -> String {
        text(&self.lace.files().join(name)).to_owned()
    }

    /// A server that lets `key` in as root, and as ada, who is nobody there.
    fn serve(&mut self, name: &str, key: &str, local: Option<&str>) {
        let dir = self.lace.files().join(name);
        for part in ["var-lib", "usr-local-lib"] {
            std::fs::create_dir_all(dir.join(part)).expect("made");
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("read");
        std::fs::write(dir.join("passwd"), format!("{users}ada:x:4711:4711::/tmp:/bin/sh\n"))
            .expect("written");
        std::fs::write(dir.join("shadow"), SHADOW).expect("written");
        std::fs::copy(format!("{}.pub", self.file(key)), dir.join("authorized_keys")).expect("copied");
        std::fs::set_permissions(dir.join("authorized_keys"), PermissionsExt::from_mode(0o644)).expect("set");
        std::fs::set_permissions(self.lace.files(), PermissionsExt::from_mode(0o755)).expect("set");
        let (namespace, address) = self.ground.plug(name, dir.join("nowhere"));
        let sshd = sshd(&namespace, &address, &dir, local);
        self.servers.insert(name.to_owned(), Server { namespace, address, dir, sshd });
    }

    fn answers(&self, name: &str) {
        let server = &self.servers[name];
        eventually("sshd listens", || std::net::TcpStream::connect((server.address.as_str(), 22)).is_ok());
    }

    /// What of ours is on a server.
    fn left_on(&self, name: &str) -> Vec<String> {
        let server = &self.servers[name];
        let mut left: Vec<String> = Vec::new();
        for part in ["var-lib", "usr-local-lib"] {
            let entries = std::fs::read_dir(server.dir.join(part)).expect("read").flatten();
            left.extend(entries.map(|entry| entry.path().display().to_string()));
        }
        let links = self.ground.said(name, &["ip", "-o", "link"]);
        left.extend(links.lines().filter(|l| l.contains(": ln") || l.contains(": lg")).map(str::to_owned));
        left.extend(self.ground.said(name, &["nft", "list", "ruleset"]).lines().map(str::to_owned));
        let pids = Command::new("ip").args(["netns", "pids", &server.namespace]).output().expect("ip runs");
        for pid in String::from_utf8_lossy(&pids.stdout).lines() {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            left.extend(
                (!name.starts_with("sshd") && !name.is_empty()).then(|| format!("process {pid} {name}")),
            );
        }
        left
    }

    fn connected(&self) -> Vec<String> {
        let hosts = self.lace.run(&["host", "list", "--format", "json"]).ok().json();
        let connected =
            hosts.as_array().expect("a list").iter().filter(|h| h["liveness"]["connected"] == true);
        connected.map(|host| host["host"]["name"].as_str().expect("a name").to_owned()).collect()
    }
}

fn sshd(namespace: &str, address: &str, dir: &Path, local: Option<&str>) -> Child {
    let host_key = dir.join("host_key");
    let _ = std::fs::remove_file(&host_key);
    run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", text(&host_key)]);
    let keys = dir.join("authorized_keys");
    let config = format!(
        "{CONFIG}ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n",
        host_key.display(),
        keys.display()
    );
    std::fs::write(dir.join("sshd_config"), config).expect("written");
    let bind = format!("--bind {}/usr-local-lib", dir.display());
    let log = std::fs::File::create(dir.join("sshd.log")).expect("a log");
    Command::new("nsenter")
        .arg(format!("--net=/run/netns/{namespace}"))
        .args([
            "unshare",
            "-m",
            "--uts",
            "--propagation",
            "private",
            "sh",
            "-c",
            OWN_SYS,
            "sh",
            "sh",
            "-c",
            OWN_PLACES,
        ])
        .args(["sh", text(dir), local.unwrap_or(&bind), SSHD, "-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("nsenter runs")
}

#[test]
fn a_server_becomes_a_host_and_is_left_without_a_trace() {
    if !may_run() {
        return;
    }
    let mut estate = Estate::new("10.240.128.0/18", 242);
    estate.serve("beta", "key", None);
    estate.answers("beta");
    let address = estate.servers["beta"].address.clone();
    let (key, other) = (estate.file("key"), estate.file("other"));
    let add = |estate: &Estate, user: &str, key: &str| {
        estate.lace.run(&["host", "add", "beta", "--address", &address, "--user", user, "--key", key])
    };

    let refused = add(&estate, "root", &other).ends(6);
    assert!(refused.err.contains("does not let us in with the key"), "{}", refused.err);
    let refused = add(&estate, "ada", &key).ends(1);
    assert!(
        refused.err.contains("has no sudo") || refused.err.contains("a password for sudo"),
        "{}",
        refused.err
    );
    let by_password = ["host", "add", "beta", "--address", &address, "--password"];
    let refused = estate.lace.run_with(&by_password, "guess\n").ends(6);
    assert!(refused.err.contains("does not let us in with the password"), "{}", refused.err);
    let refused = add(&estate, "root", "/nowhere").ends(7);
    assert!(refused.err.contains("the key /nowhere"), "{}", refused.err);
    assert_eq!(estate.left_on("beta"), [""; 0], "nothing was brought before all was looked at");
    assert_eq!(estate.connected().len(), 1);

    let began = Instant::now();
    let by_agent =
        "exec ssh-agent sh -c 'ssh-add -q \"$1\" && exec \"$0\" host add beta --address \"$2\"' \"$0\"";
    let joined = estate.lace.shell(&format!("{by_agent} {key} {address}")).ok();
    eprintln!("a host after {:?}: {}", began.elapsed(), joined.out);
    assert!(joined.out.contains("host beta has joined: root@10.242.255.11"), "{}", joined.out);
    assert!(estate.connected().contains(&"beta".to_owned()));
    let tokens = estate.lace.run(&["token", "list"]).ok().out;
    assert!(!tokens.contains("joins"), "the ticket is used up: {tokens}");
    let again = add(&estate, "root", &key).ok();
    assert!(again.out.contains("is there already"), "{}", again.out);

    let hosts = estate.connected();
    let own = hosts.iter().find(|name| *name != "beta").expect("the controller's machine");
    estate.lace.run(&["host", "drain", own, "--yes"]).ok();
    let dir = project(&estate.lace, "shop", "python3 -m http.server 9000 --directory /srv &", "count = 1");
    estate.lace.run(&["deploy", "shop", text(&dir)]).ok();
    let said = estate.lace.run(&["exec", "shop/web/1", "--", "echo", "hello"]).ok().out;
    assert!(said.contains("hello"), "{said}");
    let nodes = std::fs::read_dir(estate.servers["beta"].dir.join("var-lib/lace/agent/machine/nodes"))
        .expect("there");
    assert_eq!(nodes.count(), 1, "it runs on the server");
    let carries = estate.lace.run(&["host", "remove", "beta", "--yes", "--key", &key]).ends(8);
    assert!(carries.err.contains("carries 1 nodes"), "{}", carries.err);
    estate.lace.run(&["delete", "shop", "--yes"]).ok();

    let remove = ["host", "remove", "beta", "--yes", "--password"];
    let removed = estate.lace.run_with(&remove, "secret\n").ok();
    assert!(removed.out.contains("nothing of lace is left on root@10.242.255.11"), "{}", removed.out);
    assert_eq!(estate.left_on("beta"), [""; 0]);
    assert_eq!(estate.connected().len(), 1);

    // The server is made anew: somebody may stand in between.
    let server = estate.servers.get_mut("beta").expect("there");
    server.sshd.kill().and_then(|()| server.sshd.wait()).expect("ended");
    server.sshd = sshd(&server.namespace, &server.address, &server.dir, None);
    estate.answers("beta");
    let changed = add(&estate, "root", &key).ends(6);
    assert!(
        changed.err.contains("another host key") && changed.err.contains("ssh-keygen -f"),
        "{}",
        changed.err
    );
    estate.lace.down_and_nothing_left();
}

#[test]
fn of_twenty_servers_three_are_named_with_their_reasons_and_the_others_join() {
    if !may_run() {
        return;
    }
    let mut estate = Estate::new("10.244.0.0/16", 243);
    let all: Vec<String> = (1..=19).map(|n| format!("s{n}")).collect();
    for name in &all {
        match name.as_str() {
            "s18" => estate.serve(name, "other", None),
            "s19" => estate.serve(name, "key", Some("-t tmpfs -o size=16m tmpfs")),
            _ => estate.serve(name, "key", None),
        }
    }
    all.iter().for_each(|name| estate.answers(name));
    // Takes connections, and says nothing.
    let hangs = TcpListener::bind((estate.ground.address(), 0)).expect("a port");
    let silent = hangs.local_addr().expect("bound");
    let line = |name: &String| format!("{name} {}\n", estate.servers[name].address);
    let list: String = all.iter().map(line).chain([format!("s20 {silent} # hangs\n")]).collect();
    let (file, key) = (estate.file("servers.txt"), estate.file("key"));
    std::fs::write(&file, list).expect("written");

    let began = Instant::now();
    let ran = estate.lace.run(&["host", "add", "--from", &file, "--key", &key]).ends(1);
    eprintln!("17 of 20 after {:?}\n{}\n{}", began.elapsed(), ran.out, ran.err);
    let reason = |name: &str| {
        let told = ran.err.split("error: ").nth(1).expect("an error");
        let mut lines = told.lines().skip_while(|line| !line.trim().starts_with(&format!("{name}: ")));
        lines.next().unwrap_or_default().to_owned()
    };
    assert!(ran.err.contains("3 of 20 servers are no hosts"), "{}", ran.err);
    assert!(reason("s18").contains("does not let us in with the key"), "{}", ran.err);
    assert!(reason("s19").contains("its disk is full"), "{}", ran.err);
    assert!(reason("s20").contains("takes the connection and does not speak SSH within 15 s"), "{}", ran.err);
    let connected = estate.connected();
    let (good, bad) = all.split_at(17);
    assert!(good.iter().all(|name| connected.contains(name)), "{connected:?}");
    assert_eq!(connected.len(), 18);
    for name in bad {
        assert_eq!(estate.left_on(name), [""; 0], "{name}");
    }

    // What can be mended is, and the command repeated: it leaves hosts as they are.
    std::fs::copy(format!("{key}.pub"), estate.servers["s18"].dir.join("authorized_keys")).expect("copied");
    std::fs::write(&file, [line(&all[0]), line(&all[17])].concat()).expect("written");
    let ran = estate.lace.run(&["host", "add", "--from", &file, "--key", &key]).ok();
    assert!(ran.out.contains("host s1 is there already") && ran.out.contains("s18"), "{}", ran.out);

    let began = Instant::now();
    std::thread::scope(|threads| {
        for part in all[..18].chunks(3) {
            let lace = &estate.lace;
            threads.spawn(move || {
                part.iter().for_each(|name| drop(lace.run(&["host", "remove", name, "--yes"]).ok()))
            });
        }
    });
    eprintln!("18 removed after {:?}", began.elapsed());
    for name in &all {
        assert_eq!(estate.left_on(name), [""; 0], "{name}");
    }
    assert_eq!(estate.connected().len(), 1);
    estate.lace.down_and_nothing_left();
}
