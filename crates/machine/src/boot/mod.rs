//! The birth of a node: a single-threaded helper, forked by the nursery, that clones PID 1 into
//! new namespaces, prepares its mounts and network from outside, and goes away.
//!
//! Both sides share their descriptor table until the new process takes its own copy, so mounts
//! prepared by the helper (which may map ids) reach PID 1 by number.

mod child;
mod gifts;
mod inside;
mod mapping;
pub(crate) mod nursery;
mod on_host;
mod plan;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

pub(crate) use nursery::{BUILD, order};
pub(crate) use on_host::cover_resolver;
pub(crate) use plan::{Line, Plan};

use crate::network;
use crate::spec::Isolation;
use crate::sys::clone::{Cloned, clone3, unshare};
use crate::sys::process::{ProcessId, kill, pidfd_signal};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, mounts, open_at};

/// User ids per node.
pub(crate) const IDS_PER_NODE: u32 = 65_536;
/// The control socket below a node's directory.
pub(crate) const SOCKET: &str = "ctl.sock";
/// What the node writes, below its directory.
pub(crate) const UPPER: &str = "own/upper";
/// The kernel's own beside it.
pub(crate) const WORK: &str = "own/work";
/// An empty directory, below a node's: the lowest layer of a node that has the host's files.
pub(crate) const BARE: &str = "bare";
/// What such a node keeps apart of the host's temporary files: where it lies below its directory, and where it is seen.
pub(crate) const TEMPORARY: [(&str, &str); 2] = [("own/tmp", "/tmp"), ("own/var-tmp", "/var/tmp")];
/// Where the helper leaves the identity of PID 1.
pub(crate) const PID_FILE: &str = "pid";

/// Says that the node's link is there.
const WIRED: u8 = b'w';

/// What is opened before the clone, by number.
struct Open {
    listener: OwnedFd,
    log_dir: OwnedFd,
    oom: Option<OwnedFd>,
    quota: Option<OwnedFd>,
    tasks: Vec<OwnedFd>,
    unified: Option<OwnedFd>,
}

/// What the helper prepares after the clone, by number in the shared table.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Handover {
    root: RawFd,
    binds: Vec<Bind>,
    notes: Vec<String>,
}

/// A detached mount for a path of the node.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Bind {
    tree: RawFd,
    target: String,
}

/// The helper: reads the plan from standard input, reports on standard output.
fn main() -> ! {
    let outcome = read_plan().and_then(boot);
    if let Err(error) = outcome {
        plan::report(1, &Line::Failed { error });
        std::process::exit(1);
    }
    // No destructor may run: closing would reach into PID 1's table.
    std::process::exit(0)
}

fn read_plan() -> Result<Plan, StepError> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).step("read plan")?;
    serde_json::from_slice(&text).map_err(|e| StepError::plain(format!("plan: {e}")))
}

