//! tar: ustar, GNU long names, PAX names (POSIX.1-2017, pax).
//!
//! Extensions are read here and not by the tar crate, which would take a long name of any length into memory.

use super::{Unpacking, damaged};
use crate::Packed;
use crate::error::{ReleaseError, Result};
use crate::tree::{Limits, clean};
use std::io::Read;
use tar::{Archive, Entry, EntryType, Header};

/// Largest extension header, in bytes: a few names of 4 KiB.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// Is this the first block of a tar? Its checksum must be right.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else { return false };
    let mut header = Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    let blanks = 8 * u32::from(b' ');
    let sum = block[..148].iter().chain(&block[156..]).map(|b| u32::from(*b)).sum::<u32>() + blanks;
    let empty = block.iter().all(|b| *b == 0);
    empty || header.cksum().is_ok_and(|said| said == sum)
}

/// Reads a plain tar to its end.
pub(super) fn read(from: impl Read, limits: Limits) -> Result<Packed> {
    let mut unpacking = Unpacking::new(limits)?;
    let mut said = Said::default();
    let mut archive = Archive::new(from);
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        if !said.take(&mut entry)? {
            take_entry(&mut unpacking, std::mem::take(&mut said), &mut entry)?;
        }
    }
    unpacking.finish()
}

/// What extension headers say about the entry after them.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Said {
    /// Takes an extension header in; `false` for an entry of its own right.
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.path = Some(text(entry)?),
            EntryType::GNULongLink => self.link = Some(text(entry)?),
            EntryType::XHeader => self.records(&content(entry)?)?,
            EntryType::XGlobalHeader => drop(content(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Records are `LENGTH KEY=VALUE\n`.
    fn records(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|b| *b == b' ').ok_or_else(|| damaged("a PAX record"))?;
            let length = std::str::from_utf8(&bytes[..blank]).ok().and_then(|n| n.parse::<usize>().ok());
            let record =
                length.and_then(|n| bytes.get(blank + 1..n)).ok_or_else(|| damaged("a PAX record"))?;
            bytes = &bytes[blank + 1 + record.len()..];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let Some(equals) = record.iter().position(|b| *b == b'=') else { continue };
            let (key, value) = (&record[..equals], record[equals + 1..].to_vec());
            match key {
                b"path" => self.path = Some(value),
                b"linkpath" => self.link = Some(value),
                b"size" => {
                    return Err(ReleaseError::TooLarge("a file in the archive has more than 8 GiB".into()));
                }
                _ if key.starts_with(b"GNU.sparse") => return Err(sparse(&String::from_utf8_lossy(key))),
                _ => {}
            }
        }
        Ok(())
    }
}

fn sparse(path: &str) -> ReleaseError {
    ReleaseError::refused(path, "it is a sparse file, which is not read from archives")
}

fn content(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    if entry.size() > EXTENSION_BYTES_MAX {
        return Err(ReleaseError::TooLarge("a name in the archive has more than 64 KiB".into()));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

fn text(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut bytes = content(entry)?;
    bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    Ok(bytes)
}

fn take_entry(unpacking: &mut Unpacking, said: Said, entry: &mut Entry<'_, impl Read>) -> Result<()> {
    let raw = said.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
    let link = said.link.or_else(|| entry.header().link_name_bytes().map(|name| name.into_owned()));
    let Some(path) = clean(&raw)? else { return Ok(()) };
    let mode = entry.header().mode().map_err(damaged)?;
    let target = link.unwrap_or_default();
    match entry.header().entry_type() {
        EntryType::Directory => unpacking.builder.dir(path),
        EntryType::Symlink => unpacking.builder.symlink(path, &target),
        EntryType::Link => unpacking.builder.hard_link(path, &target),
        // Before POSIX, a directory was a file whose name ends in a slash.
        EntryType::Regular if raw.ends_with(b"/") => unpacking.builder.dir(path),
        EntryType::Regular | EntryType::Continuous => file(unpacking, path, mode, entry),
        EntryType::GNUSparse => Err(sparse(&path)),
        EntryType::Char | EntryType::Block => Err(ReleaseError::refused(&path, "it is a device")),
        EntryType::Fifo => Err(ReleaseError::refused(&path, "it is a fifo")),
        _ => Err(ReleaseError::refused(&path, "it is of a kind that is not known")),
    }
}

fn file(unpacking: &mut Unpacking, path: String, mode: u32, entry: &mut Entry<'_, impl Read>) -> Result<()> {
    let wanted = entry.size();
    let size = unpacking.file(path, mode, entry)?;
    if size == wanted { Ok(()) } else { Err(damaged("it ends in the middle of a file")) }
}
