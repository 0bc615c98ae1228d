//! Mounts that only the outside can prepare: idmapped layers, the overlay over them, the host's
//! /usr, volumes.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;

use super::{Bind, Handover, Plan, UPPER, WORK, mapping, user_namespace};
use crate::spec::{Image, Isolation};
use crate::sys::mounts::{self, NODEV, NOEXEC, NOSUID, RDONLY};
use crate::sys::step::{Step, StepError};

/// Prepares everything; the descriptors stay open in the shared table.
pub(super) fn prepare(plan: &Plan, pid: i32) -> Result<Handover, StepError> {
    let userns = match plan.spec.isolation {
        Isolation::Border => Some(user_namespace(pid)?),
        Isolation::Plain => None,
        // Files of the release, which are root's, are the node's user's there.
        Isolation::Host => plan.user.map(mapping::namespace).transpose()?,
    };
    let mut gifts = Gifts { userns: userns.as_ref().map(AsFd::as_fd), handover: Handover::default() };
    gifts.root(plan)?;
    // On the host itself its files are whose they are.
    let mapped = gifts.userns;
    if plan.spec.isolation == Isolation::Host {
        gifts.userns = None;
    }
    for (number, path) in plan.host_binds.iter().enumerate() {
        let tree = gifts.host_place(plan, path, number)?;
        gifts.give(tree, path);
    }
    gifts.userns = mapped;
    for (shown, path) in &plan.hidden {
        let tree = gifts.host_tree(shown)?;
        gifts.give(tree, path);
    }
    for (name, dir) in &plan.seats.view {
        gifts.cgroup_view(name, dir)?;
    }
    for volume in &plan.spec.volumes {
        gifts.volume(&volume.source, &volume.target, volume.read_only)?;
    }
    let handover = gifts.handover;
    std::mem::forget(userns);
    Ok(handover)
}

struct Gifts<'a> {
    userns: Option<BorrowedFd<'a>>,
    handover: Handover,
}

impl Gifts<'_> {
    fn give(&mut self, tree: OwnedFd, target: &Path) {
        self.handover
            .binds
            .push(Bind { tree: tree.into_raw_fd(), target: target.to_string_lossy().into_owned() });
    }

    /// The overlay: the node's own upper directory over the layers over the skeleton. Layers are
    /// attached in the helper's private mount namespace, under short relative names: kernels
    /// before 6.15 take no detached lowers, and an option holds 255 bytes.
    fn root(&mut self, plan: &Plan) -> Result<(), StepError> {
        let mut lowers: Vec<&Path> = plan.spec.layers.iter().map(AsRef::as_ref).collect();
        if plan.spec.image == Image::Host {
            lowers.push(&plan.skeleton);
        }
        let mut names = Vec::new();
        for (number, layer) in lowers.iter().enumerate() {
            names.push(self.lower(layer, format!("m/{number}"), RDONLY | NODEV)?);
        }
        let options = [
            ("source", "lace"),
            ("lowerdir", names.join(":").as_str()),
            ("upperdir", UPPER),
            ("workdir", WORK),
        ]
        .map(|(k, v)| (k, v.to_owned()));
        let options = options.each_ref().map(|(k, v)| (*k, v.as_str()));
        let root = mounts::new_mount("overlay", &options, NODEV | NOSUID).step("mount overlay")?;
        self.handover.root = root.into_raw_fd();
        Ok(())
    }

    /// Attaches what an overlay stands on under a relative name, and gives that.
    fn lower(&mut self, layer: &Path, name: String, attributes: u64) -> Result<String, StepError> {
        fs::create_dir_all(&name).step("make layer mount point")?;
        let what = format!("layer {}", layer.display());
        let tree = mounts::clone_tree(layer, false).step(&what)?;
        self.map(&tree, attributes, false, &what)?;
        mounts::attach(tree.as_fd(), &name).step(format!("attach {what}"))?;
        // Not closed: the number could be one that the clone is about to use.
        std::mem::forget(tree);
        Ok(name)
    }

    /// A host directory as the node sees it: what layers have of it lies over the host's own.
    fn host_place(&mut self, plan: &Plan, path: &Path, number: usize) -> Result<OwnedFd, StepError> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let over = plan.spec.layers.iter().map(|layer| layer.join(inside)).filter(|path| path.is_dir());
        let mut lowers: Vec<_> = over.collect();
        if lowers.is_empty() {
            return self.host_tree(path);
        }
        lowers.push(path.to_owned());
        let mut names = Vec::new();
        for (depth, lower) in lowers.iter().enumerate() {
            names.push(self.lower(lower, format!("h/{number}/{depth}"), RDONLY | NODEV | NOSUID)?);
        }
        let names = names.join(":");
        let options = [("source", "lace"), ("lowerdir", names.as_str())];
        let what = || format!("layers over the host's {}", path.display());
        mounts::new_mount("overlay", &options, RDONLY | NODEV | NOSUID).step(what())
    }

    /// A live, read-only view of a host directory. Where its file system cannot map ids the files
    /// show as nobody's, which reading does not mind.
    fn host_tree(&mut self, path: &Path) -> Result<OwnedFd, StepError> {
        let what = format!("host {}", path.display());
        let tree = mounts::clone_tree(path, true).step(&what)?;
        self.map(&tree, RDONLY | NODEV | NOSUID, true, &what)?;
        Ok(tree)
    }

    fn map(&mut self, tree: &OwnedFd, attributes: u64, recursive: bool, what: &str) -> Result<(), StepError> {
        let set = |userns| mounts::set_attributes(tree.as_fd(), attributes, userns, recursive);
        if self.userns.is_some() && set(self.userns).is_ok() {
            return Ok(());
        }
        if self.userns.is_some() {
            let note = format!("{what}: its file system cannot map ids, files show as nobody's");
            self.handover.notes.push(note);
        }
        set(None).step(format!("set attributes of {what}"))
    }

    fn cgroup_view(&mut self, name: &str, dir: &Path) -> Result<(), StepError> {
        let tree = mounts::clone_tree(dir, false).step("cgroup view")?;
        let attributes = RDONLY | NODEV | NOSUID | NOEXEC;
        mounts::set_attributes(tree.as_fd(), attributes, None, false).step("cgroup view")?;
        self.give(tree, &Path::new("/sys/fs/cgroup").join(name));
        Ok(())
    }

    /// Data that outlives the node must not carry the node's id range: no mapping, no volume.
    fn volume(&mut self, source: &Path, target: &Path, read_only: bool) -> Result<(), StepError> {
        let what = format!("volume {}", source.display());
        let tree = mounts::clone_tree(source, true).step(&what)?;
        let attributes = NODEV | NOSUID | if read_only { RDONLY } else { 0 };
        mounts::set_attributes(tree.as_fd(), attributes, self.userns, true)
            .step(format!("map ids of {what}"))?;
        self.give(tree, target);
        Ok(())
    }
}
