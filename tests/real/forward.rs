//! Ports of nodes by `lace forward`, many at once.

use crate::lace::{Lace, eventually, may_run};
use crate::load::Connection;
use crate::page::project;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A forward at work; ends when dropped.
struct Forward {
    child: Child,
    at: Vec<SocketAddr>,
}

impl Forward {
    fn begin(lace: &Lace, target: &str, ports: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lace"))
            .args([&["forward", target][..], ports].concat())
            .env("LACE_CONFIG_DIR", lace.files().join("cli"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("begun");
        let lines = BufReader::new(child.stdout.take().expect("its words")).lines();
        let at = lines
            .take(ports.len())
            .map(|line| {
                let line = line.expect("a line");
                line.split(' ').next().and_then(|at| at.parse().ok()).unwrap_or_else(|| panic!("{line}"))
            })
            .collect();
        Self { child, at }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(at: SocketAddr) -> String {
    let asked = Connection::open(at).and_then(|mut c| c.get("anything", "/", ""));
    asked.map_or_else(
        |error| error.to_string(),
        |(_, body, _)| String::from_utf8_lossy(&body).trim().to_owned(),
    )
}

#[test]
fn ports_of_nodes_and_families_are_at_hand_many_at_once() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(250, 2);
    let dir = project(lace.files(), "1", 2);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let family = Forward::begin(&lace, "shop/web", &["0:8080", "0:8080"]);
    let second = Forward::begin(&lace, "shop/web/2", &["0:8080"]);
    assert_eq!(family.at.len(), 2);
    std::thread::scope(|scope| {
        for client in 0..24 {
            let (at, expected) = match client % 3 {
                0 => (second.at[0], "web-2 1"),
                n => (family.at[n - 1], "web-1 1"),
            };
            scope.spawn(move || assert_eq!(get(at), expected));
        }
    });
    // A family's port goes on where its first node has gone.
    lace.run(&["stop", "shop"]).ok();
    lace.run(&["start", "shop"]).ok();
    eventually("the port leads to a node again", || get(family.at[0]).starts_with("web-"));
    drop((family, second));
    lace.down_and_nothing_left();
}
