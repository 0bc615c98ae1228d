//! What a volume holds, out of it and into a new one, as a tar archive by the tar of this host: owners, modes, links, holes
//! and extended attributes as they are, owners in the numbers that its nodes see.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Mounted, Prepared, attach, image_of, prepare, remove, snapshot, tool};
use crate::sys::check;

/// capability(7): making device nodes.
const CAP_MKNOD: libc::c_int = 27;
const FIDELITY: [&str; 4] = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"];

/// Packs what a volume holds. Where a node has it (`held`), what is packed is of one moment, as after a power cut: a copy of the
/// volume's file, for which its writers are held up. A volume that is no file is packed as it is read, and what its node writes
/// meanwhile may be half in it.
///
/// # Errors
/// It cannot be mounted or read; the disk has no room for the copy, or it took too long; the reader of `to` has gone.
pub fn pack(source: &Path, held: bool, to: BorrowedFd<'_>) -> io::Result<()> {
    let (place, mounted) = if held { of_one_moment(source)? } else { reading(source)? };
    let mut command = tar(&place)?;
    command.args(["--create", "--sparse", "--file=-"]).args(FIDELITY).arg(".");
    command.stdin(Stdio::null()).stdout(to.try_clone_to_owned()?);
    let packed = ended(command);
    drop(mounted);
    if place != source {
        let _ = fs::remove_dir(&place);
    }
    packed
}

/// Where the content of one moment can be read. Its copy has no name once it is mounted, and goes with the mount.
fn of_one_moment(source: &Path) -> io::Result<(PathBuf, Mounted)> {
    let image = image_of(source);
    if !image.exists() {
        return reading(source);
    }
    let place = place_for(&image)?;
    let copy = PathBuf::from(format!("{}.moment", place.display()));
    let taken = snapshot::copy_held(source, &image, &copy)
        .and_then(|()| attach(&copy, &place).map_err(io::Error::other));
    let _ = fs::remove_file(&copy);
    taken.inspect_err(|_| drop(fs::remove_dir(&place)))?;
    Ok((place.clone(), Mounted(vec![place])))
}

/// A directory beside a volume's file, to mount it at.
fn place_for(image: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let place = image.with_extension(format!("reading-{}-{count}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&place)?;
    Ok(place)
}

/// Where the content can be read. A node that has the volume has the same file system, by the same loop device.
pub(super) fn reading(source: &Path) -> io::Result<(PathBuf, Mounted)> {
    let image = image_of(source);
    if !image.exists() {
        return Ok((source.to_owned(), Mounted::default()));
    }
    let place = place_for(&image)?;
    attach(&image, &place).map_err(io::Error::other).inspect_err(|_| drop(fs::remove_dir(&place)))?;
    Ok((place.clone(), Mounted(vec![place])))
}

/// Makes a volume that is not there of what an archive holds. Whole or not at all.
///
/// # Errors
/// It is there; its bytes are no archive, hold devices, or are too many.
pub fn fill(source: &Path, bytes: u64, from: BorrowedFd<'_>) -> io::Result<()> {
    if source.exists() || image_of(source).exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(source)?;
    let filled = fill_new(source, bytes, from);
    if filled.is_err() {
        let _ = remove(source);
    }
    filled
}

fn fill_new(source: &Path, bytes: u64, from: BorrowedFd<'_>) -> io::Result<()> {
    let mounted = match prepare(source, bytes).map_err(|e| io::Error::other(e.to_string()))? {
        Prepared::Mounted => Mounted(vec![source.to_owned()]),
        Prepared::Plain(_) => Mounted::default(),
    };
    let mut command = tar(source)?;
    command.args(["--extract", "--preserve-permissions", "--same-owner", "--file=-"]).args(FIDELITY);
    command.stdin(from.try_clone_to_owned()?).stdout(Stdio::null());
    // SAFETY: one system call between fork and exec. No device of the host's is made in anybody's volume.
    unsafe {
        command.pre_exec(|| check(libc::prctl(libc::PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0).into()).map(drop));
    }
    let filled = ended(command);
    drop(mounted);
    filled
}

fn tar(place: &Path) -> io::Result<Command> {
    let program = tool("tar").ok_or_else(|| io::Error::other("tar is not installed on this host"))?;
    let mut command = Command::new(program);
    command.arg("--directory").arg(place).env_clear().env("LC_ALL", "C").stderr(Stdio::piped());
    Ok(command)
}

fn ended(mut command: Command) -> io::Result<()> {
    let child = command.spawn()?;
    // The ends of the pipe that tar has are its own now.
    drop(command);
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("failed without a word");
    Err(io::Error::other(first.trim().to_owned()))
}
