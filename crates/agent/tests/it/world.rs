//! One agent with a state directory, a label and addresses of its own. Everything goes with it.

use crate::controller::{Controller, Fake};
use bytes::Bytes;
use lace_machine::{Cidr, Machine, MachineConfig};
use lace_model::check::{Check, Probe};
use lace_model::document::{Member, NodeEntry, Topic};
use lace_model::host::Block;
use lace_model::revision::RevisionSpec;
use lace_model::target::Want;
use lace_model::{Digest, NodeId, Span};
use lace_release::ChunkSource;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub struct World {
    pub controller: Controller,
    pub state: PathBuf,
    label: String,
    space: Cidr,
    agent: Option<Child>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// May light nodes run here? On CI they must.
pub fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI must run these tests as root");
    if !root {
        eprintln!("skipped: light nodes need root");
    }
    root
}

/// A block that no other test has, in this process or another: it is locked until this process ends.
fn free_block() -> Ipv4Addr {
    let dir = PathBuf::from("/tmp/lace-agent-tests");
    std::fs::create_dir_all(&dir).unwrap();
    for block in 0..=255u8 {
        let lock = std::fs::File::create(dir.join(format!("{block}.lock"))).unwrap();
        let base = Ipv4Addr::new(10, 228, block, 0);
        // A test that was killed may have left its gateway.
        let free = lace_machine::Machine::ensure_free("", &[Cidr::new(base, 24).unwrap()]).is_ok();
        if free && lock.try_lock().is_ok() {
            std::mem::forget(lock);
            return base;
        }
    }
    panic!("no free block of addresses for a test");
}

impl World {
    /// A fresh agent that has joined and holds a session.
    pub async fn start() -> Option<Self> {
        if !can_run() {
            return None;
        }
        lace_wire::install_crypto();
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let label = format!("a{pid}-{number}");
        let base = free_block();
        let space = Cidr::new(base, 24).unwrap();
        let state = PathBuf::from(format!("/tmp/lace-agent-tests/{label}"));
        std::fs::create_dir_all(&state).unwrap();
        let fake = Fake::new(Block { base }, space.to_string());
        std::fs::write(state.join("ca.pem"), &fake.ca).unwrap();
        let controller = Controller::start(fake, "127.0.0.1:0".parse().unwrap()).await;
        let mut world = Self { controller, state, label, space, agent: None };
        world.start_agent(true);
        world.controller.until("a session", |seen| (seen.connected > 0).then_some(())).await;
        Some(world)
    }

    /// Starts the agent's process.
    pub fn start_agent(&mut self, with_token: bool) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.state.join("agent.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lace-hands"));
        command
            .arg("agent")
            .arg(self.state.join("agent"))
            .arg(&self.label)
            .arg(self.controller.address.to_string());
        if with_token {
            command.arg(self.state.join("ca.pem")).arg("once");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.spawn().unwrap());
    }

    /// SIGKILL.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    pub fn agent_pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Waits until the agent has ended by itself.
    pub async fn agent_end(&mut self) {
        let Some(mut agent) = self.agent.take() else { return };
        let pid = agent.id();
        let ended = tokio::task::spawn_blocking(move || agent.wait().unwrap());
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), ended).await;
        assert!(ended.is_ok(), "the agent (process {pid}) goes on");
    }

    /// Restarts the controller at its address, empty, as after a crash.
    pub async fn restart_controller(&mut self) {
        let (fake, address): (Arc<Fake>, _) = (self.controller.fake.clone(), self.controller.address);
        let idle = Controller::start(fake.clone(), "127.0.0.1:0".parse().unwrap()).await;
        drop(std::mem::replace(&mut self.controller, idle));
        self.controller = Controller::start(fake, address).await;
    }

    pub fn machine_config(&self) -> MachineConfig {
        let mut config =
            MachineConfig::new(self.state.join("agent/machine"), &self.label, self.space, self.space);
        config.executable = Some(env!("CARGO_BIN_EXE_lace-hands").into());
        config
    }

    /// The machine, while no agent has it open.
    pub fn machine(&self) -> Machine {
        assert!(self.agent.is_none());
        Machine::open(self.machine_config()).unwrap()
    }

    /// The n-th address, from 0.
    pub fn address(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.space.address().to_bits() + 10 + n)
    }

    /// Node n of the family shop/web/web, from 1, that runs a shell script.
    pub fn node(&self, index: u32, script: &str) -> NodeEntry {
        NodeEntry {
            id: NodeId(uuid::Uuid::new_v4()),
            path: format!("shop/web/web/{index}").parse().unwrap(),
            address: self.address(index),
            revision: 1,
            spec: shell(script),
            want: Want::Run,
            votes: None,
            mesh: 0,
        }
    }

    /// Adds a file's directory as a release.
    pub fn upload(&self, dir: &Path) -> Digest {
        let packed = lace_release::read_dir(dir, &lace_release::Limits::default()).unwrap();
        let mut blobs = self.controller.fake.blobs.lock().unwrap();
        for digest in lace_release::needed(&packed.tree) {
            blobs.insert(digest, packed.chunks.chunk(&digest).unwrap().into());
        }
        blobs.insert(packed.tree.digest(), Bytes::from(serde_json::to_vec(&packed.tree).unwrap()));
        packed.tree.digest()
    }

    /// Publishes a topic of shop with these nodes.
    pub fn topic(&self, nodes: &[(&NodeEntry, bool)]) {
        let member = |(node, up): &(&NodeEntry, bool)| Member {
            node: node.id,
            path: node.path.clone(),
            address: node.address,
            up: *up,
            ready: *up,
            openings: Vec::new(),
            revision: 0,
            mesh: 0,
            joined: false,
        };
        self.controller.topic(&Topic {
            app: "shop".parse().unwrap(),
            generation: self.controller.generation(),
            members: nodes.iter().map(member).collect(),
            ports: BTreeMap::new(),
            doors: BTreeMap::new(),
            shares: Default::default(),
            certificates: Vec::new(),
            challenges: Vec::new(),
            runtimes: Default::default(),
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_agent();
        if std::thread::panicking() {
            eprintln!(
                "agent said:\n{}",
                std::fs::read_to_string(self.state.join("agent.log")).unwrap_or_default()
            );
        }
        match self.machine_when_free().and_then(Machine::close_all) {
            Ok(()) => {}
            Err(error) if std::thread::panicking() => eprintln!("left behind: {error}"),
            Err(error) => panic!("left behind: {error}"),
        }
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

impl World {
    /// The machine, as soon as the killed agent's last helper has let go of it.
    fn machine_when_free(&self) -> lace_machine::Result<Machine> {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            match Machine::open(self.machine_config()) {
                Err(lace_machine::Error::Busy(_)) if std::time::Instant::now() < until => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }
}

/// A revision that runs a shell script.
pub fn shell(script: &str) -> RevisionSpec {
    let value = serde_json::json!({
        "release": "", "tree": null, "kind": "generic", "start": ["/bin/sh", "-c", script],
        "stop": { "signal": "TERM", "timeout": "2s" }, "restart": { "min": "50ms", "max": "1s" },
    });
    serde_json::from_value(value).unwrap()
}

/// A quick check.
pub fn check(probe: Probe) -> Check {
    Check { interval: Span(100), timeout: Span(2000), failures: 2, grace: Span(0), ..Check::new(probe) }
}
