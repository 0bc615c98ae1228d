//! What a tree may be: the same rules for the sender, the controller and the agent.
//!
//! A tree has directories, files and symbolic links that stay inside. It has no owners, times, devices or special bits,
//! so there is nothing of that sort to get wrong when it is written.

mod builder;
mod links;

pub(crate) use builder::{Builder, clean};

use crate::error::{ReleaseError, Result};
use lace_model::release::{CHUNK_BYTES_MAX, TREE_BYTES_MAX, TREE_ENTRIES_MAX, Tree, TreeNode};
use std::collections::BTreeMap;

/// Longest path in a tree, in bytes: PATH_MAX (4096) less room for the place where it is written.
pub const PATH_BYTES_MAX: usize = 3072;
/// Longest name in a path, in bytes (NAME_MAX of Linux).
pub const NAME_BYTES_MAX: usize = 255;

/// How much is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries, directories that only the paths name included.
    pub entries: usize,
    /// Most bytes of file content.
    pub bytes: u64,
    /// An archive may grow so many times when unpacked (beyond [`Limits::growth_free`]).
    pub growth: u64,
    /// Bytes that may come out of an archive before growth is looked at.
    pub growth_free: u64,
}

impl Default for Limits {
    /// Growth: releases unpack to 3 to 10 times their size; deflate cannot exceed 1032, bombs aim at that.
    fn default() -> Self {
        Self { entries: TREE_ENTRIES_MAX, bytes: TREE_BYTES_MAX, growth: 100, growth_free: 64 << 20 }
    }
}

/// Checks a tree that came from somewhere else.
///
/// # Errors
/// [`ReleaseError::Unsafe`] for a path, link or order that is not allowed; [`ReleaseError::TooLarge`] for more than
/// [`TREE_ENTRIES_MAX`] entries or [`TREE_BYTES_MAX`] bytes.
pub fn verify(tree: &Tree) -> Result<()> {
    verify_within(tree, &Limits::default())
}

pub(crate) fn verify_within(tree: &Tree, limits: &Limits) -> Result<()> {
    if tree.entries.len() > limits.entries {
        return Err(too_many(limits));
    }
    let mut nodes: BTreeMap<&str, &TreeNode> = BTreeMap::new();
    let (mut last, mut bytes) = ("", 0u64);
    for entry in &tree.entries {
        let path = entry.path.as_str();
        check_path(path)?;
        if path <= last {
            let why = if path == last { "it is there twice" } else { "the entries are not in order" };
            return Err(ReleaseError::refused(path, why));
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            check_parent(path, nodes.get(parent).copied())?;
        }
        if let TreeNode::File { size, chunks, .. } = &entry.node {
            check_size(path, *size, chunks.len())?;
            bytes = bytes.saturating_add(*size);
        }
        if bytes > limits.bytes {
            return Err(too_big(limits));
        }
        nodes.insert(path, &entry.node);
        last = path;
    }
    links::check(&nodes)
}

fn check_parent(path: &str, parent: Option<&TreeNode>) -> Result<()> {
    match parent {
        Some(TreeNode::Dir) => Ok(()),
        Some(TreeNode::File { .. }) => Err(ReleaseError::refused(path, "it lies under a file")),
        Some(TreeNode::Symlink { .. }) => Err(ReleaseError::refused(path, "it lies under a symbolic link")),
        None => Err(ReleaseError::refused(path, "its directory is missing")),
    }
}

fn check_size(path: &str, size: u64, chunks: usize) -> Result<()> {
    let (least, most) = (chunks as u64, (chunks as u64).saturating_mul(CHUNK_BYTES_MAX));
    if (least..=most).contains(&size) {
        return Ok(());
    }
    Err(ReleaseError::refused(path, format!("{chunks} chunks cannot have {size} bytes")))
}

/// Is this a path as trees have them: relative, UTF-8 (it is a `str`), without empty, `.` and `..` parts?
pub(crate) fn check_path(path: &str) -> Result<()> {
    let refused = |why: &str| Err(ReleaseError::refused(path, why));
    if path.is_empty() {
        return refused("the path is empty");
    }
    if path.starts_with('/') {
        return refused("the path is absolute");
    }
    if path.len() > PATH_BYTES_MAX {
        return refused("the path is longer than 3072 bytes");
    }
    for part in path.split('/') {
        match part {
            "" | "." => return refused("the path has an empty part or a `.` in it"),
            ".." => return refused("the path leaves the release: it has `..` in it"),
            part if part.len() > NAME_BYTES_MAX => return refused("a name is longer than 255 bytes"),
            part if part.contains('\0') => return refused("a name has a NUL byte in it"),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn too_many(limits: &Limits) -> ReleaseError {
    ReleaseError::TooLarge(format!("more than {} files and directories", limits.entries))
}

pub(crate) fn too_big(limits: &Limits) -> ReleaseError {
    ReleaseError::TooLarge(format!("more than {} bytes of content", limits.bytes))
}
