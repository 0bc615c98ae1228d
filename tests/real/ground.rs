//! Hosts on one machine: a bridge, and for each host a network namespace with a port in it, a state of its own and the
//! real binary as on a machine of its own. The bridge has a namespace of its own, too: where br_netfilter is loaded, what
//! crosses a bridge is judged by the firewall of its namespace. Nothing of it is left.

use crate::lace::{Lace, eventually};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A network that hosts share with the controller's machine.
pub struct Ground {
    /// The namespace of the bridge.
    bridge: String,
    /// This machine's way to it.
    way: String,
    net: u8,
    hosts: Vec<Host>,
}

/// One of its hosts.
struct Host {
    name: String,
    namespace: String,
    port: String,
    state: PathBuf,
}

/// In a mount namespace of its own: /sys of this network, and the cgroups that everybody has.
pub const OWN_SYS: &str = "d=$(mktemp -d) && mount --rbind /sys/fs/cgroup $d && mount -t sysfs sysfs /sys && \
                       mount --rbind $d /sys/fs/cgroup && umount -l $d && rmdir $d && exec \"$@\"";

impl Ground {
    /// The network 10.`net`.255.0/24 and nobody in it but this machine, at .1.
    pub fn new(net: u8) -> Self {
        let (bridge, way) = (format!("lgr{net}-0"), format!("lgr{net}"));
        for words in [["netns", "del", &bridge], ["link", "del", &way]] {
            let _ = Command::new("ip").args(words).stderr(Stdio::null()).status();
        }
        ip(&["netns", "add", &bridge]);
        ip(&["-n", &bridge, "link", "add", "ground", "type", "bridge"]);
        ip(&["-n", &bridge, "link", "set", "ground", "up"]);
        ip(&["link", "add", &way, "type", "veth", "peer", "name", "way", "netns", &bridge]);
        ip(&["-n", &bridge, "link", "set", "way", "master", "ground", "up"]);
        ip(&["addr", "add", &format!("10.{net}.255.1/24"), "dev", &way]);
        ip(&["link", "set", &way, "up"]);
        Self { bridge, way, net, hosts: Vec::new() }
    }

    /// This machine's address in it.
    pub fn address(&self) -> String {
        format!("10.{}.255.1", self.net)
    }

    /// Another machine in the network: its namespace and its address.
    pub fn plug(&mut self, name: &str, state: PathBuf) -> (String, String) {
        let number = self.hosts.len() + 1;
        let namespace = format!("lgr{}-{number}", self.net);
        let port = format!("lgr{}p{number}", self.net);
        let _ = Command::new("ip").args(["netns", "del", &namespace]).stderr(Stdio::null()).status();
        ip(&["netns", "add", &namespace]);
        let bridge = &self.bridge;
        ip(&[
            "-n", bridge, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
        ]);
        ip(&["-n", bridge, "link", "set", &port, "master", "ground", "up"]);
        let inside = |words: &[&str]| ip(&[&["-n", &namespace], words].concat());
        inside(&["link", "set", "lo", "up"]);
        let address = format!("10.{}.255.{}", self.net, number + 10);
        inside(&["addr", "add", &format!("{address}/24"), "dev", "eth0"]);
        inside(&["link", "set", "eth0", "up"]);
        inside(&["route", "add", "default", "via", &self.address()]);
        self.hosts.push(Host { name: name.to_owned(), namespace: namespace.clone(), port, state });
        (namespace, address)
    }

    /// Another machine, which joins with a ticket and has doors.
    pub fn join(&mut self, lace: &Lace, name: &str) {
        self.plug(name, lace.files().join(name));
        let ticket = lace.files().join(format!("{name}.ticket"));
        std::fs::write(&ticket, lace.run(&["host", "add", name]).ok().out).expect("written");
        let doors = ["--door", "127.0.0.1:7480", "--door-tls", "127.0.0.1:7443"];
        self.up(lace, name, &[&["--join", ticket.to_str().expect("text")], &doors[..]].concat());
    }

