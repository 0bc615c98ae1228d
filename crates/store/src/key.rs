//! The master key: it seals secrets, and lies outside the state directory and outside backups.

use crate::{Result, StoreError};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// 32 bytes that nobody shows. Wiped when dropped.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl MasterKey {
    /// A key from bytes: tests, the simulated world, a KMS.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key from the system's random source.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key in the file `path`; where there is none, a new one with mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::BadKey`] where the file is not 64 hexadecimal digits, or people other than its owner may read it.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match fs::metadata(path) {
            Ok(meta) => load(path, meta.permissions().mode()),
            Err(error) if error.kind() == ErrorKind::NotFound => create(path),
            Err(error) => Err(bad(path, error)),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        text.push('\n');
        text
    }
}

/// Fills a buffer from the system's random source.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|e| StoreError::Io { what: "read the random source".into(), why: e.to_string() })
}

fn bad(path: &Path, why: impl ToString) -> StoreError {
    StoreError::BadKey { path: path.display().to_string(), why: why.to_string() }
}

fn load(path: &Path, mode: u32) -> Result<MasterKey> {
    if mode & 0o077 != 0 {
        return Err(bad(path, format!("others may read it (mode {:04o})", mode & 0o7777)));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| bad(path, e))?);
    // A digest has the same text form, and its parser says no to everything else.
    let key: lace_model::Digest = text.trim().parse().map_err(|_| bad(path, "not 64 hexadecimal digits"))?;
    Ok(MasterKey(key.0))
}

fn create(path: &Path) -> Result<MasterKey> {
    let key = MasterKey::generate()?;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| bad(path, e))?;
    let temp = dir.join(format!(".{}.{}", std::process::id(), uuid::Uuid::now_v7()));
    let made = write_new(&temp, key.to_text().as_bytes()).and_then(|()| fs::hard_link(&temp, path));
    let _ = fs::remove_file(&temp);
    match made {
        Ok(()) => File::open(dir).and_then(|d| d.sync_all()).map_err(|e| bad(path, e))?,
        // Someone else was first: theirs is the key.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path).map_err(|e| bad(path, e))?.permissions().mode();
            return load(path, mode);
        }
        Err(error) => return Err(bad(path, error)),
    }
    Ok(key)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys/master");
        let first = MasterKey::load_or_create(&path).expect("made");
        let again = MasterKey::load_or_create(&path).expect("loaded");
        assert!(first.bytes() == again.bytes());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().expect("dir")).expect("listing").count(),
            1,
            "no file is left over"
        );
    }

    #[test]
    fn a_key_that_others_read_or_that_is_no_key_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master");
        MasterKey::load_or_create(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(MasterKey::load_or_create(&path), Err(StoreError::BadKey { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::write(&path, "short").expect("write");
        assert!(matches!(MasterKey::load_or_create(&path), Err(StoreError::BadKey { .. })));
    }
}
