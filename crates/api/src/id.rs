//! Where ids and the secret parts of tokens come from.

use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Gives ids and secrets. The simulated world and tests give the same ones in every run.
pub trait IdSource: Send + Sync {
    /// A new id, above those before it.
    fn id(&self) -> Uuid;
    /// 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// Where the system's random source fails.
    fn secret(&self) -> std::io::Result<[u8; 32]>;
}

/// UUIDs of version 7 (RFC 9562) and the system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn secret(&self) -> std::io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(bytes)
    }
}

/// Counts: for tests and the simulated world only.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }

    fn secret(&self) -> std::io::Result<[u8; 32]> {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        Ok(bytes)
    }
}
