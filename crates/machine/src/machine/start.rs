//! Starting a node: reserve, record, let the helper build, wait for "running".

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Machine;
use super::record::{Record, boot_id};
use crate::boot::{Line, PID_FILE, Plan, UPPER, WORK};
use crate::error::{Error, Result};
use crate::network;
use crate::skeleton;
use crate::spec::{Image, Isolation, NodeSpec};
use crate::sys::process::wait_readable;
use crate::sys::step::{Step, StepError};
use crate::volume;

/// How long a node may take to be built, on a host under heavy load.
const REPORT: Duration = Duration::from_secs(60);

/// A node that runs.
#[derive(Debug, Clone)]
pub struct Started {
    /// What could not be arranged as asked (an absent controller, an unmappable file system).
    pub notes: Vec<String>,
    /// From the call to exec succeeded.
    pub took: Duration,
}

/// Keeps a second start of the same node out.
struct Starting<'a> {
    machine: &'a Machine,
    id: &'a str,
}

impl<'a> Starting<'a> {
    fn enter(machine: &'a Machine, id: &'a str) -> Result<Self> {
        let mut starting = machine.starting.lock().unwrap_or_else(|e| e.into_inner());
        match starting.insert(id.to_owned()) {
            true => Ok(Starting { machine, id }),
            false => Err(Error::Exists(id.to_owned())),
        }
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut starting = self.machine.starting.lock().unwrap_or_else(|e| e.into_inner());
        starting.remove(self.id);
    }
}

impl Machine {
    /// Starts a node and waits until the exec of its process succeeded (or, without a process,
    /// until PID 1 serves). A node whose PID 1 is gone keeps its files and is started again.
    ///
    /// # Errors
    /// [`Error::Exists`] when it runs; [`Error::Invalid`] for a bad specification;
    /// [`Error::Start`] names the failing step. After an error nothing of a new node is left.
    pub fn start(&self, spec: &NodeSpec) -> Result<Started> {
        let begun = Instant::now();
        spec.check()?;
        if !self.config.blocks.iter().any(|b| b.contains(spec.address)) {
            return Err(Error::invalid("address", "not in this machine's blocks"));
        }
        if spec.address == self.gateway {
            return Err(Error::invalid("address", "is the machine's gateway address"));
        }
        let _starting = Starting::enter(self, &spec.id)?;
        let known = self.clear_for_start(&spec.id)?;
        let slot = self.take_slot(&spec.id)?;
        match self.build(spec, slot) {
            Ok(notes) => Ok(Started { notes, took: begun.elapsed() }),
            Err(error) => {
                let cleared = match known {
                    true => self.clear_runtime(&spec.id),
                    false => self.remove(&spec.id),
                };
                if let Err(error) = cleared {
                    tracing::warn!(node = spec.id, %error, "rest of a failed start stays");
                }
                Err(error)
            }
        }
    }

    /// True when there was such a node before, which is dead now.
    fn clear_for_start(&self, id: &str) -> Result<bool> {
        let dir = self.node_dir(id);
        match Record::read(&dir) {
            None if dir.exists() => self.remove(id).map(|()| false),
            None => Ok(false),
            Some(record) if record.process(&dir).is_some() => Err(Error::Exists(id.to_owned())),
            Some(_) => self.clear_runtime(id).map(|()| true),
        }
    }

    fn take_slot(&self, id: &str) -> Result<u32> {
        let mut slots = self.slots.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(slot) = slots.get(id) {
            return Ok(*slot);
        }
        let taken: std::collections::BTreeSet<u32> = slots.values().copied().collect();
        let free = (0..self.config.nodes_max).find(|slot| !taken.contains(slot));
        let slot = free.ok_or(Error::NoUidRange(self.config.nodes_max))?;
        slots.insert(id.to_owned(), slot);
        Ok(slot)
    }

