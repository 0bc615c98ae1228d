//! Lays a tree out as files, once: made beside its place and moved there whole.

use super::chunks::Chunks;
use lace_model::Digest;
use lace_model::release::{Tree, TreeNode};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

/// The chunks that a tree needs, each once.
pub fn chunks_of(tree: &Tree) -> Vec<Digest> {
    let chunks = tree.entries.iter().flat_map(|entry| match &entry.node {
        TreeNode::File { chunks, .. } => chunks.as_slice(),
        _ => &[],
    });
    let unique: std::collections::HashSet<Digest> = chunks.copied().collect();
    unique.into_iter().collect()
}

/// What a crash left half made.
pub fn drop_half_made(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".new") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes the tree to `place/app`.
pub fn lay_out(tree: &Tree, chunks: &Chunks, place: &Path) -> io::Result<()> {
    let fresh = place.with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    let root = fresh.join("app");
    fs::create_dir_all(&root)?;
    for entry in &tree.entries {
        let path = root.join(safe(&entry.path)?);
        match &entry.node {
            TreeNode::Dir => fs::create_dir_all(&path)?,
            TreeNode::Symlink { target } => {
                make_parent(&path)?;
                symlink(target, &path)?;
            }
            TreeNode::File { executable, chunks: parts, .. } => {
                make_parent(&path)?;
                let mut file = File::create_new(&path)?;
                for part in parts {
                    file.write_all(&chunks.read(*part)?)?;
                }
                let mode = if *executable { 0o755 } else { 0o644 };
                file.set_permissions(fs::Permissions::from_mode(mode))?;
            }
        }
    }
    for dir in [&fresh, &root] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(&fresh, place)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// The controller has checked it; a host checks again before it writes as root.
fn safe(path: &str) -> io::Result<&Path> {
    let relative = Path::new(path);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    if path.is_empty() || !plain {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path:?} leaves the tree")));
    }
    Ok(relative)
}
