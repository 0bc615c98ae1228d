//! The packages that come with Lace: the files of `catalog/`, inside the binary; samples and golden files are for those who
//! change them, and stay outside.

use crate::chunk::ChunkSource;
use crate::error::{ReleaseError, Result};
use lace_model::Digest;
use lace_model::release::{Tree, TreeEntry, TreeNode};
use std::collections::{BTreeMap, BTreeSet};

/// A file of a package: path, may it be executed, content.
type File = (&'static str, bool, &'static [u8]);

macro_rules! package {
    ($name:literal: $($path:literal),* ; $($script:literal),*) => {
        &[
            $(($path, false, include_bytes!(concat!("../../../../catalog/", $name, "/", $path)).as_slice()),)*
            $(($script, true, include_bytes!(concat!("../../../../catalog/", $name, "/", $script)).as_slice()),)*
        ]
    };
}

/// The packages: texts, then what is executed.
const PACKAGES: &[&[File]] = &[
    package!("web-static":
        "package.toml", "README.md", "templates/nginx.conf.j2";
        "scripts/start.sh", "scripts/notify.sh"),
    package!("generic":
        "package.toml", "README.md", "templates/agents.json.j2", "templates/generic.env.j2",
        "templates/startup.sh.j2";
        "scripts/start.sh", "scripts/ask.sh", "scripts/idle.sh", "scripts/busy.sh", "scripts/show.sh",
        "scripts/notify.sh", "scripts/check.sh", "scripts/startup.sh"),
    package!("redis":
        "package.toml", "README.md", "templates/redis.conf.j2", "templates/sentinel.conf.j2",
        "templates/sentinels.j2";
        "scripts/start.sh", "scripts/ask.sh", "scripts/check.sh", "scripts/notify.sh", "scripts/flush.sh",
        "scripts/backup.sh", "scripts/restore.sh", "scripts/metrics.sh"),
];

/// A package that came with Lace.
pub struct BuiltIn {
    /// Its tree.
    pub tree: Tree,
    chunks: BTreeMap<Digest, &'static [u8]>,
}

impl ChunkSource for BuiltIn {
    fn chunk(&self, digest: &Digest) -> Result<Vec<u8>> {
        let found = self.chunks.get(digest).map(|bytes| bytes.to_vec());
        found.ok_or_else(|| ReleaseError::chunk(digest, "it is not of this package"))
    }
}

/// All of them.
pub fn built_in() -> Vec<BuiltIn> {
    PACKAGES.iter().map(|files| of_files(files)).collect()
}

fn of_files(files: &[File]) -> BuiltIn {
    let (mut nodes, mut chunks) = (BTreeMap::new(), BTreeMap::new());
    let mut dirs = BTreeSet::new();
    for (path, executable, bytes) in files {
        let digest = Digest::of(bytes);
        let size = bytes.len() as u64;
        nodes.insert(
            (*path).to_owned(),
            TreeNode::File { size, executable: *executable, chunks: vec![digest] },
        );
        chunks.insert(digest, *bytes);
        let mut rest = *path;
        while let Some((parent, _)) = rest.rsplit_once('/') {
            dirs.insert(parent.to_owned());
            rest = parent;
        }
    }
    nodes.extend(dirs.into_iter().map(|dir| (dir, TreeNode::Dir)));
    let entries = nodes.into_iter().map(|(path, node)| TreeEntry { path, node }).collect();
    BuiltIn { tree: Tree { entries }, chunks }
}
