//! Our id of something at a provider.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest: a client token of EC2 has 64 characters at most.
const BYTES_MAX: usize = 64;

/// Our id of something at a provider, chosen before it is made: 1 to 64 small letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key: 1 to {BYTES_MAX} small letters, digits and -")]
pub struct BadKey(String);

impl Key {
    /// # Errors
    /// For anything but 1 to 64 small letters, digits and `-`.
    pub fn new(text: &str) -> Result<Self, BadKey> {
        let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match (1..=BYTES_MAX).contains(&text.len()) && text.chars().all(sign) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadKey(text.to_owned())),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        Self::new(&text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn keys_are_tokens_everywhere() {
        for good in ["a", "host-1", &"x".repeat(64)] {
            assert_eq!(Key::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "A", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
    }
}
