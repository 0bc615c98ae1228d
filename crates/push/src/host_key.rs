//! The key that pushers know the controller by: made once, ed25519, in a file of root's.

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The server's key.
#[derive(Clone)]
pub struct HostKey(PrivateKey);

impl HostKey {
    /// Reads it, or makes it.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no key.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("the key {}: {e}", path.display()));
        match std::fs::read_to_string(path) {
            Ok(text) => PrivateKey::from_openssh(&text).map(Self).map_err(|e| named(io::Error::other(e))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(path).map_err(named),
            Err(e) => Err(named(e)),
        }
    }

    fn create(path: &Path) -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, "lace").map_err(io::Error::other)?;
        let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        let part = path.with_extension("part");
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        Ok(Self(key))
    }

    /// Its fingerprint, as `ssh` shows it at the first connection.
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    pub(crate) fn private(&self) -> PrivateKey {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let made = HostKey::load_or_create(&path).expect("made").fingerprint();
        assert_eq!(HostKey::load_or_create(&path).expect("read").fingerprint(), made);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "hello").expect("written");
        assert!(HostKey::load_or_create(&path).is_err());
    }
}
