//! A machine of its own for each test: installation, address block, state directory.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lace_machine::{
    Cidr, ExecSpec, Image, Isolation, Limits, Machine, MachineConfig, NodeHandle, NodeSpec, ProcessSpec,
};

/// Longest wait for a state.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A machine that removes all its traces when dropped.
pub struct World {
    pub machine: Option<Machine>,
    pub config: MachineConfig,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A block that no other test has, in this process or another: it is locked until this process ends.
fn free_block() -> Ipv4Addr {
    let dir = PathBuf::from("/tmp/lace-machine-tests");
    std::fs::create_dir_all(&dir).unwrap();
    for (net, block) in (230..238u8).flat_map(|net| (0..=255u8).map(move |block| (net, block))) {
        let lock = std::fs::File::create(dir.join(format!("{net}.{block}.lock"))).unwrap();
        let base = Ipv4Addr::new(10, net, block, 0);
        // A test that was killed may have left its gateway.
        let free = Machine::ensure_free("", &[Cidr::new(base, 24).unwrap()]).is_ok();
        if free && lock.try_lock().is_ok() {
            std::mem::forget(lock);
            return base;
        }
    }
    panic!("no free block of addresses for a test");
}

/// A fresh machine, or `None` (with the reason printed) where nodes cannot run.
pub fn world() -> Option<World> {
    // SAFETY: cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        assert!(std::env::var_os("CI").is_none(), "CI must run these tests as root");
        eprintln!("skipped: light nodes need root");
        return None;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    let space = Cidr::new(free_block(), 24).unwrap();
    let installation = format!("t{pid}-{number}");
    let state = PathBuf::from(format!("/tmp/lace-machine-tests/{installation}"));
    let mut config = MachineConfig::new(state, &installation, space, space);
    config.executable = Some(env!("CARGO_BIN_EXE_lace-node").into());
    let machine = Machine::open(config.clone()).unwrap();
    Some(World { machine: Some(machine), config })
}

impl World {
    pub fn machine(&self) -> &Machine {
        self.machine.as_ref().unwrap()
    }

    /// The n-th node address, counting from 0.
    pub fn address(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.config.space.address().to_bits() + 10 + n)
    }

    /// A node specification that runs a shell script as its process.
    pub fn spec(&self, n: u32, script: &str) -> NodeSpec {
        NodeSpec {
            id: format!("node-{n}"),
            hostname: format!("n{n}"),
            fqdn: format!("n{n}.test.lace.internal"),
            address: self.address(n),
            hosts: Vec::new(),
            nameserver: None,
            search: None,
            image: Image::Host,
            layers: Vec::new(),
            files: Vec::new(),
            volumes: Vec::new(),
            limits: Limits::default(),
            isolation: Isolation::Border,
            process: Some(shell(script)),
            votes: None,
        }
    }

    pub fn start(&self, spec: &NodeSpec) -> NodeHandle {
        self.machine().start(spec).unwrap_or_else(|e| panic!("{e}"));
        self.machine().connect(&spec.id).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let machine = self.machine.take().map_or_else(|| Machine::open(self.config.clone()), Ok);
        match machine.and_then(Machine::close_all) {
            Ok(()) => {}
            Err(error) if std::thread::panicking() => eprintln!("left behind: {error}"),
            Err(error) => panic!("left behind: {error}"),
        }
        let _ = std::fs::remove_dir_all(&self.config.state_dir);
    }
}

/// A process that runs a shell script.
pub fn shell(script: &str) -> ProcessSpec {
    ProcessSpec {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        stop_grace_ms: 2000,
        ..ProcessSpec::default()
    }
}

/// Runs a script in a node: (exit code or -signal, output).
pub fn run(node: &NodeHandle, script: &str) -> (i32, String) {
    let spec = ExecSpec::new(["/bin/sh", "-c", script]);
    let (exit, out, err) = node.output(&spec).unwrap();
    let code = exit.code.unwrap_or_else(|| -exit.signal.unwrap_or(0));
    let text = [out, err].concat();
    (code, String::from_utf8_lossy(&text).trim().to_owned())
}

/// The output of a script that must succeed.
pub fn says(node: &NodeHandle, script: &str) -> String {
    let (code, text) = run(node, script);
    assert_eq!(code, 0, "{script}: {text}");
    text
}

/// Waits until the question is answered.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
