//! A real runtime, without a release, on loopback. It goes with the test.

use lace_beam::link::Settings;
use lace_beam::{Identity, Link, LinkError};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const COOKIE: &str = "a-cookie-of-this-test";

pub struct Node {
    pub name: String,
    pub port: u16,
    home: tempfile::TempDir,
    process: Child,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Is there a runtime? On CI there must be.
pub fn can_run() -> bool {
    let there = Command::new("erl").arg("-version").stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    assert!(there || std::env::var_os("CI").is_none(), "CI must have erlang-base");
    if !there {
        eprintln!("skipped: erlang-base is not installed");
    }
    there
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(more: &[&str]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}x{number}@127.0.0.1", std::process::id());
        let (home, port) = (tempfile::tempdir().unwrap(), free_port());
        let process = spawn(&name, port, home.path(), more);
        Self { name, port, home, process }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The same node again, in another life.
    pub fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.name, self.port, self.home.path(), &[]);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        // A thread on another processor may go on for a moment, and answer.
        while signal == rustix::process::Signal::STOP && !self.is_stopped() {
            std::thread::yield_now();
        }
    }

    /// Are all of its threads stopped (proc_pid_stat(5))?
    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let stats = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        stats.into_iter().all(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')))
    }

    /// One attempt.
    pub async fn try_link(
        &self,
        me: &Identity,
        wanted: &str,
        settings: &Settings,
    ) -> Result<Link, LinkError> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Link::connect(stream, me, wanted, settings).await
    }

    /// A link as soon as the node takes one.
    pub async fn link(&self) -> Link {
        self.link_with(&Settings::default()).await
    }

    pub async fn link_with(&self, settings: &Settings) -> Link {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_link(&me(), &self.name, settings).await {
                Ok(link) => return booted(link).await,
                Err(error) if Instant::now() > until => panic!("no link to {}: {error}", self.name),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Waits until the runtime is at rest.
async fn booted(link: Link) -> Link {
    loop {
        let status = link.call(lace_beam::Call::new("init", "get_status", vec![])).await.unwrap();
        if status.to_string() == "{started,started}" {
            return link;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn spawn(name: &str, port: u16, home: &std::path::Path, more: &[&str]) -> Child {
    let mut command = Command::new("erl");
    command.args(["-noinput", "-name", name, "-setcookie", COOKIE, "-start_epmd", "false"]);
    command.args(["-erl_epmd_port", &port.to_string()]);
    command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
    command.args(["+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+sbwt", "none", "+sbwtdcpu", "none"]);
    command.args(more).env("HOME", home).current_dir(home).env("ERL_CRASH_DUMP_SECONDS", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn me() -> Identity {
    Identity { node: "lace@agent.lace.internal".into(), cookie: COOKIE.into() }
}
