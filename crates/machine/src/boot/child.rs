//! The clone: waits for the helper's gifts, builds its world, becomes PID 1.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::plan::{Line, Plan, report};
use super::{Handover, Open, inside, numbers, on_host};
use crate::network;
use crate::pid1::{Ballot, Seat, Supervisor};
use crate::spec::Isolation;
use crate::sys::clone::unshare;
use crate::sys::mounts;
use crate::sys::process::wait_readable;
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check, open_at};

/// How long the helper may take; without it (it was killed) the clone ends after this time.
/// A parent-death signal would not do: it is lost with the change of user.
const HANDOVER: Duration = Duration::from_secs(30);
/// Where the report moves to, out of the way of standard output.
const REPORT: RawFd = 900;

/// Entered right after the clone. Never returns, drops nothing of the helper's.
pub(super) fn main(plan: Plan, open: Open, handover: OwnedFd) -> ! {
    let supervisor = match build(&plan, open, &handover) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            report(1, &Line::Failed { error: error.clone() });
            report(REPORT, &Line::Failed { error });
            // SAFETY: ends the process without destructors.
            unsafe { libc::_exit(1) }
        }
    };
    // Contents of secret files and the like do not stay in memory.
    drop(plan);
    // SAFETY: the report was moved there by `settle` and nobody else owns it.
    drop(unsafe { sys::inherit(REPORT) });
    supervisor.run()
}

fn build(plan: &Plan, open: Open, helper: &OwnedFd) -> Result<Supervisor, StepError> {
    let handover = receive(helper)?;
    unshare(libc::CLONE_FILES).step("unshare descriptor table")?;
    let keep = numbers(&open);
    // SAFETY: plain numbers.
    unsafe { libc::setsid() };
    let place = std::fs::canonicalize("root").step("find mount point")?;
    if plan.spec.isolation == Isolation::Border {
        become_root()?;
    }
    let is_host = plan.spec.isolation == Isolation::Host;
    match is_host {
        true => on_host::build_root(plan, &handover, &place)?,
        false => inside::build_root(plan, &handover, &place)?,
    }
    await_word(helper)?;
    read_exact(helper, &mut [0])?;
    if !is_host {
        network::wire_node(plan.spec.address)?;
    }
    join_cgroups(&open, !is_host)?;
    settle(&keep)?;
    // Closed by `settle`; closing again would hit strangers.
    std::mem::forget((open.tasks, open.unified));
    match is_host {
        true => on_host::write_files(plan)?,
        false => inside::write_files(plan)?,
    }
    let mut notes = plan.seats.notes.clone();
    notes.extend(handover.notes);
    let mut supervisor = Supervisor::new(Seat {
        listener: open.listener,
        log_dir: open.log_dir,
        oom: open.oom,
        memory_bytes: plan.spec.limits.memory_bytes,
        isolation: plan.spec.isolation,
        user: plan.user,
        notes: notes.clone(),
        ballot: plan.spec.votes.as_ref().map(|votes| Ballot::open(votes, plan.spec.address)).transpose()?,
    })?;
    supervisor.begin(plan.spec.process.clone())?;
    limit_processor(plan, open.quota)?;
    report(REPORT, &Line::Running { notes });
    Ok(supervisor)
}

fn await_word(pipe: &OwnedFd) -> Result<(), StepError> {
    match wait_readable(pipe.as_fd(), HANDOVER).step("wait for helper")? {
        true => Ok(()),
        false => Err(StepError::plain("the helper took longer than 30 s")),
    }
}

fn receive(pipe: &OwnedFd) -> Result<Handover, StepError> {
    await_word(pipe)?;
    let mut head = [0; 4];
    read_exact(pipe, &mut head)?;
    let mut text = vec![0; u32::from_le_bytes(head) as usize];
    read_exact(pipe, &mut text)?;
    serde_json::from_slice(&text).map_err(|e| StepError::plain(format!("handover: {e}")))
}

fn read_exact(pipe: &OwnedFd, mut buffer: &mut [u8]) -> Result<(), StepError> {
    while !buffer.is_empty() {
        match sys::read(pipe.as_fd(), buffer).step("read handover")? {
            0 => return Err(StepError::plain("the helper went away")),
            n => buffer = &mut buffer[n..],
        }
    }
    Ok(())
}

/// From the unmapped owner of the namespace to its root.
fn become_root() -> Result<(), StepError> {
    // SAFETY: no memory is passed.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()).into()).step("setgroups in node")?;
        check(libc::setresgid(0, 0, 0).into()).step("become group root in node")?;
        check(libc::setresuid(0, 0, 0).into()).step("become root in node")?;
    }
    Ok(())
}

/// v1 hierarchies: a thread that moves itself through `tasks` needs no global lock (the v1
/// `cgroup.procs` write can wait tens of milliseconds for it). The cgroup namespace comes after,
/// so that the node's own directory is its root; not where the host's whole tree is seen, in which it must find itself.
fn join_cgroups(open: &Open, unshares: bool) -> Result<(), StepError> {
    for tasks in &open.tasks {
        sys::write_all(tasks.as_fd(), b"0").step("join cgroup")?;
    }
    if unshares { unshare(libc::CLONE_NEWCGROUP).step("unshare cgroup namespace") } else { Ok(()) }
}

/// From here on the node pays for its own work.
fn limit_processor(plan: &Plan, file: Option<OwnedFd>) -> Result<(), StepError> {
    let (Some(quota), Some(file)) = (&plan.seats.quota, file) else { return Ok(()) };
    sys::write_all(file.as_fd(), quota.text.as_bytes()).step("limit the processor")
}

/// Moves the report aside, points 0, 1 and 2 at /dev/null, closes everything of the helper's.
fn settle(keep: &[RawFd]) -> Result<(), StepError> {
    let null = open_at(libc::AT_FDCWD, "/dev/null", libc::O_RDWR, 0).step("open /dev/null")?;
    // SAFETY: plain numbers; what is closed here belongs to the helper's frames, which never
    // run again in this process.
    unsafe {
        check(libc::dup3(1, REPORT, libc::O_CLOEXEC).into()).step("move report")?;
        for number in 0..3 {
            check(libc::dup2(null.as_raw_fd(), number).into()).step("dup /dev/null")?;
        }
        let mut keep: Vec<u32> = keep.iter().map(|fd| *fd as u32).collect();
        keep.extend([REPORT as u32, u32::MAX]);
        keep.sort_unstable();
        let mut from = 3;
        for next in keep {
            if next > from {
                check(libc::close_range(from, next - 1, 0).into()).step("close_range")?;
            }
            from = next.saturating_add(1);
        }
    }
    std::mem::forget(null);
    Ok(())
}

/// Attaches a detached mount by number at a path of the node.
pub(super) fn attach(tree: RawFd, target: &str) -> Result<(), StepError> {
    // SAFETY: the number is open in our table until `settle`.
    let tree = unsafe { std::os::fd::BorrowedFd::borrow_raw(tree) };
    mounts::attach(tree, target).step(format!("mount {target}"))
}
