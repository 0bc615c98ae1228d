//! One machine: what is prepared once, and the nodes on it.

mod nursery;
mod record;
mod remove;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use record::NodeState;
pub use start::Started;

use crate::cgroup::{Cgroups, Stats};
use crate::cidr::Cidr;
use crate::client::NodeHandle;
use crate::error::{Error, Result};
use crate::firewall::{Firewall, FirewallState};
use crate::preflight::{self, Finding};
use crate::spec::{Limits, check_id};
use crate::sys::step::Step;
use crate::ways::{self, Neighbour};
use crate::{forwarding, network};
use nursery::Nursery;

/// Who has the state directory open gets so long to end.
const LOCK_WITHIN: Duration = Duration::from_secs(2);

/// How a machine is set up.
#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// Everything about the nodes is kept here. Must be on a file system that overlayfs takes as
    /// an upper (ext4, xfs, btrfs, tmpfs; not overlayfs, not NFS).
    pub state_dir: PathBuf,
    /// Names everything that is made on this host: `[a-z0-9-]`, 1 to 20 bytes.
    pub installation: String,
    /// The private space of the installation, over all hosts.
    pub space: Cidr,
    /// The blocks of this host. The first address of the first one is the gateway.
    pub blocks: Vec<Cidr>,
    /// The executable with the `pid1` role; this one when absent.
    pub executable: Option<PathBuf>,
    /// The first user id of the ranges given to nodes.
    pub uid_base: u32,
    /// Nodes at most, which bounds the user ids: `uid_base + nodes_max * 65536`.
    pub nodes_max: u32,
}

impl MachineConfig {
    /// The usual choices for what is not named.
    pub fn new(state_dir: impl Into<PathBuf>, installation: &str, space: Cidr, block: Cidr) -> Self {
        MachineConfig {
            state_dir: state_dir.into(),
            installation: installation.to_owned(),
            space,
            blocks: vec![block],
            executable: None,
            uid_base: 0x2000_0000,
            nodes_max: 8192,
        }
    }
}

/// A machine that is open. Dropping it leaves the nodes running.
pub struct Machine {
    config: MachineConfig,
    gateway: Ipv4Addr,
    cgroups: Cgroups,
    /// Slots of user ids in use, by node.
    slots: Mutex<BTreeMap<String, u32>>,
    /// Nodes whose start is under way.
    starting: Mutex<BTreeSet<String>>,
    /// Nodes whose start failed: a PID 1 may have been there for a moment.
    tried: Mutex<BTreeSet<String>>,
    firewall: Mutex<Firewall>,
    /// Held while a node takes a skeleton, and while those that nobody took are removed.
    skeletons: Mutex<()>,
    nursery: Nursery,
    _lock: File,
}

impl Machine {
    /// Prepares the host (state directory, cgroups, gateway address, routes, firewall table) and
    /// finds the nodes that are there. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process has the state directory open; [`Error::Step`] names
    /// what the host refused.
    pub fn open(config: MachineConfig) -> Result<Machine> {
        check_id(&config.installation)?;
        if config.installation.len() > 20 {
            return Err(Error::invalid("installation", "longer than 20 bytes"));
        }
        let Some(block) = config.blocks.first() else {
            return Err(Error::invalid("blocks", "at least one is needed"));
        };
        let gateway = block.first_host();
        let lock = open_state(&config.state_dir)?;
        preflight::raise();
        crate::volume::sweep(&config.state_dir.join("volumes"));
        let cgroups = Cgroups::open(&config.installation)?;
        let interface = network::gateway_interface(&config.installation);
        let space = (config.space.address(), config.space.length());
        network::prepare(&interface, gateway, space)?;
        let was_off = forwarding::switch_on(&config.installation)?;
        let firewall = Firewall::open(&config.installation, config.space, gateway, was_off)?;
        let machine = Machine {
            gateway,
            cgroups,
            slots: Mutex::default(),
            starting: Mutex::default(),
            tried: Mutex::default(),
            firewall: Mutex::new(firewall),
            skeletons: Mutex::default(),
            nursery: Nursery::new(config.executable.clone()),
            _lock: lock,
            config,
        };
        machine.recall_slots();
        machine.forget_skeletons();
        Ok(machine)
    }

    /// What this host has, lacks, and how to change it.
    pub fn preflight() -> Vec<Finding> {
        preflight::inspect()
    }

    /// Sees that no other interface of this host has an address in the blocks: nodes there would be out of reach.
    /// Not part of [`Machine::open`], which also ends what is to be removed.
    ///
    /// # Errors
    /// [`Error::Taken`] names the interface and what to do.
    pub fn ensure_free(installation: &str, blocks: &[Cidr]) -> Result<()> {
        network::ensure_free(installation, blocks)
    }

