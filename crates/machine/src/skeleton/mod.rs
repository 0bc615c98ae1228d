//! The lowest layer of image `host`: directories, links to /usr, and a fresh /etc made from an
//! allow list. Nothing that only root may read is ever copied.

mod etc;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::sys::step::{Step, StepError};

/// Top directories that are links into /usr on merged hosts.
pub const USR_LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Empty directories with their modes.
const DIRS: [(&str, u32); 20] = [
    ("usr", 0o755),
    ("etc", 0o755),
    ("etc/ssl", 0o755),
    ("dev", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("run", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("srv", 0o755),
    ("opt", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/cache", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];
/// Our own, in place of the host's: an administrator's may set what is nobody else's business.
const SHELLS: [(&str, &str); 2] = [
    ("profile", "if [ -n \"${BASH-}\" ] && [ -n \"${PS1-}\" ]; then . /etc/bash.bashrc; fi\n"),
    ("bash.bashrc", "[ -z \"${PS1-}\" ] || PS1='\\u@\\h:\\w\\$ '\n"),
];
/// Seen live, so that packages installed later on the host are complete.
const LIVE: [&str; 3] = ["/usr", "/etc/alternatives", "/etc/ssl/certs"];
/// Configuration of the host within /usr: npm's tokens, for one. Nodes see an empty directory instead.
const HIDDEN: [&str; 2] = ["/usr/etc", "/usr/local/etc"];
/// What is shown there: a directory of the skeleton that stays empty.
const EMPTY: &str = "mnt";

/// Host paths that a node of image `host` sees live and read-only.
pub fn live_paths() -> Vec<PathBuf> {
    let unmerged = USR_LINKS.iter().map(|name| Path::new("/").join(name));
    let unmerged = unmerged.filter(|p| p.is_dir() && !p.is_symlink());
    let live = LIVE.iter().map(PathBuf::from).filter(|p| p.is_dir());
    live.chain(unmerged).collect()
}

/// Directories within those of [`live_paths`] that a node sees empty, with what to show there.
pub fn hidden_paths(skeleton: &Path) -> Vec<(PathBuf, PathBuf)> {
    hidden().map(|path| (skeleton.join(EMPTY), path.to_owned())).collect()
}

/// Directories of [`live_paths`] that nobody but the host reads.
pub fn hidden() -> impl Iterator<Item = &'static Path> {
    HIDDEN.into_iter().map(Path::new).filter(|path| path.is_dir())
}

/// Forgets the skeletons that are neither in use nor this host's of now.
pub fn sweep(parent: &Path, used: &BTreeSet<OsString>) {
    let now = name();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name != *now && !used.contains(&name) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Are there skeletons besides this host's of now?
pub fn has_older(parent: &Path) -> bool {
    fs::read_dir(parent).is_ok_and(|entries| entries.count() > 1)
}

fn name() -> String {
    format!("{:016x}", stamp())
}

/// The skeleton of this host as it is now; made when there is none yet. Older ones stay for the
/// nodes that use them.
pub fn ensure(parent: &Path) -> Result<PathBuf, StepError> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(|e| e.into_inner());
    let dir = parent.join(name());
    if dir.is_dir() {
        return Ok(dir);
    }
    let fresh = parent.join(format!(".new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&fresh);
    build(&fresh, Path::new("/")).step("make skeleton")?;
    fs::rename(&fresh, &dir).step("install skeleton")?;
    Ok(dir)
}

/// Changes when the host's relevant files change.
fn stamp() -> u64 {
    let watched = ["/etc", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/localtime"];
    watched.iter().fold(3, |hash: u64, path| {
        let meta = fs::symlink_metadata(path);
        let (time, size) = meta.map_or((0, 0), |m| (m.mtime(), m.size()));
        let time = if *path == "/etc" { 0 } else { time };
        (hash ^ time as u64).wrapping_mul(0x0100_0000_01b3) ^ size.rotate_left(32)
    })
}

fn build(root: &Path, host: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for (dir, mode) in DIRS {
        let path = root.join(dir);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    for name in USR_LINKS {
        let theirs = host.join(name);
        match fs::read_link(&theirs) {
            Ok(target) => symlink(target, root.join(name))?,
            Err(_) if theirs.is_dir() => fs::create_dir(root.join(name))?,
            Err(_) => {}
        }
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/proc/self/mounts", root.join("etc/mtab"))?;
    for dir in ["etc/alternatives", "etc/ssl/certs"] {
        fs::create_dir_all(root.join(dir))?;
    }
    accounts(&host.join("etc"), &root.join("etc"))?;
    for (name, text) in SHELLS {
        fs::write(root.join("etc").join(name), text)?;
    }
    etc::copy_needed(&host.join("etc"), &root.join("etc"), "")
}

/// The host's system accounts, without passwords: files in packages belong to them.
fn accounts(host: &Path, etc: &Path) -> io::Result<()> {
    let system = |file: &str| {
        let text = fs::read_to_string(host.join(file)).unwrap_or_default();
        let keep = |line: &&str| {
            let id = line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
            id.is_some_and(|id| id > 0 && (id < 1000 || id == 65_534))
        };
        text.lines().filter(keep).map(|l| format!("{l}\n")).collect::<String>()
    };
    let passwd = system("passwd");
    let group = system("group");
    let root = "root:x:0:0:root:/root:/bin/sh\n";
    let app = "app:x:1000:1000:app:/home/app:/bin/sh\n";
    fs::write(etc.join("passwd"), format!("{root}{passwd}{app}"))?;
    fs::write(etc.join("group"), format!("root:x:0:\n{group}app:x:1000:\n"))?;
    let switch = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";
    fs::write(etc.join("nsswitch.conf"), switch)
}

#[cfg(test)]
mod tests;
