//! An append-only file of records. Each has its length and a check of its bytes; what a crash left half is cut off.

use super::record::Record;
use lace_model::Digest;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Length (4 bytes, little endian), then the first bytes of the content's digest.
const HEAD: usize = 4 + CHECK;
const CHECK: usize = 8;
/// A record is a document entry at most: far below.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// The file may grow by so much above twice its compact size.
const GROWTH: u64 = 1 << 20;

/// The open file.
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    compact: u64,
}

impl Journal {
    /// Opens the file and reads all whole records.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let (records, good) = decode(&content);
        if good < content.len() {
            tracing::warn!(bytes = content.len() - good, "cut a torn end off the journal");
            file.set_len(good as u64)?;
        }
        file.seek(SeekFrom::Start(good as u64))?;
        let bytes = good as u64;
        Ok((Self { path: path.to_owned(), file, bytes, compact: bytes / 2 }, records))
    }

    /// Another descriptor of the file, for syncing it.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Appends records in one write.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let content = encode(records)?;
        if let Err(error) = self.file.write_all(&content) {
            // A half record in the middle would hide everything after it.
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(error);
        }
        self.bytes += content.len() as u64;
        Ok(())
    }

    /// Is most of the file history?
    pub fn is_overgrown(&self) -> bool {
        self.bytes > 2 * self.compact + GROWTH
    }

    /// Replaces the file by these records.
    pub fn rewrite(&mut self, records: Vec<Record>) -> io::Result<()> {
        let content = encode(&records)?;
        let fresh = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&content)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.bytes = content.len() as u64;
        self.compact = self.bytes;
        Ok(())
    }
}

fn encode(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    for record in records {
        let start = content.len();
        content.resize(start + HEAD, 0);
        ciborium::into_writer(record, &mut content).map_err(io::Error::other)?;
        let body = start + HEAD;
        let length = u32::try_from(content.len() - body).map_err(io::Error::other)?;
        let digest = Digest::of(&content[body..]);
        content[start..start + 4].copy_from_slice(&length.to_le_bytes());
        content[start + 4..body].copy_from_slice(&digest.0[..CHECK]);
    }
    Ok(content)
}

/// All whole records from the beginning, and where they end.
fn decode(content: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((record, next)) = decode_one(content, at) {
        records.push(record);
        at = next;
    }
    (records, at)
}

fn decode_one(content: &[u8], at: usize) -> Option<(Record, usize)> {
    let head = content.get(at..at + HEAD)?;
    let length = u32::from_le_bytes(*head.first_chunk::<4>()?) as usize;
    if length > RECORD_BYTES_MAX {
        return None;
    }
    let end = at + HEAD + length;
    let body = content.get(at + HEAD..end)?;
    if Digest::of(body).0[..CHECK] != head[4..] {
        return None;
    }
    Some((ciborium::from_reader(body).ok()?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(records: &[Record]) -> Vec<u64> {
        records.iter().filter_map(|r| if let Record::Epoch(e) = r { Some(*e) } else { None }).collect()
    }

    #[test]
    fn whatever_is_cut_off_the_whole_records_before_it_stay() {
        let records: Vec<_> = (0..5).map(Record::Epoch).collect();
        let content = encode(&records).unwrap();
        let one = content.len() / 5;
        for cut in 0..=content.len() {
            let (found, good) = decode(&content[..cut]);
            assert_eq!(epochs(&found), (0..(cut / one) as u64).collect::<Vec<_>>(), "cut at {cut}");
            assert_eq!(good, cut / one * one);
        }
    }

    #[test]
    fn a_journal_goes_on_after_a_torn_end_and_after_compaction() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[Record::Epoch(1), Record::Epoch(2)]).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let (mut journal, records) = Journal::open(&path).unwrap();
        assert_eq!(epochs(&records), [1]);
        journal.append(&[Record::Epoch(3)]).unwrap();
        journal.rewrite(vec![Record::Epoch(9)]).unwrap();
        journal.append(&[Record::Epoch(10)]).unwrap();
        assert_eq!(epochs(&Journal::open(&path).unwrap().1), [9, 10]);
    }
}
