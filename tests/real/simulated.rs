//! Hosts by the hundred from a simulated account: a process of ours whose machines join over the real link, one by one, and whose
//! nodes are words. What orders, joins, plans, reports and gives back is the real thing.

use crate::daily::project;
use crate::lace::{Lace, at_last, eventually, may_run};
use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HOSTS: usize = 100;
/// Twenty machines are ordered at a time, and each boots.
const ALL_WITHIN: Duration = Duration::from_secs(180);

/// `lace sim`.
struct Moon {
    at: String,
    process: Child,
}

impl Drop for Moon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moon {
    fn rise(lace: &Lace) -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let listen = format!("127.0.0.1:{port}");
        let log = std::fs::File::create(lace.files().join("sim.log")).expect("a log");
        let process = Command::new(lace.exe())
            .args(["sim", "--listen", &listen, "--boot", "500ms", "--hosts", "200"])
            .env("LACE_SIM_SECRET", "let us in")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("lace sim");
        eventually("the account answers", || std::net::TcpStream::connect(&listen).is_ok());
        Self { at: format!("http://{listen}"), process }
    }
}

fn hosts(lace: &Lace) -> Vec<Value> {
    let hosts = lace.run(&["host", "list", "--format", "json"]).ok().json();
    hosts.as_array().expect("a list").clone()
}

#[test]
fn a_hundred_simulated_machines_become_hosts_whose_nodes_are_ready_and_go_back() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.158.0.0/16", env!("CARGO_BIN_EXE_lace").as_ref());
    lace.start();
    let moon = Moon::rise(&lace);
    let add = ["provider", "add", "moon", "--kind", "sim", "--region", "sim", "--endpoint", &moon.at];
    lace.run_with(&[&add[..], &["--stdin"]].concat(), "secret=let us in\n").ok();
    let pool = ["pool", "add", "moon", "--provider", "moon", "--image", "base", "--profile", "small"];
    let said = ["--attr", "cpu=4", "--attr", "memory=8GiB", "--price-per-hour", "0.01"];
    lace.run(&[&pool[..], &said[..]].concat()).ok();
    let family = format!("count = {HOSTS}\nper_host = 1\npools = [\"moon\"]");
    let dir = project(&lace, "shop", "echo never said", &family);
    let began = Instant::now();
    let line = format!(
        r#"("$0" deploy shop {0} >{0}/told 2>&1; echo "ended $?" >>{0}/told) >/dev/null 2>&1 &"#,
        dir.display()
    );
    lace.shell(&line).ok();
    at_last(ALL_WITHIN, "all nodes are ready", || lace.ready("shop") == HOSTS as u64);
    eprintln!("{HOSTS} machines ordered, booted, joined, and a ready node on each: {:?}", began.elapsed());
    eventually("the one who deployed is told", || {
        std::fs::read_to_string(dir.join("told")).expect("there").contains("ended 0")
    });
    let all = hosts(&lace);
    let connected = all.iter().filter(|host| host["liveness"]["connected"] == true).count();
    assert_eq!((all.len(), connected), (HOSTS + 1, HOSTS + 1));
    let blocks = all.iter().flat_map(|host| host["host"]["blocks"].as_array().expect("blocks"));
    let blocks: Vec<String> = blocks.map(|block| block["base"].to_string()).collect();
    let different = blocks.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(different, blocks.len(), "nobody has the addresses of another");
    let began = Instant::now();
    let said = lace.run(&["exec", "shop", "--", "hostname"]).ok().out;
    eprintln!("exec on {HOSTS}: {:?}", began.elapsed());
    assert_eq!(said.lines().filter(|line| line.contains("simulated")).count(), HOSTS, "{said}");

    lace.run(&["delete", "shop", "--yes"]).ok();
    let names: Vec<String> = all
        .iter()
        .filter(|host| host["host"]["pool"] == "moon")
        .map(|host| host["host"]["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names.len(), HOSTS);
    std::thread::scope(|threads| {
        for some in names.chunks(HOSTS / 4) {
            let lace = &lace;
            threads.spawn(move || {
                some.iter().for_each(|name| drop(lace.run(&["host", "remove", name, "--yes"]).ok()));
            });
        }
    });
    eventually("no machine is left", || lace.run(&["pool", "remove", "moon", "--yes"]).status == 0);
    assert_eq!(hosts(&lace).len(), 1, "the controller's machine");
    lace.down_and_nothing_left();
}
