//! Starting a node: reserve, record, let the helper build, wait for "running".

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Machine;
use super::record::{Record, boot_id};
use crate::boot::{BARE, PID_FILE, Plan, TEMPORARY, UPPER, WORK};
use crate::error::{Error, Result};
use crate::network;
use crate::skeleton;
use crate::spec::{Image, Isolation, NodeSpec, VoteSpec};
use crate::sys::step::{Step, StepError};
use crate::volume;

/// A node that runs.
#[derive(Debug, Clone)]
pub struct Started {
    /// What could not be arranged as asked (an absent controller, an unmappable file system).
    pub notes: Vec<String>,
    /// From the call to exec succeeded.
    pub took: Duration,
}

/// Keeps a second start of the same node out.
struct Starting<'a> {
    machine: &'a Machine,
    id: &'a str,
}

impl<'a> Starting<'a> {
    fn enter(machine: &'a Machine, id: &'a str) -> Result<Self> {
        let mut starting = machine.starting.lock().unwrap_or_else(|e| e.into_inner());
        match starting.insert(id.to_owned()) {
            true => Ok(Starting { machine, id }),
            false => Err(Error::Exists(id.to_owned())),
        }
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut starting = self.machine.starting.lock().unwrap_or_else(|e| e.into_inner());
        starting.remove(self.id);
    }
}

impl Machine {
    /// Starts a node and waits until the exec of its process succeeded (or, without a process,
    /// until PID 1 serves). A node whose PID 1 is gone keeps its files and is started again.
    ///
    /// # Errors
    /// [`Error::Exists`] when it runs; [`Error::Invalid`] for a bad specification;
    /// [`Error::Start`] names the failing step. After an error nothing of a new node is left.
    pub fn start(&self, spec: &NodeSpec) -> Result<Started> {
        let begun = Instant::now();
        spec.check()?;
        if !self.config.blocks.iter().any(|b| b.contains(spec.address)) {
            return Err(Error::invalid("address", "not in this machine's blocks"));
        }
        if spec.address == self.gateway {
            return Err(Error::invalid("address", "is the machine's gateway address"));
        }
        let _starting = Starting::enter(self, &spec.id)?;
        let known = self.clear_for_start(&spec.id)?;
        let slot = self.take_slot(&spec.id)?;
        let again = self.again(spec, known);
        let spec = again.as_ref().unwrap_or(spec);
        match self.build(spec, slot) {
            Ok(notes) => Ok(Started { notes, took: begun.elapsed() }),
            Err(error) => {
                self.tried.lock().unwrap_or_else(|e| e.into_inner()).insert(spec.id.clone());
                let cleared = match known {
                    true => self.clear_runtime(&spec.id),
                    false => self.remove(&spec.id),
                };
                if let Err(error) = cleared {
                    tracing::warn!(node = spec.id, %error, "rest of a failed start stays");
                }
                Err(error)
            }
        }
    }

    /// The specification of a node that was started before, where that makes a difference: its PID 1 may have promised
    /// its vote.
    fn again(&self, spec: &NodeSpec, known: bool) -> Option<NodeSpec> {
        let votes = spec.votes.as_ref().filter(|votes| votes.is_first)?;
        let was_tried = || self.tried.lock().unwrap_or_else(|e| e.into_inner()).contains(&spec.id);
        let votes = VoteSpec { is_first: false, ..votes.clone() };
        (known || was_tried()).then(|| NodeSpec { votes: Some(votes), ..spec.clone() })
    }

    /// True when there was such a node before, which is dead now.
    fn clear_for_start(&self, id: &str) -> Result<bool> {
        let dir = self.node_dir(id);
        match Record::read(&dir) {
            None if dir.exists() => self.remove(id).map(|()| false),
            None => Ok(false),
            Some(record) if record.process(&dir).is_some() => Err(Error::Exists(id.to_owned())),
            Some(_) => self.clear_runtime(id).map(|()| true),
        }
    }

    fn take_slot(&self, id: &str) -> Result<u32> {
        let mut slots = self.slots.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(slot) = slots.get(id) {
            return Ok(*slot);
        }
        let mut taken = vec![false; self.config.nodes_max as usize];
        slots.values().filter_map(|slot| usize::try_from(*slot).ok()).for_each(|slot| {
            if let Some(seat) = taken.get_mut(slot) {
                *seat = true;
            }
        });
        let free = taken.iter().position(|taken| !taken);
        let slot = free.ok_or(Error::NoUidRange(self.config.nodes_max))? as u32;
        slots.insert(id.to_owned(), slot);
        Ok(slot)
    }

