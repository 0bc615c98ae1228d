//! Releases: one uploaded version of a user's code, content-addressed.

use crate::{Code, Digest, Millis, Name, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest chunk of a file, in bytes: what a host must hold in memory at once.
pub const CHUNK_BYTES_MAX: u64 = 1 << 20;
/// Largest tree, in bytes of file content.
pub const TREE_BYTES_MAX: u64 = 8 << 30;
/// Most entries of a tree.
pub const TREE_ENTRIES_MAX: usize = 200_000;

/// What sort of release it is: it decides how a node is started and asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseKind {
    /// rebar3/relx or systools: `bin/NAME foreground`.
    Relx,
    /// `mix release`: `bin/NAME start`.
    Mix,
    /// Anything else: a start command, or a Procfile.
    #[default]
    Generic,
}

impl ReleaseKind {
    /// The verbs by which the scripts of its tools put a runtime into the background and return.
    fn background_verbs(self) -> &'static [&'static str] {
        match self {
            Self::Relx => &["start", "start_boot", "daemon", "daemon_boot", "daemon_attach"],
            Self::Mix => &["daemon", "daemon_iex"],
            Self::Generic => &[],
        }
    }

    /// Refuses a start command whose process is in the background when the command has ended: it could be neither
    /// watched nor stopped. A script of one's own whose `start` stays says so by `sh -c "exec bin/NAME start"`.
    ///
    /// # Errors
    /// `Usage`, with the command that stays in the foreground.
    pub fn check_start(self, start: &[String]) -> Result<(), Problem> {
        let [script, verb, ..] = start else { return Ok(()) };
        if !self.background_verbs().contains(&verb.as_str()) {
            return Ok(());
        }
        let stays = if self == Self::Mix { "start" } else { "foreground" };
        Err(Problem::new(
            Code::Usage,
            format!("`{script} {verb}` puts the runtime into the background and returns"),
        )
        .hint(format!("a node's process has to stay in the foreground: `{script} {stays}`")))
    }
}

/// One entry of a tree. Paths are relative, with `/`, never with `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Path in the tree.
    pub path: String,
    /// What is there.
    #[serde(flatten)]
    pub node: TreeNode,
}

/// What a path of a tree holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TreeNode {
    /// A directory.
    Dir,
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// May it be executed?
        executable: bool,
        /// Its content in order.
        chunks: Vec<Digest>,
    },
    /// A symbolic link that stays inside the tree.
    Symlink {
        /// Where it points.
        target: String,
    },
}

/// A whole tree, entries in path order; its digest names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The entries.
    pub entries: Vec<TreeEntry>,
}

impl Tree {
    /// The digest that names this tree.
    pub fn digest(&self) -> Digest {
        Digest::of_value(self)
    }
    /// The chunks that its files are made of; one that occurs twice is named twice.
    pub fn chunks(&self) -> impl Iterator<Item = Digest> {
        let of_file = |entry: &TreeEntry| match &entry.node {
            TreeNode::File { chunks, .. } => chunks.clone(),
            TreeNode::Dir | TreeNode::Symlink { .. } => Vec::new(),
        };
        self.entries.iter().flat_map(of_file)
    }
    /// Bytes of file content.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|e| if let TreeNode::File { size, .. } = e.node { size } else { 0 }).sum()
    }
}

/// What a release's programs need from a host (read from ELF headers and `start_erl.data`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Machine of the ELF files: `x86_64`, `aarch64`.
    pub arch: Option<String>,
    /// Highest GLIBC symbol version, such as `2.34`.
    pub glibc: Option<String>,
    /// Highest versions of other libraries' symbols, by the word before them: `OPENSSL` is `3.0.0`, `GLIBCXX` `3.4.30`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Shared objects that the release does not carry itself, such as `libcrypto.so.3`.
    pub libraries: Vec<String>,
    /// ERTS version the release carries, or needs from the host (`erts_included` false).
    pub erts: Option<String>,
    /// Does the release carry its ERTS?
    pub erts_included: bool,
    /// Names of programs that its start needs from the host (`erl`, `python3`).
    pub programs: Vec<String>,
    /// Applications that its boot script loads (relx and mix); empty where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Those of them that it does not carry: the host's Erlang has to have them, where ERTS is the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

/// A release as stored: key `NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its name.
    pub name: Name,
    /// Its version: as the release says, as the person says, or `0.0.0-<digest>`.
    pub version: String,
    /// The tree's digest.
    pub tree: Digest,
    /// What sort it is.
    pub kind: ReleaseKind,
    /// Command that runs it in the foreground (relative to the tree's root, `/app` in a node).
    pub start: Vec<String>,
    /// Command that stops it, where a signal is not enough.
    #[serde(default)]
    pub stop: Option<Vec<String>>,
    /// Files of the tree that are templates (minijinja).
    #[serde(default)]
    pub templates: Vec<String>,
    /// What it needs.
    #[serde(default)]
    pub needs: Needs,
    /// Bytes of file content.
    pub bytes: u64,
    /// When it came.
    pub uploaded_at: Millis,
    /// The commit that it was made of, where it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<crate::push::Commit>,
}

/// Which release a service uses, as a person says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// Name.
    pub name: Name,
    /// Version; the newest uploaded where none is said. One that was pushed is meant only where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