fn boot(plan: Plan) -> Result<(), StepError> {
    // SAFETY: no memory is passed; failing only means that we lead a session already.
    unsafe { libc::setsid() };
    sys::change_directory(&plan.node_dir).step("enter node directory")?;
    unshare(libc::CLONE_NEWNS).step("unshare mount namespace")?;
    match plan.spec.isolation {
        // What the host mounts and unmounts later is so in the node, too; nothing of the node's comes to the host.
        Isolation::Host => mounts::make_slave().step("make mounts follow the host's")?,
        Isolation::Border | Isolation::Plain => mounts::make_private().step("make mounts private")?,
    }
    let open = open_all(&plan)?;
    let (reader, writer) = sys::pipe().step("pipe")?;
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_FILES;
    let more = match plan.spec.isolation {
        Isolation::Border => libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWUSER,
        Isolation::Plain => libc::CLONE_NEWNET | libc::CLONE_NEWUTS,
        Isolation::Host => 0,
    };
    let flags = (own | more) as u64;
    // SAFETY: this helper has a single thread.
    let cloned = unsafe { clone3(flags, open.unified.as_ref().map(AsFd::as_fd)) };
    match cloned.step("clone3")? {
        Cloned::Child => child::main(plan, open, reader),
        Cloned::Parent(pid, pidfd) => {
            let outcome = midwife(&plan, pid, &writer);
            if outcome.is_err() {
                let _ = pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
            std::mem::forget((open, reader, writer, pidfd));
            outcome
        }
    }
}

/// Everything that PID 1 needs and could not open itself.
fn open_all(plan: &Plan) -> Result<Open, StepError> {
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).step("bind control socket")?;
    let dir = libc::O_PATH | libc::O_DIRECTORY;
    let here = libc::AT_FDCWD;
    let log_dir = open_at(here, "log", dir, 0).step("open log directory")?;
    let oom = plan.seats.oom.as_ref();
    let oom = oom.map(|f| open_at(here, f, libc::O_RDONLY, 0)).transpose();
    let quota = plan.seats.quota.as_ref();
    let quota = quota.map(|q| open_at(here, &q.file, libc::O_WRONLY, 0)).transpose();
    let tasks = plan.seats.split.iter();
    let tasks = tasks.map(|d| open_at(here, d.join("tasks"), libc::O_WRONLY, 0));
    let unified = plan.seats.unified.as_ref();
    let unified = unified.map(|d| open_at(here, d, dir, 0)).transpose();
    Ok(Open {
        listener: listener.into(),
        log_dir,
        oom: oom.step("open counter of memory kills")?,
        quota: quota.step("open the limit of the processor")?,
        tasks: tasks.collect::<Result<_, _>>().step("open cgroup tasks")?,
        unified: unified.step("open cgroup")?,
    })
}

/// In the parent: everything that has to be done to the new process from outside.
fn midwife(plan: &Plan, pid: i32, writer: &OwnedFd) -> Result<(), StepError> {
    let process = ProcessId::of(pid).ok_or_else(|| StepError::plain("the clone died at once"))?;
    plan::write_pid(process).step("write pid file")?;
    // Needs CAP_SYS_RESOURCE, which some hosts withhold; the workload's score is raised anyway.
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "-800");
    if plan.spec.isolation == Isolation::Border {
        map_ids(plan, pid)?;
    }
    let handover = gifts::prepare(plan, pid)?;
    let text = serde_json::to_vec(&handover).unwrap_or_default();
    let length = (text.len() as u32).to_le_bytes();
    let message = [&length[..], &text].concat();
    sys::write_all(writer.as_fd(), &message).step("hand over to the clone")?;
    // Beside the clone, which builds its root meanwhile.
    match plan.spec.isolation {
        Isolation::Host => network::add_own(&plan.veth, plan.spec.address)?,
        Isolation::Border | Isolation::Plain => {
            network::wire_host(&plan.veth, pid, plan.spec.address, plan.gateway)?;
        }
    }
    sys::write_all(writer.as_fd(), &[WIRED]).step("tell the clone of its link")?;
    kill(pid, 0).step("the clone lives")
}

fn map_ids(plan: &Plan, pid: i32) -> Result<(), StepError> {
    write_maps(plan.uid_base, pid)
}

fn write_maps(uid_base: u32, pid: i32) -> Result<(), StepError> {
    let map = format!("0 {uid_base} {IDS_PER_NODE}\n");
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).step(&path)?;
        file.write_all(map.as_bytes()).step(format!("write {path}"))?;
    }
    Ok(())
}

/// The namespace file of a process.
fn user_namespace(pid: i32) -> Result<OwnedFd, StepError> {
    let path = format!("/proc/{pid}/ns/user");
    open_at(libc::AT_FDCWD, path, libc::O_RDONLY, 0).step("open user namespace")
}

/// The numbers that PID 1 keeps, one of them until its process begins.
fn numbers(open: &Open) -> Vec<RawFd> {
    let always = [open.listener.as_raw_fd(), open.log_dir.as_raw_fd()];
    always.into_iter().chain(open.oom.iter().chain(&open.quota).map(AsRawFd::as_raw_fd)).collect()
}
