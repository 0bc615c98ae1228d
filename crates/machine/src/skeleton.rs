//! The lowest layer of image `host`: directories, links to /usr, and a fresh /etc made from an
//! allow list. Nothing that only root may read is ever copied.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::sys::step::{Step, StepError};

/// Top directories that are links into /usr on merged hosts.
const USR_LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
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
/// What programs of /usr look for in /etc. A star ends a prefix.
const ETC: &[&str] = &[
    "apache2",
    "bash.bashrc",
    "ca-certificates.conf",
    "debian_version",
    "default",
    "erlang",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "login.defs",
    "lighttpd",
    "magic",
    "magic.mime",
    "maven",
    "mime.types",
    "mysql",
    "networks",
    "nginx",
    "node*",
    "npmrc",
    "os-release",
    "perl",
    "php*",
    "postgresql-common",
    "profile",
    "profile.d",
    "protocols",
    "python*",
    "redis",
    "rpc",
    "services",
    "shells",
    "terminfo",
    "timezone",
];
/// Seen live, so that packages installed later on the host are complete.
const LIVE: [&str; 3] = ["/usr", "/etc/alternatives", "/etc/ssl/certs"];
/// Largest file copied out of /etc, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Host paths that a node of image `host` sees live and read-only.
pub fn live_paths() -> Vec<PathBuf> {
    let unmerged = USR_LINKS.iter().map(|name| Path::new("/").join(name));
    let unmerged = unmerged.filter(|p| p.is_dir() && !p.is_symlink());
    let live = LIVE.iter().map(PathBuf::from).filter(|p| p.is_dir());
    live.chain(unmerged).collect()
}

/// The skeleton of this host as it is now; made when there is none yet. Older ones stay for the
/// nodes that use them.
pub fn ensure(parent: &Path) -> Result<PathBuf, StepError> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(|e| e.into_inner());
    let dir = parent.join(format!("{:016x}", stamp()));
    if dir.is_dir() {
        return Ok(dir);
    }
    let fresh = parent.join(format!(".new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&fresh);
    build(&fresh).step("make skeleton")?;
    fs::rename(&fresh, &dir).step("install skeleton")?;
    Ok(dir)
}

/// Changes when the host's relevant files change.
fn stamp() -> u64 {
    let watched = ["/etc", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/localtime"];
    watched.iter().fold(2, |hash: u64, path| {
        let meta = fs::symlink_metadata(path);
        let (time, size) = meta.map_or((0, 0), |m| (m.mtime(), m.size()));
        let time = if *path == "/etc" { 0 } else { time };
        (hash ^ time as u64).wrapping_mul(0x0100_0000_01b3) ^ size.rotate_left(32)
    })
}

fn build(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for (dir, mode) in DIRS {
        let path = root.join(dir);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    for name in USR_LINKS {
        let host = Path::new("/").join(name);
        match fs::read_link(&host) {
            Ok(target) => symlink(target, root.join(name))?,
            Err(_) if host.is_dir() => fs::create_dir(root.join(name))?,
            Err(_) => {}
        }
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/proc/self/mounts", root.join("etc/mtab"))?;
    for dir in ["etc/alternatives", "etc/ssl/certs"] {
        fs::create_dir_all(root.join(dir))?;
    }
    accounts(&root.join("etc"))?;
    etc(root)
}

/// The host's system accounts, without passwords: files in packages belong to them.
fn accounts(etc: &Path) -> io::Result<()> {
    let system = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let keep = |line: &&str| {
            let id = line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
            id.is_some_and(|id| id > 0 && (id < 1000 || id == 65_534))
        };
        text.lines().filter(keep).map(|l| format!("{l}\n")).collect::<String>()
    };
    let passwd = system("/etc/passwd");
    let group = system("/etc/group");
    let root = "root:x:0:0:root:/root:/bin/sh\n";
    let app = "app:x:1000:1000:app:/home/app:/bin/sh\n";
    fs::write(etc.join("passwd"), format!("{root}{passwd}{app}"))?;
    fs::write(etc.join("group"), format!("root:x:0:\n{group}app:x:1000:\n"))?;
    let switch = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";
    fs::write(etc.join("nsswitch.conf"), switch)
}

fn etc(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir("/etc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let wanted = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == **pattern,
        };
        if ETC.iter().any(wanted) {
            copy(&entry.path(), &root.join("etc").join(&name), 0)?;
        }
    }
    let openssl = Path::new("/etc/ssl/openssl.cnf");
    if openssl.is_file() {
        copy(openssl, &root.join("etc/ssl/openssl.cnf"), 0)?;
    }
    Ok(())
}

/// Copies links as links and only what everybody may read.
fn copy(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    let mode = meta.permissions().mode();
    if meta.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if meta.is_dir() && mode & 0o005 == 0o005 && depth < 8 {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)?.flatten() {
            copy(&entry.path(), &to.join(entry.file_name()), depth + 1)?;
        }
        return fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o755));
    }
    if meta.is_file() && mode & 0o004 != 0 && meta.len() <= FILE_BYTES_MAX {
        fs::copy(from, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o755))?;
    }
    Ok(())
}
