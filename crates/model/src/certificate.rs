//! Certificates for routes: those that people gave, and those that Lace obtained. The keys themselves are sealed, as secrets are.

use crate::route::host_name;
use crate::{Digest, Millis};
use serde::{Deserialize, Serialize};

/// Most certificates of an application.
pub const CERTIFICATES_MAX: usize = 64;

/// Where a certificate came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateSource {
    /// A person gave it, and gives the next one.
    #[default]
    Given,
    /// Obtained by ACME, and renewed.
    Acme,
    /// Issued by the installation's own authority, and renewed.
    Internal,
}

impl CertificateSource {
    /// Did a person give it?
    pub fn is_given(&self) -> bool {
        *self == Self::Given
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Acme => "acme",
            Self::Internal => "internal",
        }
    }
}

/// What may be shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What it was given for: a host name, or `*.` and one.
    pub host: String,
    /// All names that it is good for.
    pub names: Vec<String>,
    /// Good from.
    pub not_before: Millis,
    /// Good until.
    pub not_after: Millis,
    /// Who issued it.
    pub issuer: String,
    /// Digest of it and its chain.
    pub digest: Digest,
    /// Version of the sealed value.
    pub version: u64,
    /// When it was given.
    pub added_at: Millis,
    /// So many days before its end somebody was warned last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_days: Option<u32>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "CertificateSource::is_given")]
    pub source: CertificateSource,
}

impl Certificate {
    /// Is it good for the host name?
    pub fn covers(&self, host: &str) -> bool {
        covers(&self.names, host)
    }
}

/// What hosts are told: the key and the chain are the secret's value, for these host names of routes and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRef {
    /// Name of the application's secret.
    pub secret: String,
    /// Its version.
    pub version: u64,
    /// Host names of the application's routes.
    pub hosts: Vec<String>,
}

/// Under which name the application's sealed value is kept: no name that a person could give to a secret.
pub fn secret_of(host: &str) -> String {
    format!("tls:{host}")
}

/// Is a secret a certificate's?
pub fn is_secret(name: &str) -> bool {
    name.starts_with("tls:")
}

/// Is a certificate with these names good for the host? A star stands for one whole label, the first (RFC 9525
/// section 6.3).
pub fn covers(names: &[String], host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| {
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").is_some_and(|of| parent.is_some_and(|p| p.eq_ignore_ascii_case(of)))
    })
}

/// A host name, or `*.` and one.
///
/// # Errors
/// What is wrong with it.
pub fn pattern(text: &str) -> Result<String, String> {
    match text.strip_prefix("*.") {
        Some(parent) if parent.contains('.') => Ok(format!("*.{}", host_name(parent)?)),
        Some(_) => Err(format!("{text:?} is too wide: write *.example.com")),
        None => host_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        let names = ["shop.example.com".to_owned(), "*.example.org".to_owned()];
        let table = [
            ("shop.example.com", true),
            ("a.shop.example.com", false),
            ("example.com", false),
            ("a.example.org", true),
            ("a.b.example.org", false),
            ("example.org", false),
            ("org", false),
        ];
        for (host, expected) in table {
            assert_eq!(covers(&names, host), expected, "{host}");
        }
    }

    #[test]
    fn patterns_are_names_with_at_most_one_star() {
        assert_eq!(pattern("*.Example.com").as_deref(), Ok("*.example.com"));
        assert_eq!(pattern("a.b").as_deref(), Ok("a.b"));
        for bad in ["*.com", "*", "a.*.com", "*.*.com", ""] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }
}
