//! The world of a node with isolation `host`: the host's files as they are, and few places of its own among them.
//!
//! Its root is an overlay of the release, with everything of the host's root beside it; so the release lies at /app as in
//! every node, and nothing is made on the host for it. /proc shows its own processes, which end with its PID 1; temporary
//! files and shared memory are its own, so that they end with it, too.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::child::attach;
use super::inside::{memory_fs_bytes, mount_at, resolver, tmpfs, write_file};
use super::{Handover, Plan, TEMPORARY};
use crate::spec::OWN_PLACES;
use crate::sys;
use crate::sys::mounts::{self, NODEV, NOEXEC, NOSUID};
use crate::sys::step::{Step, StepError};

/// The resolver's file, and ours that is seen there.
const RESOLVER: [&str; 2] = ["/etc/resolv.conf", "/run/lace/resolv.conf"];

/// What of the host's root is seen, prepared before the old root goes.
struct Seen {
    trees: Vec<(PathBuf, OwnedFd)>,
    links: Vec<(PathBuf, PathBuf)>,
}

/// Enters the root and attaches everything to it.
pub(super) fn build_root(plan: &Plan, handover: &Handover, place: &Path) -> Result<(), StepError> {
    let proc = mounts::new_mount("proc", &[], NOSUID | NODEV | NOEXEC).step("mount /proc")?;
    let seen = see_root()?;
    let temporary = TEMPORARY.map(|(name, at)| (at, mounts::clone_tree(plan.node_dir.join(name), false)));
    attach(handover.root, &place.to_string_lossy())?;
    sys::change_directory(place).step("enter root")?;
    mounts::pivot_here().step("pivot_root")?;
    for (path, tree) in &seen.trees {
        fs::create_dir_all(path).step(format!("make {}", path.display()))?;
        mounts::attach(tree.as_fd(), path).step(format!("mount {}", path.display()))?;
    }
    for (path, to) in &seen.links {
        let _ = fs::remove_file(path);
        symlink(to, path).step(format!("link {}", path.display()))?;
    }
    fs::create_dir_all("/proc").step("make /proc")?;
    mount_at(&proc, "/proc")?;
    for (at, tree) in temporary {
        let tree = tree.step(format!("own {at}"))?;
        let attributes = NODEV | NOSUID;
        mounts::set_attributes(tree.as_fd(), attributes, None, false).step(format!("own {at}"))?;
        mount_at(&tree, &real(at))?;
    }
    own_memory(plan)?;
    for bind in &handover.binds {
        {
            // The host's own directories are seen here: nothing is made in them that the node could not make itself.
            let _user = plan.user.map(sys::Acting::of).transpose().step("act as the node's user")?;
            fs::create_dir_all(&bind.target).step(format!("make {}", bind.target))?;
        }
        attach(bind.tree, &bind.target)?;
    }
    Ok(())
}

/// Whatever is in the host's root, but its processes, and what the node has itself there. Plain files have no business in it.
fn see_root() -> Result<Seen, StepError> {
    let mut seen = Seen { trees: Vec::new(), links: Vec::new() };
    for entry in fs::read_dir("/").step("read /")? {
        let path = entry.step("read /")?.path();
        let own = OWN_PLACES.iter().chain(&["/proc"]).any(|own| path == Path::new(own));
        let Some(meta) = fs::symlink_metadata(&path).ok().filter(|_| !own) else { continue };
        if meta.is_dir() {
            let tree = mounts::clone_tree(&path, true).step(format!("see {}", path.display()))?;
            seen.trees.push((path, tree));
        } else if let Some(to) = meta.is_symlink().then(|| fs::read_link(&path).ok()).flatten() {
            seen.links.push((path, to));
        }
    }
    Ok(seen)
}

/// What lives in memory: the node's own files, secrets among them, shared memory, message queues.
fn own_memory(plan: &Plan) -> Result<(), StepError> {
    let size = memory_fs_bytes(&plan.spec);
    fs::create_dir_all(OWN_PLACES[1]).step("make /run/lace")?;
    tmpfs(OWN_PLACES[1], "0755", size, NOSUID | NODEV)?;
    let user = plan.user.unwrap_or(0);
    std::os::unix::fs::chown(OWN_PLACES[1], Some(user), Some(user)).step("owner of /run/lace")?;
    if Path::new("/dev/shm").is_dir() {
        tmpfs(&real("/dev/shm"), "1777", size, NOSUID | NODEV | NOEXEC)?;
    }
    if Path::new("/dev/mqueue").is_dir()
        && let Ok(queues) = mounts::new_mount("mqueue", &[], NOSUID | NODEV | NOEXEC)
    {
        mount_at(&queues, "/dev/mqueue")?;
    }
    Ok(())
}

/// The files of the specification, written by the node's own user: a link that an earlier life of it has left leads nowhere
/// else than where it could write itself. And the resolver, so that names of nodes are known here.
pub(super) fn write_files(plan: &Plan) -> Result<(), StepError> {
    {
        let _user = plan.user.map(sys::Acting::of).transpose().step("act as the node's user")?;
        fs::write(RESOLVER[1], resolver(&plan.spec, plan.gateway)).step(format!("write {}", RESOLVER[1]))?;
        fs::set_permissions(RESOLVER[1], fs::Permissions::from_mode(0o644)).step("mode of the resolver")?;
        plan.spec.files.iter().try_for_each(write_file)?;
    }
    cover_resolver()
}

/// Has the node ask the node DNS. A host that replaces its own file uncovers it in the node, so this is said before each life
/// of its process; what is covered stays so.
pub(crate) fn cover_resolver() -> Result<(), StepError> {
    let [Ok(there), Ok(ours)] = RESOLVER.map(fs::metadata) else { return Ok(()) };
    if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
        return Ok(());
    }
    let tree = mounts::clone_tree(RESOLVER[1], false).step("take the resolver")?;
    mounts::attach(tree.as_fd(), real(RESOLVER[0])).step("cover the resolver")
}

/// Where a path leads: a host has links where others have directories and files, and nothing is mounted at a link.
fn real(path: &str) -> String {
    fs::canonicalize(path).map_or_else(|_| path.to_owned(), |real| real.to_string_lossy().into_owned())
}
