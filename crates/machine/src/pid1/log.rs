//! The process's output in bounded, rotating files.
//!
//! One line of a file: `2026-11-22T01:36:21.123Z o text`. The mark is `o` for stdout, `e` for
//! stderr, capital when the line goes on in the next one (it was longer than the bound), `s` for
//! a word of the supervisor itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::sys;

/// Longest line of output, bytes; longer ones are cut into several.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// Lines remembered for the exit report, and their length in bytes.
const TAIL_LINES: usize = 20;
const TAIL_LINE_BYTES: usize = 400;
/// The file that is written now; older ones are `log.1`, `log.2`, ...
pub const CURRENT: &str = "log";

/// Writes log files below a directory that was opened outside of the node.
pub struct LogWriter {
    dir: OwnedFd,
    file: Option<OwnedFd>,
    file_bytes: u64,
    file_bytes_max: u64,
    files: u32,
    tail: VecDeque<String>,
}

impl LogWriter {
    /// A writer into a directory.
    pub fn new(dir: OwnedFd) -> Self {
        LogWriter { dir, file: None, file_bytes: 0, file_bytes_max: 2 << 20, files: 4, tail: VecDeque::new() }
    }

    /// Sets the bounds: bytes over all files, and the number of files (2 at least).
    pub fn set_bounds(&mut self, bytes_max: u64, files: u32) {
        self.files = files.clamp(2, 100);
        let least = LINE_BYTES_MAX as u64 * 2;
        self.file_bytes_max = (bytes_max / u64::from(self.files)).max(least);
    }

    /// The directory, for handing it over in a re-exec.
    pub fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// Takes the remembered last lines.
    pub fn take_tail(&mut self) -> Vec<String> {
        std::mem::take(&mut self.tail).into()
    }

    /// Writes one line. A full disk loses lines, never the process.
    pub fn line(&mut self, mark: char, text: &[u8]) {
        let mut line = format!("{} {mark} ", timestamp(sys::unix_ms())).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        let _ = self.write(&line);
        if mark != 's' {
            self.remember(text);
        }
    }

    fn remember(&mut self, text: &[u8]) {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        let text = &text[..text.len().min(TAIL_LINE_BYTES)];
        self.tail.push_back(String::from_utf8_lossy(text).into_owned());
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.file_bytes + line.len() as u64 > self.file_bytes_max {
            self.rotate();
        }
        if self.file.is_none() {
            self.open()?;
        }
        let file = self.file.as_ref().expect("opened above");
        sys::write_all(file.as_fd(), line)?;
        self.file_bytes += line.len() as u64;
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NOFOLLOW;
        let file = sys::open_at(self.dir.as_raw_fd(), CURRENT, flags, 0o640)?;
        // SAFETY: all-zero is a valid stat buffer.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the buffer is valid for writing.
        sys::check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) }.into())?;
        self.file_bytes = stat.st_size as u64;
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) {
        let name = |n: u32| match n {
            0 => CURRENT.to_owned(),
            n => format!("{CURRENT}.{n}"),
        };
        for n in (0..self.files - 1).rev() {
            // A gap in the sequence is no harm.
            let _ = self.rename(&name(n), &name(n + 1));
        }
        self.file = None;
        self.file_bytes = 0;
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (sys::cstring(from)?, sys::cstring(to)?);
        let dir = self.dir.as_raw_fd();
        // SAFETY: the strings outlive the call.
        sys::check(unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) }.into()).map(drop)
    }
}

/// Cuts a stream into lines.
pub struct Lines {
    mark: char,
    partial: Vec<u8>,
}

impl Lines {
    /// A stream with its mark.
    pub fn new(mark: char) -> Self {
        Lines { mark, partial: Vec::new() }
    }

    /// Its mark.
    pub fn mark(&self) -> char {
        self.mark
    }

    /// Takes bytes, writes the whole lines among them.
    pub fn push(&mut self, bytes: &[u8], log: &mut LogWriter) {
        let mut pieces = bytes.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let ended = pieces.peek().is_some();
            self.partial.extend_from_slice(piece);
            while self.partial.len() > LINE_BYTES_MAX {
                let rest = self.partial.split_off(LINE_BYTES_MAX);
                log.line(self.mark.to_ascii_uppercase(), &self.partial);
                self.partial = rest;
            }
            if ended {
                log.line(self.mark, &self.partial);
                self.partial.clear();
            }
        }
    }

    /// Writes what is left without a newline.
    pub fn finish(&mut self, log: &mut LogWriter) {
        if !self.partial.is_empty() {
            log.line(self.mark, &self.partial);
            self.partial = Vec::new();
        }
    }
}

/// RFC 3339 in UTC with milliseconds. Days to date as in Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms".
pub fn timestamp(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(timestamp(1_795_311_381_123), "2026-11-22T01:36:21.123Z");
    }
}
