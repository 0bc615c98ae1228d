//! Where certificates are obtained: a public authority that speaks ACME (RFC 8555), or the installation's own; and how
//! far Lace came with each.

use crate::Millis;
use crate::certificate::CertificateSource;
use serde::{Deserialize, Serialize};

/// Key of the one authority of an installation.
pub const AUTHORITY_KEY: &str = "public";
/// The application's name under which the installation's own sealed values are kept; nobody may call theirs so.
pub const INSTALLATION: &str = "installation";
/// Under which name the installation's own authority is sealed: its certificate, then its key.
pub const CA_SECRET: &str = "ca:routes";
/// Most contacts of an account.
pub const CONTACTS_MAX: usize = 10;
/// Longest address of a directory.
pub const DIRECTORY_BYTES_MAX: usize = 1_024;
/// Largest file of authorities that are trusted, PEM.
pub const CA_BYTES_MAX: usize = 64 << 10;
/// Longest cause that is kept, in characters.
pub const CAUSE_CHARS_MAX: usize = 500;

/// How an authority is shown that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// A file over plain HTTP at port 80 of the name (RFC 8555 section 8.3).
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// A certificate of a special kind at port 443 of the name (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl ChallengeKind {
    /// As RFC 8555 calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

impl std::str::FromStr for ChallengeKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Http01, Self::TlsAlpn01]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no challenge of ours: write http-01 or tls-alpn-01"))
    }
}

impl std::fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The public authority, as an administrator chose it. Its terms were agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Address of its directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Whom it may write to: addresses of mail.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// The only authorities that vouch for its server, PEM; the system's where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How it is shown that names are ours; in turn where none is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeKind>,
    /// When it was chosen.
    pub set_at: Millis,
}

impl Authority {
    /// Checks what a person says.
    ///
    /// # Errors
    /// What is wrong with it, and how to write it.
    pub fn check(&self) -> Result<(), String> {
        let address = self.directory.strip_prefix("https://").unwrap_or_default();
        if address.is_empty() || self.directory.len() > DIRECTORY_BYTES_MAX {
            return Err(format!(
                "{:?} is no address of a directory: write https://HOST/PATH",
                self.directory
            ));
        }
        if self.contacts.len() > CONTACTS_MAX {
            return Err(format!("there are more than {CONTACTS_MAX} contacts"));
        }
        let is_mail = |text: &&String| {
            text.len() <= 254
                && text.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at.contains('.'))
        };
        if let Some(bad) =
            self.contacts.iter().find(|text| !is_mail(text) || text.contains(char::is_whitespace))
        {
            return Err(format!("{bad:?} is no address of mail: write admin@example.com"));
        }
        if self.ca.as_ref().is_some_and(|pem| pem.len() > CA_BYTES_MAX || !pem.contains("BEGIN CERTIFICATE"))
        {
            return Err(format!("the authorities to trust are no PEM of at most {CA_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// A certificate that is wanted, ordered, or could not be had: part of the application's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obtaining {
    /// The host name.
    pub host: String,
    /// From whom.
    pub source: CertificateSource,
    /// Tries that failed, one after the other.
    #[serde(default)]
    pub failures: u32,
    /// Not tried before.
    #[serde(default)]
    pub next_at: Millis,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What doors answer meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// Somebody asked for it now, though nothing is due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// A controller is at it: its claim ends at `next_at`, unless it says that it still is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claimed: bool,
}

impl Obtaining {
    /// One that nobody tried yet.
    pub fn new(host: &str, source: CertificateSource) -> Self {
        let (host, cause, challenge) = (host.to_owned(), None, None);
        Self { host, source, failures: 0, next_at: 0, cause, challenge, asked: false, claimed: false }
    }
}

/// What a door answers to an authority that asks whether a host name is ours. No secret: whoever asks is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Challenge {
    /// The host name.
    pub host: String,
    /// The authority's token: letters, digits, `-` and `_` (RFC 8555 section 8.3).
    pub token: String,
    /// The token and the digest of the account's key (RFC 8555 section 8.1).
    pub authorization: String,
}

/// Can a public authority vouch for this name at all? It cannot for names that mean something here only (RFC 6761,
/// RFC 6762, RFC 9476, and ICANN's `internal`).
pub fn is_public(host: &str) -> bool {
    const LOCAL: [&str; 6] = ["localhost", "local", "internal", "alt", "onion", "arpa"];
    host.rsplit_once('.').is_some_and(|(rest, top)| {
        !rest.is_empty() && !LOCAL.contains(&top) && !top.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_here_only_are_not_asked_for_outside() {
        let table = [
            ("shop.example.com", true),
            ("localhost", false),
            ("web.shop.localhost", false),
            ("printer.local", false),
            ("a.lace.internal", false),
            ("192.0.2.1", false),
            ("com", false),
        ];
        for (host, expected) in table {
            assert_eq!(is_public(host), expected, "{host}");
        }
    }

    #[test]
    fn an_authority_is_checked_before_it_is_kept() {
        let good = Authority {
            directory: "https://acme.example.com/dir".into(),
            contacts: vec!["admin@example.com".into()],
            ca: None,
            challenge: None,
            set_at: 0,
        };
        assert_eq!(good.check(), Ok(()));
        let table = [
            Authority { directory: "http://acme.example.com".into(), ..good.clone() },
            Authority { directory: "https://".into(), ..good.clone() },
            Authority { contacts: vec!["admin".into()], ..good.clone() },
            Authority { contacts: vec!["a b@example.com".into()], ..good.clone() },
            Authority { ca: Some("no PEM".into()), ..good.clone() },
        ];
        for bad in table {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
