//! clone3(2), for a process that has one thread only.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{check, own};

/// The argument of clone3(2), version 2 (kernel 5.7: with a cgroup to be born in).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// linux/sched.h; does not fit the type that libc gives its siblings.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What a clone returns: on which side are we?
pub enum Cloned {
    /// In the new process.
    Child,
    /// In the caller, with the child's pid and a pidfd of it.
    Parent(i32, OwnedFd),
}

/// Clones this process, the child being born in `cgroup` (a cgroup v2 directory) when given.
///
/// # Safety
/// The caller must have a single thread: the child runs ordinary code, and locks that another
/// thread held would stay locked for ever.
pub unsafe fn clone3(flags: u64, cgroup: Option<BorrowedFd>) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: the arguments outlive the call; no stack is given, so the child returns here on a
    // copy of ours, as with fork.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, std::mem::size_of::<CloneArgs>()) })?;
    Ok(match pid {
        0 => Cloned::Child,
        pid => Cloned::Parent(pid as i32, own(pidfd.into())),
    })
}

/// unshare(2).
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::unshare(flags) }.into()).map(drop)
}