    fn build(&self, spec: &NodeSpec, slot: u32) -> Result<Vec<String>> {
        let start = |cause: StepError| Error::Start { id: spec.id.clone(), cause };
        let mut plan = self.plan(spec, slot).map_err(|e| match e {
            Error::Step(cause) => start(cause),
            other => other,
        })?;
        // Until the node has mounts of its own.
        let _mounted = volume::mount(&spec.volumes, &mut plan.seats.notes).map_err(start)?;
        self.nursery.build(&plan).map_err(start)
    }

    fn plan(&self, spec: &NodeSpec, slot: u32) -> Result<Plan> {
        let node_dir = self.node_dir(&spec.id);
        let on_host = spec.isolation == Isolation::Host;
        let host = spec.image == Image::Host && !on_host;
        // Held until the record names the skeleton: nobody takes it away in between.
        let held = self.skeletons.lock().unwrap_or_else(|e| e.into_inner());
        let skeleton = match (host, on_host) {
            (true, _) => skeleton::ensure(&self.skeletons_dir())?,
            (_, true) => node_dir.join(BARE),
            _ => PathBuf::new(),
        };
        let kept = if host { skeleton.file_name().unwrap_or_default() } else { "".as_ref() };
        let installation = &self.config.installation;
        let record = Record {
            id: spec.id.clone(),
            hostname: spec.hostname.clone(),
            address: spec.address,
            slot,
            veth: match on_host {
                true => network::gateway_interface(installation),
                false => network::veth(installation, &spec.id),
            },
            isolation: spec.isolation,
            boot_id: boot_id(),
            skeleton: Some(kept.to_string_lossy().into_owned()),
        };
        let user = spec.is_unprivileged().then(|| self.uid_base(slot));
        let uid_base = match spec.isolation {
            Isolation::Border => self.uid_base(slot),
            Isolation::Plain | Isolation::Host => 0,
        };
        make_dirs(&node_dir, uid_base)?;
        if on_host {
            make_own_dirs(&node_dir, user.unwrap_or(0))?;
        }
        // A pid file of an earlier life must not be taken for this one's.
        let _ = fs::remove_file(node_dir.join(PID_FILE));
        record.write(&node_dir)?;
        drop(held);
        let mut seats = self.cgroups.create(&spec.id, &spec.limits)?;
        if on_host {
            // It sees the host's whole tree, and where it is in it.
            seats.view.clear();
        }
        Ok(Plan {
            seats,
            node_dir,
            hidden: if host { skeleton::hidden_paths(&skeleton) } else { Vec::new() },
            skeleton,
            host_binds: match (host, on_host) {
                (true, _) => skeleton::live_paths(),
                (_, true) => laid_over(&spec.layers),
                _ => Vec::new(),
            },
            uid_base,
            user,
            veth: record.veth,
            gateway: self.gateway,
            spec: spec.clone(),
        })
    }
}

/// Places of the host that layers have something for: a node on the host's own files sees it there, and nobody else.
fn laid_over(layers: &[PathBuf]) -> Vec<PathBuf> {
    let usr = PathBuf::from("/usr");
    layers.iter().any(|layer| layer.join("usr").is_dir()).then_some(usr).into_iter().collect()
}

/// What a node on the host's own files has beside: an empty layer, and where its temporary files lie.
fn make_own_dirs(dir: &Path, user: u32) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    for name in [BARE.to_owned(), format!("{UPPER}/app")] {
        let path = dir.join(name);
        builder.create(&path).step(format!("make {}", path.display()))?;
    }
    for name in TEMPORARY.map(|(name, _)| name) {
        let path = dir.join(name);
        builder.create(&path).step(format!("make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).step("mode of temporary files")?;
    }
    let app = dir.join(UPPER).join("app");
    chown(&app, Some(user), Some(user)).step(format!("owner of {}", app.display()))?;
    Ok(())
}

/// The node's directories. The upper and `log` belong to the node's root; `root` is only a place
/// to mount at, and the only one that the node itself goes to by its path. What the node writes
/// lies behind a door that only the host's root opens, whatever modes it gives to its files.
fn make_dirs(dir: &Path, uid: u32) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    for (name, mode) in [("", 0o711), ("m", 0o700), ("root", 0o711), ("own", 0o700), (WORK, 0o700)] {
        let path = dir.join(name);
        builder.mode(mode).create(&path).step(format!("make {}", path.display()))?;
    }
    for (name, mode) in [(UPPER, 0o755), ("log", 0o700)] {
        let path = dir.join(name);
        builder.mode(mode).create(&path).step(format!("make {}", path.display()))?;
        chown(&path, Some(uid), Some(uid)).step(format!("owner of {}", path.display()))?;
    }
    Ok(())
}
