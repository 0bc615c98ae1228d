//! Releases as files: from a directory or an archive to a tree of chunks, and from a tree back to a directory.
//!
//! Three stories. The sender: [`read_path`] makes a [`Packed`], [`recognise`] says what it is. The receivers: [`verify`]
//! checks a tree by the same rules, [`materialise`] writes it. The person: [`detect_project`] proposes a manifest.
//! [`package`] looks at the files of packages; [`preflight`] compares what a release needs with what a host has. This
//! room talks to no network and starts no process.

mod archive;
mod chunk;
mod dir;
mod elf;
mod error;
mod host;
mod materialise;
pub mod package;
mod procfile;
mod project;
mod recognise;
mod tree;

pub use archive::{ArchiveKind, read_archive, read_stream};
pub use chunk::{ChunkSource, Chunks, needed};
pub use dir::read_dir;
pub use elf::{Program, program};
pub use error::{ReleaseError, Result};
pub use host::{HostFacts, preflight};
pub use materialise::{materialise, sweep};
pub use project::{Project, ProjectKind, detect_project, name_from};
pub use recognise::{Recognised, recognise};
pub use tree::{Limits, verify};

use lace_model::release::Tree;
use std::path::Path;

/// A release as read: its tree, and its content chunk by chunk.
#[derive(Debug)]
pub struct Packed {
    /// The tree. It has passed [`verify`].
    pub tree: Tree,
    /// Gives the bytes of every chunk of the tree, without holding them all in memory.
    pub chunks: Chunks,
}

/// Reads a directory or an archive, whichever the path is. The manifest that it is read for, if it lies in the directory,
/// is no part of it, whatever it is called.
///
/// # Errors
/// As [`read_dir`] and [`read_archive`].
pub fn read_path(path: &Path, limits: &Limits, manifest: Option<&Path>) -> Result<Packed> {
    if path.is_dir() { dir::read_dir_of(path, limits, manifest) } else { read_archive(path, limits) }
}
