//! Removing nodes, also half-built ones, and everything of an installation. All of it may be
//! repeated.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::Machine;
use super::record::Record;
use crate::error::{Error, Result};
use crate::spec::{Isolation, check_id};
use crate::sys::process::{pidfd_signal, wait_readable};
use crate::sys::step::Step;
use crate::{forwarding, network, skeleton};

/// How long the kernel may take to end a killed node.
const END: Duration = Duration::from_secs(10);

impl Machine {
    /// Kills a node and removes every trace of it, except its volumes. None there is fine.
    /// Ask it to shut down first when its process should have a say.
    ///
    /// # Errors
    /// [`Error::Timeout`] or [`Error::Step`] name what is left; repeating is safe.
    pub fn remove(&self, id: &str) -> Result<()> {
        check_id(id)?;
        self.clear_runtime(id)?;
        let dir = self.node_dir(id);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).step(format!("remove {}", dir.display())).map_err(Into::into);
            }
            _ => {}
        }
        self.slots.lock().unwrap_or_else(|e| e.into_inner()).remove(id);
        Ok(())
    }

    /// Ends what runs of a node: processes, cgroups, network. Its files stay.
    pub(super) fn clear_runtime(&self, id: &str) -> Result<()> {
        if let Some(pidfd) = self.kill(id)
            && !wait_readable(pidfd.as_fd(), END).step("wait for the end of pid1")?
        {
            return Err(Error::Timeout("the end of a killed node", END.as_millis() as u64));
        }
        self.cgroups.remove(id, END)?;
        match Record::read(&self.node_dir(id)).filter(|record| record.isolation == Isolation::Host) {
            Some(record) => network::delete_own(&record.veth, record.address)?,
            None => network::delete_link(&network::veth(&self.config.installation, id))?,
        }
        Ok(())
    }

    /// Kills PID 1 of a node, and with it everything in its pid namespace. Its pidfd comes back
    /// when it was alive.
    fn kill(&self, id: &str) -> Option<OwnedFd> {
        let dir = self.node_dir(id);
        let (_, pidfd) = Record::read(&dir)?.process(&dir)?;
        let _ = pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
        Some(pidfd)
    }

    /// Removes every node of this installation that is not named, and stray interfaces.
    /// Returns what was removed.
    ///
    /// # Errors
    /// The first failure, after everything was tried.
    pub fn sweep(&self, keep: &[String]) -> Result<Vec<String>> {
        let keep: BTreeSet<&str> = keep.iter().map(String::as_str).collect();
        let mut doomed = self.list();
        doomed.retain(|node| !keep.contains(node.id.as_str()));
        // All at once first: the kernel takes namespaces down in batches, and waits once for each.
        for node in &doomed {
            self.kill(&node.id);
        }
        let mut failed = None;
        let mut removed = Vec::new();
        for node in doomed {
            match self.remove(&node.id) {
                Ok(()) => removed.push(node.id),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let installation = &self.config.installation;
        let kept: BTreeSet<String> = keep.iter().map(|id| network::veth(installation, id)).collect();
        for link in network::links(&network::prefix(installation)) {
            if !kept.contains(&link) {
                network::delete_link(&link)?;
            }
        }
        self.sweep_addresses()?;
        failed.map_or(Ok(removed), Err)
    }

    /// Takes addresses of nodes that are no more off the host.
    fn sweep_addresses(&self) -> Result<()> {
        let interface = network::gateway_interface(&self.config.installation);
        let kept: BTreeSet<_> = self.list().into_iter().filter_map(|node| node.address).collect();
        let there = network::own_addresses(&interface, self.gateway)?;
        for address in there.into_iter().filter(|address| !kept.contains(address)) {
            network::delete_own(&interface, address)?;
        }
        Ok(())
    }

    /// Removes skeletons (see [`crate::Image::Host`]) of a former state of the host that no node has under its root any
    /// more. To be repeated now and then.
    pub fn forget_skeletons(&self) {
        let dir = self.skeletons_dir();
        if !skeleton::has_older(&dir) {
            return;
        }
        let _held = self.skeletons.lock().unwrap_or_else(|e| e.into_inner());
        let nodes = fs::read_dir(self.nodes_dir()).into_iter().flatten().flatten();
        let named = nodes.map(|node| Record::read(&node.path()).and_then(|record| record.skeleton));
        // A node that does not say what it has may have any.
        if let Some(used) = named.map(|name| name.map(OsString::from)).collect() {
            skeleton::sweep(&dir, &used);
        }
    }

    /// Removes all nodes and everything that [`Machine::open`] made on the host, except the state
    /// directory itself and raised limits.
    ///
    /// # Errors
    /// The first failure.
    pub fn close_all(self) -> Result<()> {
        self.sweep(&[])?;
        let installation = &self.config.installation;
        let space = (self.config.space.address(), self.config.space.length());
        self.firewall.lock().unwrap_or_else(|e| e.into_inner()).close()?;
        self.keep_ways(None, &[])?;
        network::dismantle(&network::gateway_interface(installation), space)?;
        forwarding::put_back(installation)?;
        self.cgroups.close()?;
        Ok(())
    }
}
