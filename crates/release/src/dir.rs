//! Reads a directory into a tree.

use crate::Packed;
use crate::chunk::{Chunks, Cutter};
use crate::error::{ReleaseError, Result};
use crate::tree::{Builder, Limits, clean};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use lace_model::Digest;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a directory says about what is no part of its release, as gitignore(5) has it.
const IGNORE: &str = ".laceignore";
/// Left out unless that file takes it back (`!name`): the stores of version control wherever they are; what says how to
/// deploy the release and not what it is, so that a changed number of nodes is no new release.
const LEFT_OUT: [&str; 6] = [".git", ".hg", ".jj", ".svn", "/.laceignore", "/lace.toml"];
/// Longest beginning of a file that is looked at to tell a saved plan.
const PLAN_BYTES: u64 = 64;

/// Reads a directory. Its files stay where they are: their chunks are read again when they are asked for.
///
/// Left out: the manifest (`lace.toml`), saved plans, the stores of version control, what `.laceignore` names; owners,
/// times, special bits of directories.
///
/// # Errors
/// [`ReleaseError::Unsafe`] for devices, fifos, sockets, setuid or setgid files, links that leave the directory and names
/// that are not UTF-8; [`ReleaseError::TooLarge`]; [`ReleaseError::Io`].
pub fn read_dir(path: &Path, limits: &Limits) -> Result<Packed> {
    read_dir_of(path, limits, None)
}

/// The same for the manifest at a path, which is left out, too.
pub(crate) fn read_dir_of(path: &Path, limits: &Limits, manifest: Option<&Path>) -> Result<Packed> {
    let mut reading =
        Reading { builder: Builder::new(*limits), chunks: Chunks::in_files(), cutter: Cutter::new() };
    let left_out = left_out(path, manifest)?;
    let mut waiting = vec![path.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).map_err(ReleaseError::io("read", &dir))? {
            let entry = entry.map_err(ReleaseError::io("read", &dir))?;
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if left_out.matched(entry.path(), is_dir).is_ignore() || (dir == path && is_plan(&entry.path())) {
                continue;
            }
            if reading.entry(path, entry.path())? {
                waiting.push(entry.path());
            }
        }
    }
    Ok(Packed { tree: reading.builder.finish()?, chunks: reading.chunks })
}

fn left_out(root: &Path, manifest: Option<&Path>) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new(root);
    let own = manifest.and_then(|manifest| line_of(root, manifest));
    let lines = LEFT_OUT.into_iter().chain(own.as_deref());
    let mut bad = lines.filter_map(|line| builder.add_line(None, line).err()).next();
    let file = root.join(IGNORE);
    if file.is_file() {
        bad = bad.or_else(|| builder.add(&file));
    }
    let built = builder.build();
    let why = |e: ignore::Error| ReleaseError::refused(IGNORE, e.to_string());
    bad.map_or(Ok(()), |e| Err(why(e)))?;
    built.map_err(why)
}

/// The line of gitignore(5) that means this file, where it lies below the root.
fn line_of(root: &Path, file: &Path) -> Option<String> {
    let (root, file) = (root.canonicalize().ok()?, file.canonicalize().ok()?);
    let inner = file.strip_prefix(root).ok()?.to_str()?;
    let quoted = |c: char| if "\\*?[]{}!# ".contains(c) { format!("\\{c}") } else { c.to_string() };
    Some(format!("/{}", inner.chars().map(quoted).collect::<String>()))
}

/// A plan that `lace plan --out` saved beside the manifest.
fn is_plan(path: &Path) -> bool {
    if path.extension().is_none_or(|extension| extension != "plan") {
        return false;
    }
    let mut start = String::new();
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let read = file.and_then(|file| file.take(PLAN_BYTES).read_to_string(&mut start));
    read.is_ok() && start.contains("\"lace_plan\"")
}

struct Reading {
    builder: Builder,
    chunks: Chunks,
    cutter: Cutter,
}

impl Reading {
    /// Takes one entry in; is it a directory to go into?
    fn entry(&mut self, root: &Path, full: PathBuf) -> Result<bool> {
        let inner = full.strip_prefix(root).unwrap_or(&full).as_os_str().as_bytes();
        let Some(path) = clean(inner)? else { return Ok(false) };
        let meta = std::fs::symlink_metadata(&full).map_err(ReleaseError::io("read", &full))?;
        let kind = meta.file_type();
        if kind.is_dir() {
            self.builder.dir(path)?;
            return Ok(true);
        }
        if kind.is_symlink() {
            let target = std::fs::read_link(&full).map_err(ReleaseError::io("read", &full))?;
            self.builder.symlink(path, target.as_os_str().as_bytes())?;
        } else if kind.is_file() {
            self.file(path, full)?;
        } else {
            let what = match () {
                () if kind.is_fifo() => "a fifo",
                () if kind.is_socket() => "a socket",
                () => "a device",
            };
            return Err(ReleaseError::refused(&path, format!("it is {what}")));
        }
        Ok(false)
    }

    fn file(&mut self, path: String, full: PathBuf) -> Result<()> {
        // Nothing that became a link or a fifo meanwhile is followed or waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&full);
        let file: File = file.map_err(ReleaseError::io("open", &full))?;
        let meta = file.metadata().map_err(ReleaseError::io("read", &full))?;
        // Told before minutes of reading, not after.
        self.builder.has_room(meta.len())?;
        let mode = meta.mode();
        if mode & 0o6000 != 0 {
            return Err(ReleaseError::refused(&path, "it has the setuid or setgid bit"));
        }
        self.chunks.next_file(full.clone());
        let mut digests: Vec<Digest> = Vec::new();
        let (builder, chunks) = (&mut self.builder, &mut self.chunks);
        let read_error = |error| ReleaseError::io("read", &full)(error);
        let size = self.cutter.cut(file, read_error, |offset, bytes| {
            builder.grow(bytes.len() as u64)?;
            digests.push(chunks.put(offset, bytes)?);
            Ok(())
        })?;
        self.builder.file(path, size, mode & 0o111 != 0, digests)
    }
}
