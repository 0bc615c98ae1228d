//! The files of a tree, by path.

use crate::chunk::ChunkSource;
use crate::error::Result;
use lace_model::release::{Tree, TreeNode};

/// Largest script or template, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// How a program begins that the kernel runs without an interpreter (elf(5)).
const ELF: &[u8] = b"\x7fELF";

/// A tree and where its bytes are.
pub(super) struct Files<'a> {
    pub tree: &'a Tree,
    pub source: &'a dyn ChunkSource,
}

/// A file's text, or why there is none.
pub(super) enum Text {
    Is(String),
    Not(String),
}

impl Files<'_> {
    fn node(&self, path: &str) -> Option<&TreeNode> {
        let entries = &self.tree.entries;
        let found = entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        Some(&entries[found].node)
    }

    /// Paths of all that is no directory.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let entries = self.tree.entries.iter().filter(|entry| entry.node != TreeNode::Dir);
        entries.map(|entry| entry.path.as_str())
    }

    /// May it be executed? `None` where it is no file.
    pub fn executable(&self, path: &str) -> Option<bool> {
        match self.node(path) {
            Some(TreeNode::File { executable, .. }) => Some(*executable),
            _ => None,
        }
    }

    /// Does the kernel run it as it is?
    pub fn is_program(&self, path: &str) -> bool {
        let Some(TreeNode::File { chunks, .. }) = self.node(path) else { return false };
        let first = chunks.first().and_then(|digest| self.source.chunk(digest).ok());
        first.is_some_and(|bytes| bytes.starts_with(ELF))
    }

    /// Its text.
    pub fn text(&self, path: &str) -> Result<Text> {
        let not = |why: &str| Ok(Text::Not(why.to_owned()));
        let (size, chunks) = match self.node(path) {
            Some(TreeNode::File { size, chunks, .. }) => (*size, chunks),
            Some(TreeNode::Dir) => return not("is a directory"),
            Some(TreeNode::Symlink { .. }) => return not("is a symbolic link: put the file itself here"),
            None => return not("is not there"),
        };
        if size > TEXT_BYTES_MAX {
            return not("is larger than 1 MiB");
        }
        let mut bytes = Vec::with_capacity(size as usize);
        for digest in chunks {
            bytes.extend(self.source.chunk(digest)?);
            // A tree may say less than its chunks have.
            if bytes.len() as u64 > size {
                return not("is longer than its tree says");
            }
        }
        Ok(String::from_utf8(bytes).map_or_else(|_| Text::Not("is not UTF-8".into()), Text::Is))
    }
}
