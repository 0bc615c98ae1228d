//! Room that is kept back on the state's disk, so that deleting works where nothing else does.
//!
//! A file of zeros takes it while there is room. When the disk is full to its end it is given up for what is no new work,
//! and made again once there is room.

use crate::disk::{self, DiskGauge};
use rustix::fs::FallocateFlags;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes kept back: the write-ahead log between two checkpoints, and some pages more.
const BYTES: u64 = 8 << 20;
/// Its name in the state directory.
const FILE: &str = "lace.reserve";

/// The reserve of a state on disk.
pub(crate) struct Reserve {
    path: PathBuf,
    gauge: Arc<dyn DiskGauge>,
    held: bool,
}

impl Reserve {
    /// The reserve in a directory, made where there is room for it.
    pub(crate) fn open(dir: &Path, gauge: Arc<dyn DiskGauge>) -> Self {
        let path = dir.join(FILE);
        let held = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == BYTES);
        let mut reserve = Self { path, gauge, held };
        reserve.refill();
        reserve
    }

    /// Takes the room back where new work would be admitted. Failing is no error: the next commit tries again.
    pub(crate) fn refill(&mut self) {
        if !self.held && disk::admit(self.gauge.as_ref()).is_ok() {
            self.held = take(&self.path).is_ok();
            if !self.held {
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    /// Gives the room up; was there any?
    pub(crate) fn release(&mut self) -> bool {
        let released = self.held && std::fs::remove_file(&self.path).is_ok();
        self.held = false;
        released
    }
}

fn take(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedGauge;

    #[test]
    fn it_is_given_up_once_and_taken_back_with_room() {
        let dir = tempfile::tempdir().expect("directory");
        let gauge = Arc::new(FixedGauge::default());
        let there = || dir.path().join(FILE).exists();
        let mut reserve = Reserve::open(dir.path(), gauge.clone());
        assert!(there());
        gauge.set(990);
        assert!(reserve.release() && !there());
        assert!(!reserve.release(), "there is no second one");
        reserve.refill();
        assert!(!there(), "the disk is still full");
        gauge.set(100);
        reserve.refill();
        assert!(there());
        assert!(Reserve::open(dir.path(), gauge).release(), "found again");
    }
}
