//! Volumes with a size: an ext4 file system in a sparse file beside the volume's directory.
//!
//! The file `PLACE.img` holds the data, the directory `PLACE` is where it is mounted, and only while a node that gets it
//! is being made: the node's own mount keeps the file system and its loop device, which both go with the node. So
//! nothing has to be undone when an agent dies. Where a host has no loop devices or no `mkfs.ext4`, the directory
//! itself is the volume, and a note says that its size is not enforced. A volume stays what it was made as.

mod carry;
mod snapshot;

pub use carry::{fill, pack};
pub use snapshot::{Snapshot, forget, restore, snapshots, take, thaw_all};

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::spec::VolumeSpec;
use crate::sys::mounts;
use crate::sys::step::{Step, StepError};

/// Where the host's tools are, which the environment of an agent may leave out.
const TOOLS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// How long a file system that nobody has any more may take to go, and between two looks.
const RELEASE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// No file system fits into less, bytes.
const IMAGE_BYTES_MIN: u64 = 1 << 20;

/// Mounts that a start needs; gone when dropped.
#[derive(Default)]
pub(crate) struct Mounted(Vec<PathBuf>);

impl Drop for Mounted {
    fn drop(&mut self) {
        for place in self.0.iter().rev() {
            if let Err(error) = mounts::detach(place) {
                tracing::warn!(place = %place.display(), %error, "a volume stays mounted");
            }
        }
    }
}

/// Mounts the volumes that have a size, made where they are not there yet. Notes say what is not enforced.
pub(crate) fn mount(volumes: &[VolumeSpec], notes: &mut Vec<String>) -> Result<Mounted, StepError> {
    let mut mounted = Mounted::default();
    for volume in volumes {
        let Some(bytes) = volume.size_bytes.filter(|bytes| *bytes > 0) else { continue };
        match prepare(&volume.source, bytes)? {
            Prepared::Mounted => mounted.0.push(volume.source.clone()),
            Prepared::Plain(why) => {
                notes.push(format!("the size of volume {} is not enforced: {why}", volume.target.display()))
            }
        }
    }
    Ok(mounted)
}

/// Takes away what an agent left that died between two steps of a start.
pub(crate) fn sweep(below: &Path) {
    for place in mounts_below(below).iter().rev() {
        let _ = mounts::detach(place);
    }
}

/// Removes a volume that no node has, and its snapshots.
///
/// # Errors
/// What is left cannot be removed.
pub fn remove(source: &Path) -> io::Result<()> {
    snapshots(source).iter().try_for_each(|snapshot| forget(source, &snapshot.name))?;
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    fs::remove_file(image_of(source)).or_else(|e| if absent(&e) { Ok(()) } else { Err(e) })?;
    fs::remove_dir_all(source).or_else(|e| if absent(&e) { Ok(()) } else { Err(e) })
}

/// The size of a volume, where it has one.
pub fn size_bytes(source: &Path) -> Option<u64> {
    fs::metadata(image_of(source)).ok().map(|meta| meta.len())
}

/// Bytes of the disk that a volume takes.
pub fn disk_bytes(source: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(image_of(source)) {
        Ok(meta) => meta.blocks() * 512,
        Err(_) => crate::usage::tree_bytes(source),
    }
}

/// Why sizes of volumes are not enforced on this host; nothing where they are.
pub(crate) fn hindrance() -> Option<String> {
    if !Path::new("/dev/loop-control").exists() {
        return Some("this host has no loop devices".to_owned());
    }
    let missing = ["mkfs.ext4", "mount", "e2fsck", "resize2fs"].into_iter().find(|name| tool(name).is_none());
    missing.map(|name| format!("{name} is not installed"))
}

enum Prepared {
    Mounted,
    Plain(String),
}

fn image_of(source: &Path) -> PathBuf {
    let mut name = source.file_name().unwrap_or_default().to_owned();
    name.push(".img");
    source.with_file_name(name)
}

