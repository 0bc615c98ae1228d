//! Writes a tree to a directory: whole or not at all.
//!
//! Everything is written into a directory beside the goal that only the owner may enter, directories and files before
//! any link, so no path that is written to can run through a link. One rename makes it the goal.

use crate::error::{ReleaseError, Result, check_chunk};
use crate::tree::verify;
use lace_model::Digest;
use lace_model::release::{Tree, TreeNode};
use rustix::fs::{AtFlags, Mode, OFlags, chownat, fchmod, open};
use rustix::process::{Gid, Uid};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the names of half-written directories end in.
const PART: &str = ".part";

/// Writes the tree as `dest`: directories and executables with mode 0755, other files with 0644, owned by root where the
/// process is root. Every chunk is checked against its digest; the data is on the disk when this returns. Where `dest` is
/// there already, nothing is done: it can only have come whole.
///
/// # Errors
/// As [`verify`]; [`ReleaseError::Chunk`] where `fetch` gives wrong bytes; [`ReleaseError::Io`]. Nothing is left behind
/// then; after a crash, [`sweep`] removes what was half written.
pub fn materialise(
    tree: &Tree,
    dest: &Path,
    fetch: impl FnMut(&Digest) -> io::Result<Vec<u8>>,
) -> Result<()> {
    if dest.is_dir() {
        return Ok(());
    }
    verify(tree)?;
    let parent = dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(ReleaseError::io("make", parent))?;
    let part = Part::new(parent, dest)?;
    write_all(tree, &part.path, fetch)?;
    part.become_(parent, dest)
}

/// Removes what interrupted calls of [`materialise`] left in the directory where the goals are. Only for a moment in
/// which none is running. Answers how many there were.
///
/// # Errors
/// [`ReleaseError::Io`].
pub fn sweep(parent: &Path) -> Result<usize> {
    let mut swept = 0;
    for entry in std::fs::read_dir(parent).map_err(ReleaseError::io("read", parent))? {
        let entry = entry.map_err(ReleaseError::io("read", parent))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(PART)) {
            std::fs::remove_dir_all(entry.path()).map_err(ReleaseError::io("remove", &entry.path()))?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// The directory in the making; gone with this value.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(parent: &Path, dest: &Path) -> Result<Self> {
        let name = dest.file_name().unwrap_or_default().to_string_lossy();
        let random = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(PART)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(ReleaseError::io("make a directory in", parent))?;
        Ok(Self { path: random.keep() })
    }

    fn become_(&self, parent: &Path, dest: &Path) -> Result<()> {
        let here = |error| ReleaseError::io("write", &self.path)(error);
        let dir = File::open(&self.path).map_err(here)?;
        settle(&dir, true).map_err(here)?;
        rustix::fs::syncfs(&dir).map_err(|error| here(error.into()))?;
        match std::fs::rename(&self.path, dest) {
            Ok(()) => {}
            // Somebody else was quicker, with the same content.
            Err(_) if dest.is_dir() => return Ok(()),
            Err(error) => return Err(ReleaseError::io("rename to", dest)(error)),
        }
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(ReleaseError::io("write", parent))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn write_all(tree: &Tree, root: &Path, mut fetch: impl FnMut(&Digest) -> io::Result<Vec<u8>>) -> Result<()> {
    for entry in &tree.entries {
        let path = root.join(&entry.path);
        match &entry.node {
            TreeNode::Dir => write_dir(&path).map_err(ReleaseError::io("make", &path))?,
            TreeNode::File { size, executable, chunks } => {
                write_file(&path, *size, *executable, chunks, &mut fetch)?;
            }
            TreeNode::Symlink { .. } => {}
        }
    }
    for entry in &tree.entries {
        let TreeNode::Symlink { target } = &entry.node else { continue };
        let path = root.join(&entry.path);
        write_link(&path, target).map_err(ReleaseError::io("link", &path))?;
    }
    Ok(())
}

fn write_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    settle(&open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?.into(), true)
}

/// Mode and owner, whatever umask and parent directory would make of them.
fn settle(file: &File, executable: bool) -> io::Result<()> {
    fchmod(file, Mode::from_raw_mode(if executable { 0o755 } else { 0o644 }))?;
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(file, Some(Uid::ROOT), Some(Gid::ROOT))?;
    }
    Ok(())
}

fn write_file(
    path: &Path,
    size: u64,
    executable: bool,
    chunks: &[Digest],
    fetch: &mut impl FnMut(&Digest) -> io::Result<Vec<u8>>,
) -> Result<()> {
    let here = |error| ReleaseError::io("write", path)(error);
    let flags = OFlags::NOFOLLOW.bits() as i32;
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
        .map_err(here)?;
    let mut written = 0;
    for digest in chunks {
        let bytes = fetch(digest).map_err(ReleaseError::io("fetch a chunk of", path))?;
        check_chunk(digest, &bytes)?;
        written += bytes.len() as u64;
        file.write_all(&bytes).map_err(here)?;
    }
    if written != size {
        let path = path.to_string_lossy();
        return Err(ReleaseError::refused(&path, format!("its chunks have {written} bytes, not {size}")));
    }
    settle(&file, executable).map_err(here)
}

fn write_link(path: &Path, target: &str) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Some(Uid::ROOT), Some(Gid::ROOT));
        chownat(rustix::fs::CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
