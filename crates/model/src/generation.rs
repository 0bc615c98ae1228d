//! Generations: which of two statements is the newer one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// (epoch, number). A receiver refuses an older one. A restored controller opens a new epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Goes up when a controller's state was restored from a backup.
    pub epoch: u64,
    /// Goes up with every commit of the thing it counts.
    pub number: u64,
}

impl Generation {
    /// The next number in the given epoch.
    pub fn next_in(self, epoch: u64) -> Self {
        Self { epoch, number: if epoch == self.epoch { self.number + 1 } else { 1 } }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}
