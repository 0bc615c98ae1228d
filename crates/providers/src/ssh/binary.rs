//! Our binary on its way: its digest, and itself packed once for all servers.

use sha2::{Digest, Sha256};
use std::io::Write;
use std::sync::Arc;

/// A binary for servers.
#[derive(Clone, Debug)]
pub struct Binary {
    /// SHA-256 of it, in hexadecimal: what `sha256sum` says there.
    pub digest: String,
    /// Bytes of it, as it lies there.
    pub size: u64,
    /// The machine that it is for, as `uname -m` says it.
    pub machine: String,
    /// The oldest glibc that it runs with; none for a static one.
    pub glibc: Option<String>,
    /// Packed by gzip, which every Linux userland unpacks.
    packed: Arc<[u8]>,
}

impl Binary {
    /// Packs one. It takes about a second for 100 MB.
    ///
    /// # Errors
    /// None in practice: it is packed in memory.
    pub fn pack(bytes: &[u8], machine: String, glibc: Option<String>) -> std::io::Result<Self> {
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packing.write_all(bytes)?;
        Ok(Self { digest, size: bytes.len() as u64, machine, glibc, packed: packing.finish()?.into() })
    }

    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Its directory on a server.
    pub fn place(&self) -> String {
        place(&self.digest)
    }
}

/// The directory of the binary with a digest.
pub(super) fn place(digest: &str) -> String {
    format!("{}/{digest}", super::PLACE)
}