    /// The address of the machine in the private space, where nodes find their name server.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The configuration.
    pub fn config(&self) -> &MachineConfig {
        &self.config
    }

    /// Takes over a whole firewall state; `nft` runs only when it differs from the last one.
    ///
    /// # Errors
    /// [`Error::Firewall`] with the words of `nft`; the former state stays.
    pub fn firewall(&self, state: &FirewallState) -> Result<()> {
        let mut firewall = self.firewall.lock().unwrap_or_else(|e| e.into_inner());
        firewall.apply(state)
    }

    /// Makes the routes to nodes of other hosts what they shall be, over the interface that has the address `from`.
    /// Answers that interface. To be repeated now and then: an interface that goes down takes its routes along.
    ///
    /// # Errors
    /// [`Error::Step`] names the route that the kernel refused.
    pub fn keep_ways(&self, from: Option<Ipv4Addr>, neighbours: &[Neighbour]) -> Result<Option<String>> {
        Ok(ways::keep(self.config.space, self.gateway, from, neighbours)?)
    }

    /// Keeps nodes' packets passing the other firewalls of this host (Docker's, ufw's, firewalld's), which come, go and
    /// reload. To be repeated now and then. Answers which chains of others were opened.
    ///
    /// # Errors
    /// [`Error::Firewall`] with the words of `nft`.
    pub fn keep_open(&self) -> Result<Vec<String>> {
        self.firewall.lock().unwrap_or_else(|e| e.into_inner()).keep_open()
    }

    /// Changes limits of a node while it runs; an absent one stays as it was. Its PID 1 goes on
    /// naming the memory limit that it was started with.
    ///
    /// # Errors
    /// [`Error::Unknown`] without such a node; [`Error::Step`] when the kernel refuses, for
    /// example a memory limit below what is in use. Notes name controllers that are absent.
    pub fn set_limits(&self, id: &str, limits: &Limits) -> Result<Vec<String>> {
        check_id(id)?;
        if !self.cgroups.has(id) {
            return Err(Error::Unknown(id.to_owned()));
        }
        let seats = self.cgroups.create(id, limits)?;
        if let Some(quota) = &seats.quota {
            std::fs::write(&quota.file, &quota.text).step("limit the processor")?;
        }
        Ok(seats.notes)
    }

    /// Counters of a node.
    pub fn stats(&self, id: &str) -> Stats {
        self.cgroups.stats(id)
    }

    /// Connects to PID 1 of a node.
    ///
    /// # Errors
    /// [`Error::Unknown`] without such a node, [`Error::Control`] when it does not answer.
    pub fn connect(&self, id: &str) -> Result<NodeHandle> {
        check_id(id)?;
        NodeHandle::connect(id, &self.node_dir(id))
    }

    /// Bytes of the disk that a node's own writable layer and temporary files take; its volumes are counted apart.
    pub fn disk_bytes(&self, id: &str) -> u64 {
        let dir = self.node_dir(id);
        let places = crate::boot::TEMPORARY.map(|(name, _)| name).into_iter().chain([crate::boot::UPPER]);
        places.map(|place| crate::usage::tree_bytes(&dir.join(place))).sum()
    }

    /// Where volumes lie, unless their owner has another place for them.
    pub fn volumes_dir(&self) -> PathBuf {
        self.config.state_dir.join("volumes")
    }

    /// The directory of a node's log files (see [`crate::LogReader`]).
    pub fn log_dir(&self, id: &str) -> PathBuf {
        self.node_dir(id).join("log")
    }

    fn skeletons_dir(&self) -> PathBuf {
        self.config.state_dir.join("skeleton")
    }

    fn nodes_dir(&self) -> PathBuf {
        self.config.state_dir.join("nodes")
    }

    fn node_dir(&self, id: &str) -> PathBuf {
        self.nodes_dir().join(id)
    }
}

/// Makes the state directory and takes its lock.
fn open_state(dir: &Path) -> Result<File> {
    // Nodes' roots are below and are entered with an unmapped id: x for all, r for none.
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o711);
    for (dir, mode) in [(dir.to_path_buf(), 0o711), (dir.join("nodes"), 0o711), (dir.join("skeleton"), 0o700)]
    {
        builder.create(&dir).step(format!("make {}", dir.display()))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode))
            .step(format!("mode of {}", dir.display()))?;
    }
    let path = dir.join("lock");
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).step(format!("open {}", path.display()))?;
    // A process killed while it began another one leaves the lock with that one until its exec, which a busy host delays.
    let deadline = Instant::now() + LOCK_WITHIN;
    while lock.try_lock().is_err() {
        if Instant::now() > deadline {
            return Err(Error::Busy(dir.to_path_buf()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(lock)
}
