//! Builds a tree entry by entry, and refuses as early as an entry shows what it is.

use super::{Limits, check_path, too_big, too_many, verify_within};
use crate::error::{ReleaseError, Result};
use lace_model::Digest;
use lace_model::release::{Tree, TreeEntry, TreeNode};
use std::collections::BTreeMap;

/// Directories that are part of a release, so that one of them alone at the top is not stripped.
const MARKS: [&str; 9] = ["bin", "lib", "releases", "etc", "priv", "sbin", "share", "usr", "var"];

/// A tree in the making.
pub(crate) struct Builder {
    limits: Limits,
    nodes: BTreeMap<String, TreeNode>,
    bytes: u64,
}

/// A path as archives write it, without `./` and trailing `/`; `None` for the root itself.
///
/// # Errors
/// [`ReleaseError::Unsafe`] for names that are not UTF-8 and paths that are not allowed.
pub(crate) fn clean(raw: &[u8]) -> Result<Option<String>> {
    let lossy = || String::from_utf8_lossy(raw).into_owned();
    let path =
        std::str::from_utf8(raw).map_err(|_| ReleaseError::refused(&lossy(), "the name is not UTF-8"))?;
    let mut rest = path;
    while let Some(less) = rest.strip_prefix("./") {
        rest = less;
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest == "." || (rest.is_empty() && path.starts_with("./")) {
        return Ok(None);
    }
    check_path(rest)?;
    Ok(Some(rest.to_owned()))
}

impl Builder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, nodes: BTreeMap::new(), bytes: 0 }
    }

    /// So much content came in.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes { Err(too_big(&self.limits)) } else { Ok(()) }
    }

    /// Would so much more content be taken in?
    pub(crate) fn has_room(&self, bytes: u64) -> Result<()> {
        if self.bytes.saturating_add(bytes) > self.limits.bytes { Err(too_big(&self.limits)) } else { Ok(()) }
    }

    /// A directory; the same one may come again.
    pub(crate) fn dir(&mut self, path: String) -> Result<()> {
        if self.nodes.get(&path) == Some(&TreeNode::Dir) {
            return Ok(());
        }
        self.add(path, TreeNode::Dir)
    }

    /// A file whose bytes have been counted by [`Builder::grow`].
    pub(crate) fn file(
        &mut self,
        path: String,
        size: u64,
        executable: bool,
        chunks: Vec<Digest>,
    ) -> Result<()> {
        self.add(path, TreeNode::File { size, executable, chunks })
    }

    /// A symbolic link.
    pub(crate) fn symlink(&mut self, path: String, target: &[u8]) -> Result<()> {
        let target = std::str::from_utf8(target)
            .map_err(|_| ReleaseError::refused(&path, "the link's target is not UTF-8"))?
            .to_owned();
        self.add(path, TreeNode::Symlink { target })
    }

    /// A second name of a file that came before: becomes a file of its own, with the same chunks.
    pub(crate) fn hard_link(&mut self, path: String, target: &[u8]) -> Result<()> {
        let outside = |_| ReleaseError::refused(&path, "the hard link leaves the release");
        let target = clean(target).map_err(outside)?;
        let file =
            target.and_then(|target| self.nodes.get(&target)).filter(|n| matches!(n, TreeNode::File { .. }));
        let Some(file) = file.cloned() else {
            return Err(ReleaseError::refused(&path, "the hard link points to no file before it"));
        };
        if let TreeNode::File { size, .. } = file {
            self.grow(size)?;
        }
        self.add(path, file)
    }

    fn add(&mut self, path: String, node: TreeNode) -> Result<()> {
        if self.nodes.contains_key(&path) {
            return Err(ReleaseError::refused(&path, "it is there twice"));
        }
        if self.nodes.len() >= self.limits.entries {
            return Err(too_many(&self.limits));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Adds the directories that only paths name, and checks the whole.
    pub(crate) fn finish(mut self) -> Result<Tree> {
        let paths: Vec<String> = self.nodes.keys().cloned().collect();
        for path in paths {
            let mut rest = path.as_str();
            while let Some((parent, _)) = rest.rsplit_once('/') {
                if self.nodes.contains_key(parent) {
                    break;
                }
                self.add(parent.to_owned(), TreeNode::Dir)?;
                rest = parent;
            }
        }
        let entries = self.nodes.into_iter().map(|(path, node)| TreeEntry { path, node }).collect();
        let tree = Tree { entries };
        verify_within(&tree, &self.limits)?;
        Ok(tree)
    }

    /// As [`Builder::finish`], for archives: exactly one directory at the top is taken away (`game-1.2/bin/game` becomes
    /// `bin/game`), unless it is one that releases consist of (`bin`, `lib`, `releases`, `erts-...`).
    pub(crate) fn finish_stripped(self) -> Result<Tree> {
        let limits = self.limits;
        let tree = self.finish()?;
        let top =
            tree.entries.first().filter(|entry| entry.node == TreeNode::Dir).map(|entry| entry.path.clone());
        let Some(top) = top.filter(|top| !MARKS.contains(&top.as_str()) && !top.starts_with("erts-")) else {
            return Ok(tree);
        };
        let prefix = format!("{top}/");
        if tree.entries.len() < 2 || !tree.entries[1..].iter().all(|entry| entry.path.starts_with(&prefix)) {
            return Ok(tree);
        }
        let strip = |entry: TreeEntry| TreeEntry { path: entry.path[prefix.len()..].to_owned(), ..entry };
        let stripped = Tree { entries: tree.entries.into_iter().skip(1).map(strip).collect() };
        verify_within(&stripped, &limits)?;
        Ok(stripped)
    }
}