    fn build(&self, spec: &NodeSpec, slot: u32) -> Result<Vec<String>> {
        let start = |cause: StepError| Error::Start { id: spec.id.clone(), cause };
        let mut plan = self.plan(spec, slot).map_err(|e| match e {
            Error::Step(cause) => start(cause),
            other => other,
        })?;
        // Until the node has mounts of its own.
        let _mounted = volume::mount(&spec.volumes, &mut plan.seats.notes).map_err(start)?;
        self.run_helper(&plan).map_err(start)
    }

    fn plan(&self, spec: &NodeSpec, slot: u32) -> Result<Plan> {
        let node_dir = self.node_dir(&spec.id);
        let record = Record {
            id: spec.id.clone(),
            hostname: spec.hostname.clone(),
            address: spec.address,
            slot,
            veth: network::veth(&self.config.installation, &spec.id),
            isolation: spec.isolation,
            boot_id: boot_id(),
        };
        let uid_base = match spec.isolation {
            Isolation::Border => self.uid_base(slot),
            Isolation::Plain => 0,
        };
        make_dirs(&node_dir, uid_base)?;
        // A pid file of an earlier life must not be taken for this one's.
        let _ = fs::remove_file(node_dir.join(PID_FILE));
        record.write(&node_dir)?;
        let host = spec.image == Image::Host;
        let skeleton = match host {
            true => skeleton::ensure(&self.config.state_dir.join("skeleton"))?,
            false => PathBuf::new(),
        };
        Ok(Plan {
            seats: self.cgroups.create(&spec.id, &spec.limits)?,
            node_dir,
            skeleton,
            host_binds: if host { skeleton::live_paths() } else { Vec::new() },
            uid_base,
            veth: record.veth,
            gateway: self.gateway,
            spec: spec.clone(),
        })
    }

    fn run_helper(&self, plan: &Plan) -> Result<Vec<String>, StepError> {
        let own = PathBuf::from("/proc/self/exe");
        let program = self.config.executable.as_ref().unwrap_or(&own);
        let mut helper = Command::new(program)
            .args(["pid1", "boot"])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .step(format!("run {} pid1 boot", program.display()))?;
        let sent = send_plan(&mut helper, plan);
        let outcome = read_report(&mut helper);
        helper.wait().step("wait for helper")?;
        outcome.and_then(|notes| sent.map(|()| notes))
    }
}

fn send_plan(helper: &mut Child, plan: &Plan) -> Result<(), StepError> {
    let text = serde_json::to_vec(plan).unwrap_or_default();
    let mut pipe = helper.stdin.take().ok_or_else(|| StepError::plain("no pipe"))?;
    pipe.write_all(&text).step("send plan to helper")
}

fn read_report(helper: &mut Child) -> Result<Vec<String>, StepError> {
    let pipe = helper.stdout.take().ok_or_else(|| StepError::plain("no pipe"))?;
    if !wait_readable(pipe.as_fd(), REPORT).step("wait for report")? {
        let _ = helper.kill();
        return Err(StepError::plain("the helper took longer than 60 s"));
    }
    for line in BufReader::new(pipe).lines() {
        let line = line.step("read report")?;
        match serde_json::from_str(&line) {
            Ok(Line::Running { notes }) => return Ok(notes),
            Ok(Line::Failed { error }) => return Err(error),
            Err(_) => {}
        }
    }
    Err(StepError::plain("the helper ended without a report"))
}

/// The node's directories. The upper and `log` belong to the node's root; `root` is only a place
/// to mount at, and the only one that the node itself goes to by its path. What the node writes
/// lies behind a door that only the host's root opens, whatever modes it gives to its files.
fn make_dirs(dir: &Path, uid: u32) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    for (name, mode) in [("", 0o711), ("m", 0o700), ("root", 0o711), ("own", 0o700), (WORK, 0o700)] {
        let path = dir.join(name);
        builder.mode(mode).create(&path).step(format!("make {}", path.display()))?;
    }
    for (name, mode) in [(UPPER, 0o755), ("log", 0o700)] {
        let path = dir.join(name);
        builder.mode(mode).create(&path).step(format!("make {}", path.display()))?;
        chown(&path, Some(uid), Some(uid)).step(format!("owner of {}", path.display()))?;
    }
    Ok(())
}
