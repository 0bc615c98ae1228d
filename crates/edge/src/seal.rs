//! Secrets on this host's disk: sealed with a key that lies in a file of its own (ChaCha20-Poly1305, RFC 8439).

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const KEY: usize = 32;
const NONCE: usize = 24;

/// A key of this host's own.
pub struct Seal(XChaCha20Poly1305);

impl Seal {
    /// Reads the key, or makes it.
    ///
    /// # Errors
    /// Where the file cannot be read or made, or is no key (`InvalidData`).
    pub fn open(path: &Path) -> io::Result<Self> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let mut key = vec![0; KEY];
                getrandom::fill(&mut key).map_err(io::Error::other)?;
                write_private(path, &key)?;
                key
            }
            Err(e) => return Err(e),
        };
        let key: [u8; KEY] =
            key.try_into().map_err(|_| io::Error::new(ErrorKind::InvalidData, "not 32 bytes"))?;
        Ok(Self(XChaCha20Poly1305::new(&Key::from(key))))
    }

    /// Seals a value; the name is bound to it.
    ///
    /// # Errors
    /// Where the random source cannot be read.
    pub fn close(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| e.to_string())?;
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|e| e.to_string())?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// The value; nothing when it was not sealed here under this name.
    pub fn open_value(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.0.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent)?;
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_under_its_name_only_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        let sealed = Seal::open(&path).unwrap().close("shop/KEY@1", b"value").unwrap();
        assert!(!sealed.windows(5).any(|w| w == b"value"));
        let seal = Seal::open(&path).unwrap();
        assert_eq!(seal.open_value("shop/KEY@1", &sealed).as_deref(), Some(b"value".as_slice()));
        assert_eq!(seal.open_value("shop/KEY@2", &sealed), None);
    }
}
