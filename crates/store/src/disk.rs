//! How full the disk of the state directory is.

use crate::{Result, StoreError, limits::DISK_USED_PERMILLE_MAX};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// Taken.
    pub used: u64,
    /// Free for us: what is kept back for root does not count.
    pub available: u64,
}

impl DiskUsage {
    /// Thousandths of used/(used + available); 0 for a file system without blocks.
    pub fn used_permille(self) -> u32 {
        let all = u128::from(self.used) + u128::from(self.available);
        let share = (u128::from(self.used) * 1000).checked_div(all).unwrap_or(0);
        u32::try_from(share).unwrap_or(1000)
    }
}

/// Measures the disk; tests say what they like.
pub trait DiskGauge: Send + Sync + 'static {
    /// Room at this moment.
    fn usage(&self) -> std::io::Result<DiskUsage>;
}

/// The measure of a real directory (statvfs, about a microsecond, so nothing is remembered).
#[derive(Clone, Debug)]
pub struct StatvfsGauge(pub PathBuf);

impl DiskGauge for StatvfsGauge {
    fn usage(&self) -> std::io::Result<DiskUsage> {
        let stat = rustix::fs::statvfs(&self.0)?;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize;
        Ok(DiskUsage { used, available: stat.f_bavail * stat.f_frsize })
    }
}

/// A measure that says what it was told: for tests, and for states in memory.
#[derive(Debug, Default)]
pub struct FixedGauge(AtomicU32);

impl FixedGauge {
    /// From now on the disk is used to `permille` thousandths.
    pub fn set(&self, permille: u32) {
        self.0.store(permille.min(1000), Ordering::SeqCst);
    }
}

impl DiskGauge for FixedGauge {
    fn usage(&self) -> std::io::Result<DiskUsage> {
        let used = u64::from(self.0.load(Ordering::SeqCst));
        Ok(DiskUsage { used, available: 1000 - used })
    }
}

/// Refuses new work on a disk that is nearly full. A disk that cannot be measured is no reason to stop.
pub(crate) fn admit(gauge: &dyn DiskGauge) -> Result<()> {
    match gauge.usage().map(DiskUsage::used_permille) {
        Ok(used_permille) if used_permille >= DISK_USED_PERMILLE_MAX => {
            Err(StoreError::DiskFull { used_permille })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_what_we_may_use() {
        for (used, available, permille) in
            [(0, 0, 0), (9, 1, 900), (899, 101, 899), (u64::MAX, u64::MAX, 500)]
        {
            assert_eq!(DiskUsage { used, available }.used_permille(), permille);
        }
    }

    #[test]
    fn a_real_disk_has_a_share() {
        let usage = StatvfsGauge("/".into()).usage().expect("statvfs of /");
        assert!(usage.used > 0 && usage.used_permille() <= 1000);
    }
}
