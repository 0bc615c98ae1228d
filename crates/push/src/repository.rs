//! Bare repositories, one for each service, named as their services say: made at the first push, removed when no service names
//! them any more.

use crate::REPOSITORY_BYTES_MAX;
use lace_machine::confined;
use lace_model::{Code, Problem, ServicePath};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What git asks of a directory to take it for a repository (gitrepository-layout(5)); all settings that matter are said on
/// each command line.
const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
const HEAD: &str = "ref: refs/heads/main\n";
const DIRS: [&str; 5] = ["objects", "objects/info", "objects/pack", "refs", "refs/heads"];

/// The repository of a name; made where it is not there. `push` names this push, and no other one.
///
/// # Errors
/// It has grown beyond its bound, or cannot be made.
pub(crate) fn open(dir: &Path, name: &str, service: &ServicePath, push: &str) -> Result<PathBuf, Problem> {
    let path = dir.join(format!("{name}.git"));
    let failed = |e: io::Error| {
        tracing::warn!(error = %e, path = %path.display(), "a repository cannot be made");
        Problem::new(Code::Error, format!("the repository of {service} cannot be made"))
            .hint("the controller's log says why")
    };
    if !path.is_dir() {
        make(&dir.join(format!("{push}.new")), &path).map_err(failed)?;
    }
    let bytes = disk_bytes(&path);
    if bytes > REPOSITORY_BYTES_MAX {
        let text = format!(
            "the repository of {service} has {} MiB; at most {} are kept",
            bytes >> 20,
            REPOSITORY_BYTES_MAX >> 20
        );
        return Err(Problem::new(Code::TooLarge, text)
            .hint("remove its keys and add them again: lace key remove; that begins an empty repository"));
    }
    Ok(path)
}

/// Whole or not there.
fn make(new: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(new)?;
    for inner in DIRS {
        fs::create_dir(new.join(inner))?;
        confined::give(&new.join(inner))?;
    }
    for (name, text) in [("config", CONFIG), ("HEAD", HEAD)] {
        fs::write(new.join(name), text)?;
        confined::give(&new.join(name))?;
    }
    confined::give(new)?;
    match fs::rename(new, path) {
        // Another push made it meanwhile.
        Err(_) if path.is_dir() => fs::remove_dir_all(new),
        renamed => renamed,
    }
}

/// Bytes of the disk that it takes.
fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(one).sum()
}

/// Removes the repositories that no service names. What a push that is under way has there is left alone.
///
/// # Errors
/// One cannot be removed.
pub fn sweep(dir: &Path, named: &BTreeSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if crate::spool::is_ours(&name) {
            continue;
        }
        let known =
            name.to_str().and_then(|name| name.strip_suffix(".git")).is_some_and(|name| named.contains(name));
        if !known {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
