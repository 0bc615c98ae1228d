//! One Linux machine and its light nodes.
//!
//! A node is its own user, mount, pid, network, uts, ipc and cgroup namespaces, an overlay root, a
//! routed veth, cgroup limits, and [`pid1`] as PID 1. The API is synchronous: an agent calls it
//! from threads that may block. Nothing here decides what shall run; nothing outside of this crate
//! touches namespaces.
//!
//! - [`Machine`] starts, lists and removes nodes, and owns the firewall;
//! - [`NodeHandle`] talks to PID 1 of one node;
//! - [`pid1::main`] is the entry of the `pid1` role of an executable.

mod boot;
mod cgroup;
mod cidr;
mod client;
pub mod confined;
pub mod debian;
mod error;
mod firewall;
mod forwarding;
mod logs;
mod machine;
mod netlink;
mod network;
pub mod pid1;
mod preflight;
pub mod protocol;
mod skeleton;
mod spec;
mod sys;
mod tree;
mod usage;
pub mod volume;
mod ways;

pub use cgroup::Stats;
pub use cidr::Cidr;
pub use client::{Events, ExecHandle, NodeHandle};
pub use error::{Error, Result};
pub use firewall::{Application, FirewallState, HostPort, OpenPort, PortSource, Protocol, Way};
pub use logs::{LogLine, LogPosition, LogReader, LogStream};
pub use machine::{Machine, MachineConfig, NodeState, Started};
pub use preflight::{Finding, Level};
pub use protocol::{Event, Exit, Life, Phase, Status, VoteStatus};
pub use spec::{
    CopySpec, ExecSpec, FILES_BYTES_MAX, FileSpec, Image, Isolation, Limits, NodeSpec, ProcessSpec,
    VOTERS_MAX, VolumeSpec, VoteSeats, VoteSpec,
};
pub use sys::addresses::InterfaceAddress;
pub use sys::process::ProcessId;
pub use sys::step::StepError;
pub use ways::{Neighbour, interfaces};
