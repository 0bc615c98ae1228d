//! Secrets on this host's disk: sealed with a key that lies outside of the journal (ChaCha20-Poly1305, RFC 8439).

use crate::config::AgentError;
use crate::identity::write_private;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::path::Path;

const KEY: usize = 32;
const NONCE: usize = 24;

/// The host's own key.
pub struct Seal(XChaCha20Poly1305);

impl Seal {
    /// Reads the key, or makes it.
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut key = vec![0; KEY];
                getrandom::fill(&mut key).map_err(|e| AgentError::Key(e.to_string()))?;
                write_private(path, &key)?;
                key
            }
            Err(e) => return Err(AgentError::state("read", path)(e)),
        };
        let damaged = |_| AgentError::Damaged { path: path.to_owned(), cause: "not 32 bytes".to_owned() };
        let key: [u8; KEY] = key.try_into().map_err(damaged)?;
        Ok(Self(XChaCha20Poly1305::new(&Key::from(key))))
    }

    /// Seals a value; the name is bound to it.
    pub fn close(&self, name: &str, value: &[u8]) -> Result<Bytes, String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| e.to_string())?;
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|e| e.to_string())?;
        Ok([nonce.as_slice(), &sealed].concat().into())
    }

    /// The value; nothing when it was not sealed here under this name.
    pub fn open_value(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.0.decrypt(&XNonce::from(*nonce), payload).ok()
    }
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
