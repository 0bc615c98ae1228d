//! Backups: copies of what services of packages hold, written by their script `backup`.

use crate::{BackupId, Digest, Millis, Name, NodePath, ServicePath};
use serde::{Deserialize, Serialize};

/// Most bytes of one backup: as many as a tree may have.
pub const BACKUP_BYTES_MAX: u64 = crate::release::TREE_BYTES_MAX;
/// Most backups of one service that are kept. More are refused, not rotated: nobody loses one unasked.
pub const BACKUPS_MAX: usize = 64;
/// The name of the only file in a backup's tree.
pub const BACKUP_FILE: &str = "data";

/// A backup as stored: key = its id. It outlives its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// What it is a copy of.
    pub service: ServicePath,
    /// The node that wrote it.
    pub node: NodePath,
    /// The package whose script wrote it.
    pub package: Name,
    /// That package's version: another one may not understand it.
    pub version: String,
    /// The tree of one file, [`BACKUP_FILE`], that holds it in chunks: with their digests its own stands for all of it.
    pub tree: Digest,
    /// Its size.
    pub bytes: u64,
    /// When it was whole.
    pub made_at: Millis,
    /// Who asked for it.
    pub made_by: String,
}