    /// `lace up` on a host.
    pub fn up(&self, lace: &Lace, name: &str, more: &[&str]) {
        let host = self.host(name);
        let state = host.state.to_str().expect("text");
        let words = [&["up", "--detach", "--state", state], more].concat();
        let output = self.on(host, lace.exe(), &words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).expect("a host")
    }

    fn on(&self, host: &Host, program: &Path, words: &[&str]) -> std::process::Output {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", host.namespace));
        command.args(["unshare", "-m", "--propagation", "private", "sh", "-c", OWN_SYS, "sh"]);
        command.arg(program).args(words).stdin(Stdio::null());
        command.output().expect("nsenter runs")
    }

    /// What a program says on a host.
    pub fn said(&self, name: &str, words: &[&str]) -> String {
        let output = self.on(self.host(name), Path::new(words[0]), &words[1..]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Pulls or plugs a host's cable.
    pub fn cable(&self, name: &str, is_in: bool) {
        let port = &self.host(name).port;
        ip(&["-n", &self.bridge, "link", "set", port, if is_in { "up" } else { "down" }]);
    }

    /// Directories of nodes that are on a host.
    pub fn nodes(&self, name: &str) -> Vec<String> {
        let dir = self.host(name).state.join("agent/machine/nodes");
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Nothing of ours is on a host; otherwise: what is.
    pub fn is_clean(&self, name: &str) -> Result<(), String> {
        let host = self.host(name);
        let links = self.said(name, &["ip", "-o", "link"]);
        let routes = self.said(name, &["ip", "route"]);
        let tables = self.said(name, &["nft", "list", "ruleset"]);
        let state = host.state.to_str().expect("text");
        let processes = Command::new("ps").args(["axo", "args"]).output().expect("ps runs");
        let processes = String::from_utf8_lossy(&processes.stdout).into_owned();
        let checks = [
            ("its state", host.state.exists()),
            ("links", links.contains(": ln") || links.contains(": lg")),
            ("routes", routes.lines().count() != 2),
            ("a table", !tables.is_empty()),
            ("processes", processes.lines().any(|line| line.contains(state))),
        ];
        match checks.into_iter().find(|(_, left)| *left) {
            Some((what, _)) => Err(format!("{name}: {what} left\n{links}{routes}{tables}{processes}")),
            None => Ok(()),
        }
    }

    /// Ends everything on a host, and nothing of it is left there.
    #[track_caller]
    pub fn down_and_nothing_left(&self, lace: &Lace, name: &str) {
        let host = self.host(name);
        let state = host.state.to_str().expect("text");
        let output = self.on(host, lace.exe(), &["down", "--erase", "--state", state]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.is_clean(name).expect("clean");
    }

    /// All are connected, the controller's machine included.
    pub fn whole(&self, lace: &Lace) {
        eventually("all hosts are connected", || {
            let hosts = lace.run(&["host", "list", "--format", "json"]).ok().json();
            let hosts = hosts.as_array().expect("a list");
            let connected = hosts.iter().filter(|host| host["liveness"]["connected"] == true);
            connected.count() == self.hosts.len() + 1
        });
    }

    /// The end of a test, from whichever point.
    pub fn end(&mut self, lace: &Lace) {
        for host in std::mem::take(&mut self.hosts) {
            let state = host.state.to_str().expect("text");
            self.on(&host, lace.exe(), &["down", "--state", state]);
            if std::thread::panicking() {
                for role in ["up", "agent", "net"] {
                    let text = std::fs::read_to_string(host.state.join(format!("run/{role}.log")));
                    let text = text.unwrap_or_default();
                    let tail: Vec<_> = text.lines().rev().take(15).collect();
                    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                    eprintln!("== {} {role}.log\n{tail}", host.name);
                }
            }
            ip(&["netns", "del", &host.namespace]);
        }
        ip(&["link", "del", &self.way]);
        ip(&["netns", "del", &self.bridge]);
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().expect("ip runs");
    assert!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
