//! Reads archives into trees. Nothing of an archive is written under its own names, so nothing can be left behind.

mod bounded;
mod tar;
mod zip;

use crate::Packed;
use crate::chunk::{Chunks, Cutter};
use crate::error::{ReleaseError, Result};
use crate::tree::{Builder, Limits};
use bounded::Meter;
use lace_model::Digest;
use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// What sort of archive it is; told by its first bytes, never by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// tar.
    Tar,
    /// tar, gzip (RFC 1952).
    TarGz,
    /// tar, bzip2.
    TarBz2,
    /// tar, xz.
    TarXz,
    /// tar, Zstandard (RFC 8878).
    TarZst,
    /// zip (APPNOTE 6.3).
    Zip,
}

/// So many first bytes tell the kind: one block of a tar.
const HEAD_BYTES: usize = 512;

impl ArchiveKind {
    /// The kind that the first 512 bytes tell.
    pub fn of(head: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 6] = [
            (b"\x1f\x8b", Self::TarGz),
            (b"BZh", Self::TarBz2),
            (b"\xfd7zXZ\0", Self::TarXz),
            (b"\x28\xb5\x2f\xfd", Self::TarZst),
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
        ];
        let known = magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind);
        known.or_else(|| tar::is_header(head).then_some(Self::Tar))
    }
}

/// Reads an archive from a file. Its content goes to an unnamed temporary file.
///
/// # Errors
/// [`ReleaseError::NotArchive`]; [`ReleaseError::Unsafe`] for paths and links that leave the archive, devices, fifos,
/// setuid and setgid files, duplicates, names that are not UTF-8; [`ReleaseError::TooLarge`] as soon as a limit is
/// passed, growth included; [`ReleaseError::Io`].
pub fn read_archive(path: &Path, limits: &Limits) -> Result<Packed> {
    let mut file = File::open(path).map_err(ReleaseError::io("open", path))?;
    let head = head_of(&mut file).map_err(ReleaseError::io("read", path))?;
    let kind = ArchiveKind::of(&head).ok_or_else(|| {
        ReleaseError::NotArchive(format!("{} is no archive of a known kind", path.display()))
    })?;
    file.seek(SeekFrom::Start(0)).map_err(ReleaseError::io("read", path))?;
    if kind == ArchiveKind::Zip { zip::read(file, limits) } else { read_tar(file, kind, limits) }
}

/// Reads an archive from a stream; a zip is put into a temporary file first, since its index is at its end.
///
/// # Errors
/// As [`read_archive`].
pub fn read_stream(mut from: impl Read, limits: &Limits) -> Result<Packed> {
    let stream = Path::new("the stream");
    let head = head_of(&mut from).map_err(ReleaseError::io("read", stream))?;
    let kind = ArchiveKind::of(&head)
        .ok_or_else(|| ReleaseError::NotArchive("the stream is no archive of a known kind".into()))?;
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(head).chain(from);
    if kind != ArchiveKind::Zip {
        return read_tar(whole, kind, limits);
    }
    let mut file = tempfile::tempfile().map_err(ReleaseError::io("make a temporary file for", stream))?;
    let copied = std::io::copy(&mut whole.take(limits.bytes.saturating_add(1)), &mut file);
    if copied.map_err(ReleaseError::io("copy", stream))? > limits.bytes {
        return Err(ReleaseError::TooLarge(format!("the archive has more than {} bytes", limits.bytes)));
    }
    zip::read(file, limits)
}

fn head_of(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    from.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn read_tar(from: impl Read, kind: ArchiveKind, limits: &Limits) -> Result<Packed> {
    let meter = Meter::new(*limits);
    let packed = BufReader::with_capacity(64 << 10, meter.input(from));
    let plain: Box<dyn Read + '_> = match kind {
        ArchiveKind::Tar | ArchiveKind::Zip => Box::new(packed),
        ArchiveKind::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        ArchiveKind::TarBz2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        ArchiveKind::TarXz => Box::new(xz(packed)?),
        ArchiveKind::TarZst => Box::new(zst(packed)?),
    };
    let read = tar::read(meter.output(plain), *limits);
    // The library that read the archive may have wrapped our refusal in words of its own.
    match meter.refusal() {
        Some(refusal) if read.is_err() => Err(refusal),
        _ => read,
    }
}

/// Memory that an xz or zst stream may make its reader take, in bytes: that of the strongest common presets.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

fn xz<R: std::io::BufRead>(from: R) -> Result<impl Read> {
    let stream = liblzma::stream::Stream::new_stream_decoder(WINDOW_BYTES_MAX, liblzma::stream::CONCATENATED)
        .map_err(|error| ReleaseError::NotArchive(format!("the archive cannot be unpacked: {error}")))?;
    Ok(liblzma::bufread::XzDecoder::new_stream(from, stream))
}

fn zst<R: std::io::BufRead>(from: R) -> Result<impl Read> {
    let unpack = |error| ReleaseError::NotArchive(format!("the archive cannot be unpacked: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(from).map_err(unpack)?;
    decoder.window_log_max(WINDOW_BYTES_MAX.ilog2()).map_err(unpack)?;
    Ok(decoder)
}

/// What both formats fill.
struct Unpacking {
    builder: Builder,
    chunks: Chunks,
    cutter: Cutter,
}

impl Unpacking {
    fn new(limits: Limits) -> Result<Self> {
        Ok(Self { builder: Builder::new(limits), chunks: Chunks::spilled()?, cutter: Cutter::new() })
    }

    fn file(&mut self, path: String, mode: u32, content: impl Read) -> Result<u64> {
        if mode & 0o6000 != 0 {
            return Err(ReleaseError::refused(&path, "it has the setuid or setgid bit"));
        }
        let mut digests: Vec<Digest> = Vec::new();
        let (builder, chunks) = (&mut self.builder, &mut self.chunks);
        let size = self.cutter.cut(content, damaged, |offset, bytes| {
            builder.grow(bytes.len() as u64)?;
            digests.push(chunks.put(offset, bytes)?);
            Ok(())
        })?;
        self.builder.file(path, size, mode & 0o111 != 0, digests)?;
        Ok(size)
    }

    fn finish(self) -> Result<Packed> {
        Ok(Packed { tree: self.builder.finish_stripped()?, chunks: self.chunks })
    }
}

fn damaged(error: impl std::fmt::Display) -> ReleaseError {
    ReleaseError::NotArchive(format!("the archive is damaged: {error}"))
}
