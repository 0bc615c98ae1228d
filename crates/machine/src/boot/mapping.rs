//! A user namespace that only says how ids are mapped: nobody lives in it.

use std::os::fd::{AsFd, OwnedFd};

use super::{user_namespace, write_maps};
use crate::sys::clone::{Cloned, clone3};
use crate::sys::process::pidfd_signal;
use crate::sys::step::{Step, StepError};

/// Seconds after which its only process ends by itself, should the helper be killed in between.
const ENDS_AFTER: libc::c_uint = 10;

/// A namespace whose root is `user`, with as many ids as a node has.
pub(super) fn namespace(user: u32) -> Result<OwnedFd, StepError> {
    // SAFETY: the helper has a single thread, and the child only waits for its end.
    match unsafe { clone3(libc::CLONE_NEWUSER as u64, None) }.step("clone for a mapping")? {
        Cloned::Child => loop {
            // SAFETY: plain numbers.
            unsafe {
                libc::alarm(ENDS_AFTER);
                libc::pause();
            }
        },
        Cloned::Parent(pid, pidfd) => {
            let namespace = write_maps(user, pid).and_then(|()| user_namespace(pid));
            let _ = pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            // Not closed: the number could be one that PID 1 is about to use.
            std::mem::forget(pidfd);
            namespace
        }
    }
}
