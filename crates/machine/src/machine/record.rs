//! What a node leaves on disk so that it is found again, and the state seen through it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::boot::PID_FILE;
use crate::error::Result;
use crate::network;
use crate::spec::Isolation;
use crate::sys::process::ProcessId;
use crate::sys::step::Step;
use crate::sys::write_private;

/// The state file of a node: no content of files, no environment, no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub id: String,
    pub hostname: String,
    pub address: Ipv4Addr,
    /// Its range of user ids is `uid_base + slot * 65536`.
    pub slot: u32,
    pub veth: String,
    #[serde(default)]
    pub isolation: Isolation,
    /// A start-time tick means something within one boot only.
    pub boot_id: String,
    /// Name of the skeleton under its root; empty for an image that has none, absent where an older agent made it.
    #[serde(default)]
    pub skeleton: Option<String>,
}

const FILE: &str = "node.json";

/// A node as found on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its id.
    pub id: String,
    /// Its host name; empty when its record is lost.
    pub hostname: String,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// PID 1 lives (same pid, same start time, same boot).
    pub alive: bool,
    /// PID 1 in the host's pid namespace, when alive.
    pub pid: Option<i32>,
    /// The user id that root of the node is on the host; none where root is the host's.
    pub uid_base: Option<u32>,
    /// The host end of its network is there.
    pub veth: bool,
    /// Its cgroup directories are there.
    pub cgroup: bool,
}

pub(super) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

impl Record {
    pub fn read(dir: &Path) -> Option<Record> {
        serde_json::from_slice(&fs::read(dir.join(FILE)).ok()?).ok()
    }

    pub fn write(&self, dir: &Path) -> Result<()> {
        let fresh = dir.join("node.json.new");
        let text = serde_json::to_vec(self).unwrap_or_default();
        write_private(&fresh, &text).step("write node record")?;
        fs::rename(&fresh, dir.join(FILE)).step("install node record")?;
        Ok(())
    }

    /// PID 1, if it lives.
    pub fn process(&self, dir: &Path) -> Option<(ProcessId, OwnedFd)> {
        if self.boot_id != boot_id() {
            return None;
        }
        let text = fs::read(dir.join(PID_FILE)).ok()?;
        let process: ProcessId = serde_json::from_slice(&text).ok()?;
        Some((process, process.open()?))
    }
}

impl Machine {
    /// Every node of this installation that left a trace on this host, alive or not.
    pub fn list(&self) -> Vec<NodeState> {
        let mut ids = self.cgroups.ids();
        let entries = fs::read_dir(self.nodes_dir()).into_iter().flatten().flatten();
        ids.extend(entries.filter_map(|e| e.file_name().into_string().ok()));
        ids.sort();
        ids.dedup();
        ids.iter().map(|id| self.state(id)).collect()
    }

    fn state(&self, id: &str) -> NodeState {
        let dir = self.node_dir(id);
        let record = Record::read(&dir);
        let process = record.as_ref().and_then(|r| r.process(&dir));
        let installation = &self.config.installation;
        let uids = record.as_ref().filter(|r| r.isolation == Isolation::Border);
        NodeState {
            id: id.to_owned(),
            hostname: record.as_ref().map_or(String::new(), |r| r.hostname.clone()),
            address: record.as_ref().map(|r| r.address),
            alive: process.is_some(),
            pid: process.map(|(process, _)| process.pid),
            uid_base: uids.map(|r| self.uid_base(r.slot)),
            veth: crate::netlink::index(&network::veth(installation, id)).is_ok(),
            cgroup: self.cgroups.has(id),
        }
    }

    pub(super) fn uid_base(&self, slot: u32) -> u32 {
        self.config.uid_base + slot * crate::boot::IDS_PER_NODE
    }

    /// Fills the table of slots from the records on disk.
    pub(super) fn recall_slots(&self) {
        let entries = fs::read_dir(self.nodes_dir()).into_iter().flatten().flatten();
        let records = entries.filter_map(|e| Record::read(&e.path()));
        let mut slots = self.slots.lock().unwrap_or_else(|e| e.into_inner());
        slots.extend(records.map(|r| (r.id, r.slot)));
    }
}
