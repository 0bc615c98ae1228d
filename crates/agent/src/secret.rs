//! Secrets on this host's disk: sealed with a key that lies outside of the journal.

use crate::config::AgentError;
use bytes::Bytes;
use std::io::ErrorKind;
use std::path::Path;

/// The host's own key.
pub struct Seal(lace_edge::Seal);

impl Seal {
    /// Reads the key, or makes it.
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        lace_edge::Seal::open(path).map(Self).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => AgentError::Damaged { path: path.to_owned(), cause: error.to_string() },
            _ => AgentError::state("read or make", path)(error),
        })
    }

    /// Seals a value; the name is bound to it.
    pub fn close(&self, name: &str, value: &[u8]) -> Result<Bytes, String> {
        self.0.close(name, value).map(Bytes::from)
    }

    /// The value; nothing when it was not sealed here under this name.
    pub fn open_value(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open_value(name, sealed)
    }
}
