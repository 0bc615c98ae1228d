//! Did the kernel kill for want of memory? A counter of the node's memory cgroup, read through a
//! descriptor that was opened outside.

use std::os::fd::{AsRawFd, OwnedFd};

/// `memory.events` (cgroup v2) or `memory.oom_control` (v1): both hold a line `oom_kill N`.
pub struct OomProbe {
    file: Option<OwnedFd>,
}

impl OomProbe {
    /// A probe on an open counter file; none where the host has no memory controller.
    pub fn new(file: Option<OwnedFd>) -> Self {
        OomProbe { file }
    }

    /// The file, for handing it over in a re-exec.
    pub fn file(&self) -> Option<&OwnedFd> {
        self.file.as_ref()
    }

    /// Kills so far.
    pub fn kills(&self) -> u64 {
        let Some(file) = &self.file else { return 0 };
        let mut buffer = [0u8; 512];
        // SAFETY: the buffer is valid for its length.
        let n = unsafe { libc::pread(file.as_raw_fd(), buffer.as_mut_ptr().cast(), 512, 0) };
        let text = String::from_utf8_lossy(&buffer[..usize::try_from(n).unwrap_or(0)]).into_owned();
        let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
        text.lines().find_map(count).unwrap_or(0)
    }
}
