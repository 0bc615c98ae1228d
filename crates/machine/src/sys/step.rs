//! A failing step of a longer sequence: which one, and which errno.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// "mount overlay: EINVAL": what was tried and how the kernel answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// The step in a few words, for example `mount overlay`.
    pub step: String,
    /// The errno; 0 when the failure did not come from the kernel.
    pub errno: i32,
}

impl StepError {
    /// A failure that has no errno.
    pub fn plain(step: impl Into<String>) -> Self {
        StepError { step: step.into(), errno: 0 }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => f.write_str(&self.step),
            errno => write!(f, "{}: {}", self.step, errno_name(errno)),
        }
    }
}

impl std::error::Error for StepError {}

/// Names the step of a failed system call.
pub trait Step<T> {
    /// Adds the step in words.
    fn step(self, step: impl Into<String>) -> Result<T, StepError>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: impl Into<String>) -> Result<T, StepError> {
        self.map_err(|error| match error.raw_os_error() {
            Some(errno) => StepError { step: step.into(), errno },
            None => StepError::plain(format!("{}: {error}", step.into())),
        })
    }
}

/// The symbolic name of an errno, as in errno(3); the number where it is a rare one.
pub fn errno_name(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ESRCH => "ESRCH",
        libc::EIO => "EIO",
        libc::ENXIO => "ENXIO",
        libc::E2BIG => "E2BIG",
        libc::ENOEXEC => "ENOEXEC",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EXDEV => "EXDEV",
        libc::ENODEV => "ENODEV",
        libc::ENOTDIR => "ENOTDIR",
        libc::EISDIR => "EISDIR",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::ETXTBSY => "ETXTBSY",
        libc::EFBIG => "EFBIG",
        libc::ENOSPC => "ENOSPC",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        libc::ELOOP => "ELOOP",
        libc::EUSERS => "EUSERS",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::ENETDOWN => "ENETDOWN",
        other => return format!("errno {other}"),
    };
    name.to_owned()
}
