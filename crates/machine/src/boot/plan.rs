//! What the agent tells the helper, and what comes back line by line.

use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::Seats;
use crate::spec::NodeSpec;
use crate::sys::process::ProcessId;
use crate::sys::step::StepError;
use crate::sys::{self, write_private};

/// A node with every choice made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub spec: NodeSpec,
    pub node_dir: PathBuf,
    pub skeleton: PathBuf,
    /// Host paths seen live and read-only at the same path in the node.
    pub host_binds: Vec<PathBuf>,
    /// What is shown, and where, instead of what is there.
    pub hidden: Vec<(PathBuf, PathBuf)>,
    pub uid_base: u32,
    /// Whose everything in the node is, where nothing may be anybody else's.
    #[serde(default)]
    pub user: Option<u32>,
    pub seats: Seats,
    /// The host's end of its network: its own interface, or the one that has its address.
    pub veth: String,
    pub gateway: Ipv4Addr,
}

/// A line of the report.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    /// The node runs: exec of its process succeeded.
    Running { notes: Vec<String> },
    /// A step failed.
    Failed { error: StepError },
}

/// Writes a line; nobody listening is no failure.
pub(super) fn report(fd: RawFd, line: &Line) {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    // SAFETY: the report descriptor stays open for the life of this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let _ = sys::write_all(fd, &text);
}

/// Leaves the identity of PID 1 in the current (node) directory, whole or not at all.
pub(super) fn write_pid(process: ProcessId) -> std::io::Result<()> {
    let text = serde_json::to_vec(&process).unwrap_or_default();
    write_private("pid.new".as_ref(), &text)?;
    std::fs::rename("pid.new", super::PID_FILE)
}
