//! Reading a node's log files: the last lines, lines since a time, and following.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::pid1::LOG_CURRENT;
use crate::sys::step::Step;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// PID 1's own words, such as `exit code 3`.
    Supervisor,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// RFC 3339, UTC, milliseconds. Compares as text.
    pub time: String,
    /// Where it came from.
    pub stream: LogStream,
    /// The line goes on in the next one (it was longer than 8 KiB).
    pub continues: bool,
    /// The text, without newline; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// A place in the log: the file by inode, and the byte in it. Stays right over rotations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// Inode of the file; 0 is the beginning of everything.
    pub inode: u64,
    /// When the file was made, Unix ns: numbers of inodes are used again. 0 where unknown.
    pub born_ns: u64,
    /// Bytes of it that were read.
    pub offset: u64,
}

/// Reads the files of one node.
pub struct LogReader {
    dir: PathBuf,
}

impl LogReader {
    /// A reader of [`crate::Machine::log_dir`].
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        LogReader { dir: dir.into() }
    }

    /// The last lines (at most `count`), not older than `since` (RFC 3339, UTC), and the position
    /// after them.
    ///
    /// # Errors
    /// A file that cannot be read. No file at all is an empty log.
    pub fn tail(&self, count: usize, since: Option<&str>) -> Result<(Vec<LogLine>, LogPosition)> {
        let mut last = VecDeque::new();
        let end = self.scan(LogPosition::default(), usize::MAX, |line| {
            if since.is_none_or(|since| line.time.as_str() >= since) {
                if last.len() == count {
                    last.pop_front();
                }
                last.push_back(line);
            }
        })?;
        last.truncate(count);
        Ok((last.into(), end))
    }

    /// Lines after a position, at most `count`, and the position after them. Poll it to follow.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn after(&self, position: LogPosition, count: usize) -> Result<(Vec<LogLine>, LogPosition)> {
        let mut lines = Vec::new();
        let end = self.scan(position, count, |line| lines.push(line))?;
        Ok((lines, end))
    }

    fn scan(&self, from: LogPosition, count: usize, mut each: impl FnMut(LogLine)) -> Result<LogPosition> {
        let files = files(&self.dir);
        // A file that was rotated away while nobody read: go on with the oldest there is.
        let first = files.iter().position(|(file, _)| *file == (from.inode, from.born_ns));
        let mut position = from;
        let mut left = count;
        for ((inode, born_ns), mut file) in files.into_iter().skip(first.unwrap_or(0)) {
            if (inode, born_ns) != (position.inode, position.born_ns) {
                position = LogPosition { inode, born_ns, offset: 0 };
            }
            let seek = file.seek(SeekFrom::Start(position.offset));
            seek.step("seek in log")?;
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while left > 0 {
                line.clear();
                let n = reader.read_until(b'\n', &mut line).step("read log")?;
                // A line without its end is still being written.
                if line.last() != Some(&b'\n') {
                    break;
                }
                position.offset += n as u64;
                if let Some(line) = parse(&line) {
                    each(line);
                    left -= 1;
                }
            }
            if left == 0 {
                break;
            }
        }
        Ok(position)
    }
}

/// The files with inode and birth, the oldest first. Opened from the newest on: a rotation in
/// between shows a file twice (and is seen by its inode), never hides one.
fn files(dir: &Path) -> Vec<((u64, u64), File)> {
    let name = |n: u32| match n {
        0 => LOG_CURRENT.to_owned(),
        n => format!("{LOG_CURRENT}.{n}"),
    };
    let mut files: Vec<((u64, u64), File)> = Vec::new();
    for file in (0..100).filter_map(|n| File::open(dir.join(name(n))).ok()) {
        let Ok(meta) = file.metadata() else { continue };
        let born = meta.created().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let identity = (meta.ino(), born.map_or(0, |d| d.as_nanos() as u64));
        if files.iter().all(|(known, _)| *known != identity) {
            files.push((identity, file));
        }
    }
    files.reverse();
    files
}

fn parse(line: &[u8]) -> Option<LogLine> {
    let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
    let (time, rest) = text.split_once(' ')?;
    let (mark, text) = rest.split_once(' ')?;
    let stream = match mark {
        "o" | "O" => LogStream::Stdout,
        "e" | "E" => LogStream::Stderr,
        _ => LogStream::Supervisor,
    };
    Some(LogLine {
        time: time.to_owned(),
        stream,
        continues: matches!(mark, "O" | "E"),
        text: text.to_owned(),
    })
}
