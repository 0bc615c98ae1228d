//! Processes by pidfd and start time: a number alone is never trusted.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{check, own};

/// A process as it can be found again: its number and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    /// The pid in the host's pid namespace.
    pub pid: i32,
    /// Field 22 of /proc/pid/stat, in clock ticks since boot (proc(5)).
    pub start_ticks: u64,
}

/// The fields of /proc/pid/stat that we use (proc(5)).
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// The session.
    pub session: i32,
    /// Clock ticks since boot.
    pub start_ticks: u64,
    /// One of R S D Z T t X I.
    pub state: u8,
}

/// Reads /proc/pid/stat; `None` when there is no such process.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may hold anything: take what follows the last one.
    let end = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Stat {
        state: fields.first()?.bytes().next()?,
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

impl ProcessId {
    /// The identity of a live process.
    pub fn of(pid: i32) -> Option<ProcessId> {
        let stat = stat(pid)?;
        Some(ProcessId { pid, start_ticks: stat.start_ticks })
    }

    /// A pidfd, when the process still lives and is the same one (zombies count as gone).
    pub fn open(self) -> Option<OwnedFd> {
        let fd = pidfd_open(self.pid).ok()?;
        let stat = stat(self.pid)?;
        (stat.start_ticks == self.start_ticks && stat.state != b'Z').then_some(fd)
    }
}

/// pidfd_open(2).
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(own)
}

/// pidfd_send_signal(2).
pub fn pidfd_signal(pidfd: BorrowedFd, signal: i32) -> io::Result<()> {
    // SAFETY: no siginfo is passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::c_void>(),
            0,
        )
    })
    .map(drop)
}

/// Waits until a descriptor is readable (for a pidfd: the process ended). False on timeout.
pub fn wait_readable(fd: BorrowedFd, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    loop {
        // SAFETY: one valid pollfd.
        match check(unsafe { libc::poll(&raw mut poll, 1, timeout) }.into()) {
            Ok(n) => return Ok(n > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// How a child ended, or `None` when none has: waitpid(2) with WNOHANG on any child.
pub fn reap_one() -> Option<(i32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the status is valid for writing.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, ExitStatus::from_wait(status)))
}

/// The end of a process: an exit code or a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// exit(code).
    Code(i32),
    /// Killed by a signal.
    Signal(i32),
}

impl ExitStatus {
    fn from_wait(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            ExitStatus::Signal(libc::WTERMSIG(status))
        } else {
            ExitStatus::Code(libc::WEXITSTATUS(status))
        }
    }
}
