//! The form of an exported application: a tar archive, written and read from its beginning to its end.
//!
//! First `lace-export.json` says what is there, then `lace.toml`, the pieces of releases and packages by their digests
//! (`blobs/DIGEST`), and what the volumes hold in numbered parts (`volumes/SERVICE/FAMILY/INDEX/NAME/PART`), which together
//! are a tar archive. Last come the digests of all of these (`checksums`): an archive without them was cut off.

use lace_model::package::StoredPackage;
use lace_model::release::Release;
use lace_model::{AppName, Digest, Name, NodePath};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The first entry.
pub const CONTENTS: &str = "lace-export.json";
/// The manifest.
pub const MANIFEST: &str = "lace.toml";
/// The last entry.
pub const CHECKSUMS: &str = "checksums";
/// Bytes of a volume that travel as one entry.
pub const PART_BYTES: usize = 4 << 20;
/// Longest entry, bytes: a tree of a release, or a part.
pub const ENTRY_BYTES_MAX: u64 = 64 << 20;

/// What an archive holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contents {
    /// Version of this form.
    pub lace_export: u32,
    /// The application.
    pub app: AppName,
    /// Its releases; their trees and chunks are among the blobs.
    pub releases: Vec<Release>,
    /// The packages of its services that did not come with Lace; theirs are among the blobs, too.
    #[serde(default)]
    pub packages: Vec<StoredPackage>,
    /// Its volumes.
    pub volumes: Vec<Stored>,
    /// Secrets that it needs and that are not here.
    pub secrets: Vec<String>,
}

/// A volume in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Whose.
    pub place: NodePath,
    /// Which.
    pub name: Name,
    /// Its size in bytes; none where its host did not enforce one.
    pub size: Option<u64>,
}

impl Stored {
    /// Where its parts are.
    pub fn dir(&self) -> String {
        let family = &self.place.family;
        format!("volumes/{}/{}/{}/{}/", family.service, family.family, self.place.index, self.name)
    }
}

/// Writes an archive, and remembers the digest of everything in it.
pub struct Writer<W: Write> {
    tar: tar::Builder<W>,
    sums: String,
    mtime: u64,
}

impl<W: Write> Writer<W> {
    /// One that begins. `mtime` is the time of all entries, in seconds.
    pub fn new(to: W, mtime: u64) -> Self {
        Self { tar: tar::Builder::new(to), sums: String::new(), mtime }
    }

    /// Adds an entry.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.sums.push_str(&format!("{}  {path}\n", Digest::of(bytes)));
        self.entry(path, bytes)
    }

    /// Adds the digests, and ends.
    pub fn end(mut self) -> io::Result<()> {
        let sums = std::mem::take(&mut self.sums);
        self.entry(CHECKSUMS, sums.as_bytes())?;
        self.tar.into_inner()?.flush()
    }

    fn entry(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.mtime);
        self.tar.append_data(&mut header, path, bytes)
    }
}
