//! The node's world, built from inside: root, /proc, /sys, /dev, /run, masks, files.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;

use super::Handover;
use super::child::attach;
use super::plan::Plan;
use crate::pid1::resolve_user;
use crate::spec::{FileSpec, NodeSpec};
use crate::sys::mounts::{self, NODEV, NOEXEC, NOSUID, RDONLY};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check, cstring};

/// Device files that a program may expect.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Hidden behind /dev/null.
const HIDDEN_FILES: [&str; 7] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/kmsg",
];
/// Hidden behind an empty directory.
const HIDDEN_DIRS: [&str; 5] =
    ["/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap", "/sys/kernel/debug"];
/// Shown, not writable.
const READ_ONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];
/// Memory on the node's own file systems in memory, where no limit says less.
const MEMORY_FS_BYTES: u64 = 256 << 20;

/// Enters the root and attaches everything to it.
pub(super) fn build_root(plan: &Plan, handover: &Handover, place: &Path) -> Result<(), StepError> {
    mounts::make_private().step("make mounts private in node")?;
    // Before the old root goes: the kernel gives /proc and /sys only to who sees them whole.
    let quiet = NOSUID | NODEV | NOEXEC;
    let proc = mounts::new_mount("proc", &[], quiet).step("mount /proc")?;
    let sysfs = mounts::new_mount("sysfs", &[], quiet | RDONLY).step("mount /sys")?;
    let clone = |name: &&str| mounts::clone_tree(format!("/dev/{name}"), false);
    let devices: Vec<OwnedFd> =
        DEVICES.iter().map(clone).collect::<Result<_, _>>().step("take device files")?;
    attach(handover.root, &place.to_string_lossy()).map_err(|e| at("mount root", e))?;
    sys::change_directory(place).step("enter root")?;
    mounts::pivot_here().step("pivot_root")?;
    set_names(&plan.spec)?;
    for dir in ["/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/var", "/root"] {
        fs::create_dir_all(dir).step(format!("make {dir}"))?;
    }
    mount_at(&proc, "/proc")?;
    mount_at(&sysfs, "/sys")?;
    let size = memory_fs_bytes(&plan.spec);
    devices_dir(&devices, size)?;
    tmpfs("/run", "0755", size, NOSUID | NODEV)?;
    let view = handover.binds.iter().find(|b| b.target.starts_with("/sys/fs/cgroup"));
    if view.is_some_and(|b| !b.target.ends_with("/cgroup/")) {
        tmpfs("/sys/fs/cgroup", "0755", 65_536, quiet)?;
    }
    for bind in &handover.binds {
        let target = Path::new(&bind.target);
        fs::create_dir_all(target).step(format!("make {}", bind.target))?;
        attach(bind.tree, &bind.target)?;
    }
    mask()
}

fn at(step: &str, error: StepError) -> StepError {
    StepError { step: step.to_owned(), errno: error.errno }
}

pub(super) fn mount_at(tree: &impl AsFd, target: &str) -> Result<(), StepError> {
    attach(tree.as_fd().as_raw_fd(), target)
}

pub(super) fn memory_fs_bytes(spec: &NodeSpec) -> u64 {
    spec.limits.memory_bytes.map_or(MEMORY_FS_BYTES, |limit| limit / 2)
}

pub(super) fn tmpfs(target: &str, mode: &str, size: u64, attributes: u64) -> Result<(), StepError> {
    let size = size.to_string();
    let options = [("source", "lace"), ("mode", mode), ("size", size.as_str())];
    let tree = mounts::new_mount("tmpfs", &options, attributes).step(format!("tmpfs {target}"))?;
    mount_at(&tree, target)
}

