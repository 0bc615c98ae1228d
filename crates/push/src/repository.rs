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
/// A release is the whole commit, as it is: what the pushed tree's own attributes would leave out or fill in counts for nothing
/// (gitattributes(5): this file goes first).
const ATTRIBUTES: &str = "* -export-ignore -export-subst\n";
const DIRS: [&str; 6] = ["info", "objects", "objects/info", "objects/pack", "refs", "refs/heads"];

/// The repository of a name; made where it is not there, and without what pushes left that were killed. `push` names this push, and
/// no other one: it is the only one that writes there now.
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
    clean(&path, false);
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
    for (name, text) in [("config", CONFIG), ("HEAD", HEAD), ("info/attributes", ATTRIBUTES)] {
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

/// Removes objects that never came in and locks whose owner is gone. All of it was written by who reads what strangers send: no
/// link is followed.
fn clean(dir: &Path, of_objects: bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        let is_objects = of_objects || name == "objects";
        let quarantine = ["tmp_objdir-", "incoming-"].iter().any(|begin| name.starts_with(begin));
        let unfinished = ["tmp_", ".tmp-"].iter().any(|begin| name.starts_with(begin));
        let removed = match kind.is_dir() {
            true if of_objects && quarantine => fs::remove_dir_all(&path),
            true => {
                clean(&path, is_objects);
                Ok(())
            }
            false if of_objects && unfinished || name.ends_with(".lock") || name == "gc.pid" => {
                fs::remove_file(&path)
            }
            false => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, path = %path.display(), "what a push left could not be removed");
        }
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
/// `named` is asked after the directory was read: a repository is made after its service names it, so what is there and has no name
/// then has lost it.
///
/// # Errors
/// One cannot be removed; what `named` says.
pub fn sweep<E: From<io::Error>>(
    dir: &Path,
    named: impl FnOnce() -> Result<BTreeSet<String>, E>,
) -> Result<(), E> {
    let entries: Vec<_> = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.flatten().collect(),
    };
    let named = named()?;
    for entry in entries {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_pushes_left_goes_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let repo = dir.path().join("x.git");
        let outside = dir.path().join("outside");
        let left = [
            "objects/tmp_objdir-incoming-a1/pack/tmp_pack_1",
            "objects/incoming-b2/12/34",
            "objects/pack/tmp_pack_x",
            "objects/pack/.tmp-1-pack-y.pack",
            "objects/ab/tmp_obj_z",
            "refs/heads/main.lock",
            "packed-refs.lock",
            "gc.pid",
        ];
        let kept = [
            "objects/pack/pack-1.pack",
            "objects/ab/cdef",
            "refs/heads/tmp_branch",
            "refs/heads/objects/x",
            "HEAD",
        ];
        for file in left.iter().chain(&kept) {
            let path = repo.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("x.lock"), "x").expect("written");
        std::os::unix::fs::symlink(&outside, repo.join("objects/link")).expect("linked");
        clean(&repo, false);
        for file in left {
            assert!(!repo.join(file).exists(), "{file}");
        }
        for file in kept {
            assert!(repo.join(file).exists(), "{file}");
        }
        assert!(outside.join("x.lock").exists(), "no link is followed");
    }

    #[test]
    fn what_is_named_while_it_is_swept_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("old.git")).expect("made");
        let named = || {
            // A first push, between the two looks.
            fs::create_dir(dir.path().join("new.git"))?;
            Ok::<_, io::Error>(BTreeSet::new())
        };
        sweep(dir.path(), named).expect("swept");
        assert!(dir.path().join("new.git").is_dir() && !dir.path().join("old.git").exists());
        sweep(&dir.path().join("none"), || Err(io::Error::other("not asked"))).expect("nothing there");
    }
}
