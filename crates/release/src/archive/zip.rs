//! zip: stored and deflated entries, with Unix modes where the archive has them.

use super::bounded::excess;
use super::{Unpacking, damaged};
use crate::Packed;
use crate::error::{ReleaseError, Result};
use crate::tree::{Limits, clean, too_many};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use zip::ZipArchive;

/// Type bits of a Unix mode, and those that are allowed.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
/// Longest link target that is read, in bytes.
const TARGET_BYTES_MAX: u64 = 4096;

/// Reads a zip file.
pub(super) fn read(mut file: File, limits: &Limits) -> Result<Packed> {
    let said = entries_said(&mut file).map_err(damaged)?;
    if said > limits.entries as u64 {
        return Err(too_many(limits));
    }
    let bytes = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    let mut archive = ZipArchive::new(file).map_err(damaged)?;
    // The reader keeps one of several entries of the same name.
    if archive.len() as u64 != said {
        return Err(ReleaseError::refused("the archive's index", "a path is there twice"));
    }
    let mut unpacking = Unpacking::new(*limits)?;
    let mut given = 0;
    for i in 0..archive.len() {
        given += take_entry(&mut unpacking, &mut archive, i)?;
        if let Some(why) = excess(limits, bytes, given) {
            return Err(ReleaseError::TooLarge(why.into()));
        }
    }
    unpacking.finish()
}

fn take_entry(unpacking: &mut Unpacking, archive: &mut ZipArchive<File>, i: usize) -> Result<u64> {
    let entry = archive.by_index_raw(i).map_err(damaged)?;
    let (raw, encrypted) = (entry.name_raw().to_vec(), entry.encrypted());
    let mode = entry.unix_mode().unwrap_or(if entry.is_dir() { DIRECTORY } else { REGULAR | 0o644 });
    drop(entry);
    let Some(path) = clean(&raw)? else { return Ok(0) };
    if encrypted {
        return Err(ReleaseError::refused(&path, "it is encrypted"));
    }
    match mode & TYPE {
        _ if raw.ends_with(b"/") => unpacking.builder.dir(path).map(|()| 0),
        DIRECTORY => unpacking.builder.dir(path).map(|()| 0),
        REGULAR | 0 => unpacking.file(path, mode, archive.by_index(i).map_err(damaged)?),
        LINK => {
            let mut target = Vec::new();
            let content = archive.by_index(i).map_err(damaged)?;
            content.take(TARGET_BYTES_MAX).read_to_end(&mut target).map_err(damaged)?;
            unpacking.builder.symlink(path, &target).map(|()| 0)
        }
        0o010_000 => Err(ReleaseError::refused(&path, "it is a fifo")),
        0o140_000 => Err(ReleaseError::refused(&path, "it is a socket")),
        _ => Err(ReleaseError::refused(&path, "it is a device")),
    }
}

/// How many entries the end of the index says there are (APPNOTE 4.3.16, zip64: 4.3.14).
fn entries_said(file: &mut File) -> std::io::Result<u64> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let tail_bytes = bytes.min((22 + 0xffff + 20) as u64);
    file.seek(SeekFrom::Start(bytes - tail_bytes))?;
    let mut tail = Vec::new();
    file.take(tail_bytes).read_to_end(&mut tail)?;
    let bad = || std::io::Error::other("the index has no end");
    let end = tail.windows(22).rposition(|w| w.starts_with(b"PK\x05\x06")).ok_or_else(bad)?;
    let said = u16::from_le_bytes([tail[end + 10], tail[end + 11]]);
    let locator = end.checked_sub(20).map(|at| &tail[at..end]).filter(|l| l.starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else { return Ok(u64::from(said)) };
    let offset = u64::from_le_bytes(locator[8..16].try_into().map_err(|_| bad())?);
    let mut end64 = [0; 40];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut end64)?;
    Ok(u64::from_le_bytes(end64[32..40].try_into().map_err(|_| bad())?))
}
