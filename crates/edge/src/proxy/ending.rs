//! A door that was asked to end may still carry requests when its successor is asked whether a node has any: the one
//! that ends holds a lock meanwhile, and the successor waits for it.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The lock's file, which is in the state directory.
pub(crate) struct Ending(PathBuf);

impl Ending {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Held while there are requests; several that end may hold it. None where the disk refuses: then nobody waits.
    pub fn hold(&self) -> Option<File> {
        // Who looks whether it is over has it for a moment only.
        self.lock(FlockOperation::LockShared)
    }

    /// Waits until nobody holds it, for at most so long. True when nobody does.
    pub async fn is_over(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.0.exists() && self.lock(FlockOperation::NonBlockingLockExclusive).is_none() {
            if Instant::now() >= until {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }

    fn lock(&self, how: FlockOperation) -> Option<File> {
        let file = File::options().create(true).truncate(false).write(true).open(&self.0).ok()?;
        flock(&file, how).ok().map(|()| file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_over_when_nobody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let ending = Ending::new(dir.path().join("ending"));
        assert!(ending.is_over(Duration::ZERO).await);
        let (one, other) = (ending.hold().unwrap(), ending.hold().unwrap());
        drop(one);
        assert!(!ending.is_over(Duration::from_millis(30)).await);
        drop(other);
        assert!(ending.is_over(Duration::ZERO).await);
    }
}