fn prepare(source: &Path, bytes: u64) -> Result<Prepared, StepError> {
    let image = image_of(source);
    let what = |step: &str| format!("{step} volume {}", source.display());
    match fs::metadata(&image) {
        Ok(there) => {
            if there.len() < bytes
                && let Err(why) = grow(&image, there.len(), bytes)
            {
                tracing::warn!(volume = %source.display(), why, "the volume keeps its size for now");
            }
            attach(&image, source).map_err(|why| StepError::plain(format!("{}: {why}", what("mount"))))?;
            return Ok(Prepared::Mounted);
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).step(what("look at")),
        Err(_) => {}
    }
    if fs::read_dir(source).step(what("look at"))?.next().is_some() {
        return Ok(Prepared::Plain("it was made without a bound".to_owned()));
    }
    if let Some(why) = hindrance() {
        return Ok(Prepared::Plain(why));
    }
    match make(&image, bytes).and_then(|()| attach(&image, source)) {
        Ok(()) => {
            // Programs that want an empty directory find one.
            let _ = fs::remove_dir(source.join("lost+found"));
            Ok(Prepared::Mounted)
        }
        Err(why) => {
            let _ = fs::remove_file(&image);
            Ok(Prepared::Plain(why))
        }
    }
}

/// Whole or not at all: made beside its place.
fn make(image: &Path, bytes: u64) -> Result<(), String> {
    let fresh = image.with_extension("new");
    let sized = File::create(&fresh).and_then(|file| file.set_len(bytes.max(IMAGE_BYTES_MIN)));
    sized.map_err(|e| format!("{}: {e}", fresh.display()))?;
    let options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"];
    let words = options.iter().map(OsStr::new).chain([fresh.as_os_str()]);
    let made = run("mkfs.ext4", words, 0);
    let placed = made.and_then(|()| fs::rename(&fresh, image).map_err(|e| e.to_string()));
    if placed.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    placed
}

/// mount(8) finds a free loop device, or the one that still has the file, and lets the kernel free it at the end.
fn attach(image: &Path, place: &Path) -> Result<(), String> {
    let options = ["-t", "ext4", "-o", "loop,nodev,nosuid"];
    run("mount", options.iter().map(OsStr::new).chain([image.as_os_str(), place.as_os_str()]), 0)
}

/// Before it is mounted: growing it while mounted needs rights that an agent in a container lacks.
fn grow(image: &Path, from: u64, to: u64) -> Result<(), String> {
    let until = Instant::now() + RELEASE;
    while is_in_use(image)? {
        if Instant::now() > until {
            return Err("its file system is still in use".to_owned());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    let resize = |bytes| File::options().write(true).open(image).and_then(|file| file.set_len(bytes));
    // 1 means that something was mended.
    run("e2fsck", [OsStr::new("-f"), OsStr::new("-p"), image.as_os_str()], 1)?;
    resize(to).map_err(|e| e.to_string())?;
    run("resize2fs", [image.as_os_str()], 0).inspect_err(|_| drop(resize(from)))
}

/// Has a loop device the file? The kernel lets go of it a little after the last node that had it.
fn is_in_use(image: &Path) -> Result<bool, String> {
    let devices = fs::read_dir("/sys/block").map_err(|e| e.to_string())?.flatten();
    let file = |device: fs::DirEntry| fs::read_to_string(device.path().join("loop/backing_file")).ok();
    Ok(devices.filter_map(file).any(|file| Path::new(file.trim_end()) == image))
}

fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(point_of).filter(|point| point.starts_with(dir)).map(Into::into).collect()
}

/// The mount point of a line of mountinfo. Ours have no bytes that are escaped there.
fn point_of(line: &str) -> Option<&Path> {
    line.split(' ').nth(4).map(Path::new)
}

fn tool(name: &str) -> Option<PathBuf> {
    TOOLS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
}

/// Runs a tool; statuses above `good` are failures.
fn run<'a>(name: &str, words: impl IntoIterator<Item = &'a OsStr>, good: i32) -> Result<(), String> {
    let program = tool(name).ok_or_else(|| format!("{name} is not installed"))?;
    let mut command = Command::new(program);
    command.args(words).env_clear().env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.code().is_some_and(|code| code <= good) {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed");
    Err(format!("{name}: {}", last.trim()))
}
