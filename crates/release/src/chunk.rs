//! Content-defined chunks: where files are cut, and where the bytes are found again.
//!
//! FastCDC (Xia et al., USENIX ATC 2016 and IEEE TPDS 2020): a change in a file changes the chunks around it only.

use crate::error::{ReleaseError, Result, check_chunk};
use fastcdc::v2020::FastCDC;
use lace_model::Digest;
use lace_model::release::{CHUNK_BYTES_MAX, Tree};
use rustix::fs::OFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// Below this nothing is cut, in bytes.
const CHUNK_BYTES_MIN: usize = 32 << 10;
/// Where cuts are aimed at, in bytes: small enough to share most of a BEAM, large enough for few round trips.
const CHUNK_BYTES_AVG: usize = 128 << 10;

/// Gives the bytes of chunks.
pub trait ChunkSource {
    /// The bytes that the digest names; they have been checked against it.
    ///
    /// # Errors
    /// [`ReleaseError::Chunk`] where there is no such chunk or its file has changed since; [`ReleaseError::Io`].
    fn chunk(&self, digest: &Digest) -> Result<Vec<u8>>;
}

/// The chunks that a tree needs.
pub fn needed(tree: &Tree) -> BTreeSet<Digest> {
    tree.chunks().collect()
}

/// Where the chunks of a [`crate::Packed`] are: in the files of the directory that was read, or in an unnamed temporary
/// file that goes away with this value, whatever happens to the process.
#[derive(Debug)]
pub struct Chunks(Place);

#[derive(Debug)]
enum Place {
    Files { files: Vec<PathBuf>, index: BTreeMap<Digest, (u32, u64, u32)> },
    Spill { file: File, end: u64, index: BTreeMap<Digest, (u64, u32)> },
}

impl Chunks {
    /// Chunks stay in their files and are read again.
    pub(crate) fn in_files() -> Self {
        Self(Place::Files { files: Vec::new(), index: BTreeMap::new() })
    }

    /// Chunks go to a temporary file.
    pub(crate) fn spilled() -> Result<Self> {
        let dir = std::env::temp_dir();
        let file = tempfile::tempfile().map_err(ReleaseError::io("make a temporary file in", &dir))?;
        Ok(Self(Place::Spill { file, end: 0, index: BTreeMap::new() }))
    }

    /// The following chunks are of this file.
    pub(crate) fn next_file(&mut self, path: PathBuf) {
        if let Place::Files { files, .. } = &mut self.0 {
            files.push(path);
        }
    }

    /// Takes a chunk in; `offset` is where it begins in its file.
    pub(crate) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let len = bytes.len() as u32;
        match &mut self.0 {
            Place::Files { files, index } => {
                index.entry(digest).or_insert((files.len() as u32 - 1, offset, len));
            }
            Place::Spill { file, end, index } if !index.contains_key(&digest) => {
                file.write_all(bytes)
                    .map_err(ReleaseError::io("write a temporary file in", &std::env::temp_dir()))?;
                index.insert(digest, (*end, len));
                *end += u64::from(len);
            }
            Place::Spill { .. } => {}
        }
        Ok(digest)
    }
}

impl ChunkSource for Chunks {
    fn chunk(&self, digest: &Digest) -> Result<Vec<u8>> {
        let unknown = || ReleaseError::chunk(digest, "it is not of this release");
        let bytes = match &self.0 {
            Place::Files { files, index } => {
                let (file, offset, len) = *index.get(digest).ok_or_else(unknown)?;
                let path = &files[file as usize];
                let again = ReleaseError::io("read again", path);
                std::fs::OpenOptions::new()
                    .read(true)
                    .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                    .open(path)
                    .and_then(|file| read_at(&file, offset, len))
                    .map_err(again)?
            }
            Place::Spill { file, index, .. } => {
                let (offset, len) = *index.get(digest).ok_or_else(unknown)?;
                let dir = std::env::temp_dir();
                read_at(file, offset, len).map_err(ReleaseError::io("read a temporary file in", &dir))?
            }
        };
        check_chunk(digest, &bytes)
            .map_err(|_| ReleaseError::chunk(digest, "its file has changed since it was read"))?;
        Ok(bytes)
    }
}

fn read_at(file: &File, offset: u64, len: u32) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Cuts files; its buffer of one largest chunk serves one file after the other.
pub(crate) struct Cutter {
    buffer: Vec<u8>,
}

impl Cutter {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; CHUNK_BYTES_MAX as usize] }
    }

    /// Cuts all that the reader gives; each piece goes to `take` with its offset. Answers the number of bytes.
    pub(crate) fn cut(
        &mut self,
        mut from: impl Read,
        read_error: impl Fn(std::io::Error) -> ReleaseError,
        mut take: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<u64> {
        let (mut held, mut offset, mut ended) = (0, 0u64, false);
        loop {
            while held < self.buffer.len() && !ended {
                match from.read(&mut self.buffer[held..]) {
                    Ok(n) => {
                        held += n;
                        ended = n == 0;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(read_error(error)),
                }
            }
            if held == 0 {
                return Ok(offset);
            }
            let piece = first_piece(&self.buffer[..held]);
            take(offset, &self.buffer[..piece])?;
            self.buffer.copy_within(piece..held, 0);
            held -= piece;
            offset += piece as u64;
        }
    }
}

fn first_piece(bytes: &[u8]) -> usize {
    let max = CHUNK_BYTES_MAX as usize;
    FastCDC::new(bytes, CHUNK_BYTES_MIN, CHUNK_BYTES_AVG, max).cut(0, bytes.len()).1
}