fn devices_dir(devices: &[OwnedFd], size: u64) -> Result<(), StepError> {
    tmpfs("/dev", "0755", 1 << 20, NOSUID | NOEXEC)?;
    for (name, tree) in DEVICES.iter().zip(devices) {
        let path = format!("/dev/{name}");
        fs::File::create(&path).step(format!("make {path}"))?;
        mount_at(tree, &path)?;
    }
    for dir in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        fs::create_dir(dir).step(format!("make {dir}"))?;
    }
    let options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let pts = mounts::new_mount("devpts", &options, NOSUID | NOEXEC).step("mount /dev/pts")?;
    mount_at(&pts, "/dev/pts")?;
    tmpfs("/dev/shm", "1777", size, NOSUID | NODEV | NOEXEC)?;
    // Kernels without POSIX queues are fine.
    if let Ok(queues) = mounts::new_mount("mqueue", &[], NOSUID | NODEV | NOEXEC) {
        mount_at(&queues, "/dev/mqueue")?;
    }
    let links = [
        ("pts/ptmx", "/dev/ptmx"),
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ];
    links.iter().try_for_each(|(to, at)| symlink(to, at).step(format!("link {at}")))
}

fn mask() -> Result<(), StepError> {
    for file in HIDDEN_FILES.iter().filter(|f| Path::new(f).exists()) {
        let tree = mounts::clone_tree("/dev/null", false).step("mask")?;
        mount_at(&tree, file)?;
    }
    for dir in HIDDEN_DIRS.iter().filter(|d| Path::new(d).exists()) {
        tmpfs(dir, "0555", 4096, RDONLY | NOSUID | NODEV | NOEXEC)?;
    }
    for dir in READ_ONLY.iter().filter(|d| Path::new(d).exists()) {
        let tree = mounts::clone_tree(dir, true).step(format!("read-only {dir}"))?;
        let attributes = RDONLY | NOSUID | NODEV | NOEXEC;
        mounts::set_attributes(tree.as_fd(), attributes, None, true).step(format!("read-only {dir}"))?;
        mount_at(&tree, dir)?;
    }
    Ok(())
}

fn set_names(spec: &NodeSpec) -> Result<(), StepError> {
    let name = cstring(&spec.hostname).step("host name")?;
    let length = spec.hostname.len();
    // SAFETY: the name outlives the call.
    check(unsafe { libc::sethostname(name.as_ptr(), length) }.into()).step("set host name")?;
    Ok(())
}

/// Names, resolver and the files of the specification.
pub(super) fn write_files(plan: &Plan) -> Result<(), StepError> {
    let spec = &plan.spec;
    let mut hosts = format!("127.0.0.1 localhost\n{} {} {}\n", spec.address, spec.fqdn, spec.hostname);
    for line in &spec.hosts {
        hosts.push_str(line);
        hosts.push('\n');
    }
    replace("/etc/hosts", &hosts)?;
    replace("/etc/hostname", &format!("{}\n", spec.hostname))?;
    replace("/etc/resolv.conf", &resolver(spec, plan.gateway))?;
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).step("mode of /tmp")?;
    spec.files.iter().try_for_each(write_file)
}

/// The text of its resolver's file.
pub(super) fn resolver(spec: &NodeSpec, gateway: Ipv4Addr) -> String {
    let nameserver = spec.nameserver.unwrap_or(gateway);
    let search = spec.search.as_ref().map_or(String::new(), |s| format!("search {s}\n"));
    format!("nameserver {nameserver}\n{search}options timeout:2 attempts:2\n")
}

/// A layer's file may be a link to somewhere: it goes first.
fn replace(path: &str, text: &str) -> Result<(), StepError> {
    let _ = fs::remove_file(path);
    fs::write(path, text).step(format!("write {path}"))
}

pub(super) fn write_file(file: &FileSpec) -> Result<(), StepError> {
    let what = || format!("write {}", file.path.display());
    if let Some(parent) = file.path.parent() {
        fs::create_dir_all(parent).step(what())?;
    }
    let _ = fs::remove_file(&file.path);
    let mut options = fs::OpenOptions::new();
    // Secrets are born with the mode that they keep.
    let opened = options.write(true).create_new(true).mode(0o600).open(&file.path);
    let mut handle = opened.step(what())?;
    handle.write_all(&file.content).step(what())?;
    if let Some(owner) = &file.owner {
        let user = resolve_user(Some(owner))?;
        chown(&file.path, Some(user.uid), Some(user.gid)).step(what())?;
    }
    handle.set_permissions(fs::Permissions::from_mode(file.mode & 0o7777)).step(what())
}
