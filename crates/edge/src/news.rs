//! Whether a directory changed, for those who look at it every few milliseconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Times of files are as fine as the kernel's tick; this is more than any.
const YOUNG: Duration = Duration::from_millis(100);

/// Says whether something in a directory may have changed since it was looked at.
pub(crate) struct News {
    dir: PathBuf,
    seen: Option<SystemTime>,
}

impl News {
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), seen: None }
    }

    /// A change that is younger than the kernel's clock is fine may have been followed by another one.
    pub fn look(&mut self) -> bool {
        let changed = fs::metadata(&self.dir).and_then(|found| found.modified()).ok();
        let is_young = changed.is_none_or(|at| at.elapsed().is_ok_and(|age| age < YOUNG));
        let is_new = changed != self.seen || is_young;
        self.seen = changed;
        is_new
    }
}
