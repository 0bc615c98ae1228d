//! Where helpers come from: a process with one thread that was started once and forks for each node.
//!
//! Nothing is loaded or relocated for a node, and all PID 1s share the pages that the executable's relocations made
//! private (1.7 MiB of `lace`) with it and with one another. It knows nothing of nodes: plan and report pass through
//! pipes that come with each order. It ends with its agent.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::pid1::warm;
use crate::sys::process::reap_one;
use crate::sys::{check, fdpass};

/// How long a node may take to be built, on a host under heavy load.
pub(crate) const BUILD: Duration = Duration::from_secs(60);

/// The nursery: orders come from standard input, each a byte with two descriptors (plan, report).
pub(crate) fn main() -> ! {
    warm();
    // The end of a helper interrupts the wait for the next order.
    on_child_end(wake as *const () as libc::sighandler_t);
    // SAFETY: standard input is the agent's socket, for the life of this process.
    let orders = unsafe { BorrowedFd::borrow_raw(0) };
    loop {
        while reap_one().is_some() {}
        let mut fds = Vec::new();
        match fdpass::receive(orders, &mut [0], &mut fds) {
            // The agent is gone.
            Ok(0) => std::process::exit(0),
            Ok(_) => deliver(fds),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => std::process::exit(1),
        }
    }
}

/// Forks a helper. Without one the pipes close, which the agent takes for a failure.
fn deliver(mut fds: Vec<OwnedFd>) {
    let (Some(report), Some(plan)) = (fds.pop(), fds.pop()) else { return };
    // SAFETY: this process has one thread, so the child may run ordinary code.
    if check(unsafe { libc::fork() }.into()).is_ok_and(|pid| pid == 0) {
        become_helper(&plan, &report);
        // Closed by the end of the process: they are 0 and 1 now.
        drop((plan, report));
        super::main();
    }
}

fn become_helper(plan: &OwnedFd, report: &OwnedFd) {
    on_child_end(libc::SIG_DFL);
    // SAFETY: plain numbers. The timer is not inherited by the clone.
    unsafe {
        libc::dup2(plan.as_raw_fd(), 0);
        libc::dup2(report.as_raw_fd(), 1);
        libc::alarm(BUILD.as_secs() as libc::c_uint);
    }
}

extern "C" fn wake(_signal: libc::c_int) {}

/// What SIGCHLD does; system calls are not restarted.
fn on_child_end(handler: libc::sighandler_t) {
    // SAFETY: all-zero is a valid sigaction; the handler does nothing at all.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut());
    }
}

/// Sends an order.
pub(crate) fn order(to: BorrowedFd, plan: BorrowedFd, report: BorrowedFd) -> std::io::Result<()> {
    fdpass::send(to, b"n", &[plan, report]).map(drop)
}
