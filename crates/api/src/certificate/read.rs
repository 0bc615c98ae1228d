//! What a certificate says of itself, and whether it can be used: told before anything is kept.

use crate::refusal::{Answer, Refusal};
use lace_model::Millis;
use lace_model::certificate::covers;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// Certificates of a chain.
const CHAIN_MAX: usize = 10;
/// Names of a certificate.
const NAMES_MAX: usize = 200;
/// A clock that is this much ahead of ours issued it.
const AHEAD_MS: Millis = 3_600_000;

/// What is known of a certificate that can be used.
#[derive(Debug)]
pub(super) struct Found {
    pub names: Vec<String>,
    pub not_before: Millis,
    pub not_after: Millis,
    pub issuer: String,
}

/// Reads a chain with its key and looks whether they can be presented for `host` now.
pub(super) fn read(pem: &[u8], host: &str, now: Millis) -> Answer<Found> {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| bad(format!("the certificate cannot be read: {e}"), "give it as PEM"))?;
    if chain.is_empty() || chain.len() > CHAIN_MAX {
        let message = format!("there are {} certificates in it, not 1 to {CHAIN_MAX}", chain.len());
        return Err(bad(
            message,
            "give the server's certificate and its intermediates as PEM, in this order",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| bad("there is no private key in it", "give it as PEM, without a pass phrase"))?;
    let read: Vec<X509Certificate<'_>> = chain.iter().map(|der| parse(der)).collect::<Answer<_>>()?;
    in_order(&read)?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            bad("the key is not the certificate's", "give the key that the certificate was issued for")
        }
        other => bad(
            format!("the key is of no use: {other}"),
            "RSA (2048 bits or more), ECDSA P-256, P-384 or Ed25519",
        ),
    })?;
    let leaf = &read[0];
    wants_no_staple(leaf)?;
    let found = Found {
        names: names(leaf)?,
        not_before: millis(leaf.validity().not_before),
        not_after: millis(leaf.validity().not_after),
        issuer: leaf.issuer().to_string().chars().take(200).collect(),
    };
    is_good(&found, host, now)?;
    Ok(found)
}

/// RFC 7633: a client that heeds it wants an answer of OCSP with each handshake, which doors do not give.
fn wants_no_staple(leaf: &X509Certificate<'_>) -> Answer<()> {
    const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    if leaf.extensions().iter().any(|extension| extension.oid.to_id_string() == TLS_FEATURE) {
        let message = "this certificate wants an answer of OCSP stapled to it, which doors do not do";
        return Err(bad(message, "have one issued without must-staple"));
    }
    Ok(())
}

fn is_good(found: &Found, host: &str, now: Millis) -> Answer<()> {
    let is_for = if host.starts_with("*.") {
        found.names.iter().any(|n| n == host)
    } else {
        covers(&found.names, host)
    };
    if !is_for {
        let message = format!("this certificate is not for {host}, but for {}", found.names.join(", "));
        return Err(bad(message, "give the one that was issued for this name"));
    }
    if found.not_after <= now {
        return Err(bad(format!("this certificate ended on {}", day(found.not_after)), "have it renewed"));
    }
    if found.not_before > now + AHEAD_MS {
        let message = format!("this certificate begins on {} only", day(found.not_before));
        return Err(bad(message, "come back then, or look at the clock of this machine"));
    }
    Ok(())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Answer<X509Certificate<'a>> {
    let parsed = X509Certificate::from_der(der).map(|(_, certificate)| certificate);
    parsed.map_err(|e| bad(format!("the certificate cannot be read: {e}"), "give it as PEM"))
}

/// Each is issued by the next (RFC 8446 section 4.4.2).
fn in_order(chain: &[X509Certificate<'_>]) -> Answer<()> {
    let broken = chain.windows(2).position(|two| two[0].issuer() != two[1].subject());
    broken.map_or(Ok(()), |at| {
        let message = format!("certificate {} did not issue certificate {}", at + 2, at + 1);
        Err(bad(message, "put the server's certificate first, then each one's issuer"))
    })
}

fn names(leaf: &X509Certificate<'_>) -> Answer<Vec<String>> {
    let said = leaf.subject_alternative_name().ok().flatten();
    let dns = said.iter().flat_map(|said| &said.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let mut names: Vec<String> = dns.take(NAMES_MAX + 1).collect();
    names.sort();
    names.dedup();
    match names.len() {
        0 => Err(bad("this certificate names no host", "it needs a subjectAltName with the host's name")),
        count if count > NAMES_MAX => {
            Err(bad(format!("this certificate has more than {NAMES_MAX} names"), "split it"))
        }
        _ => Ok(names),
    }
}

fn millis(time: ASN1Time) -> Millis {
    u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000)
}

/// For people, in UTC.
pub(super) fn day(at: Millis) -> String {
    let seconds = i64::try_from(at / 1_000).unwrap_or(i64::MAX);
    ASN1Time::from_timestamp(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

fn bad(message: impl Into<String>, hint: &str) -> Refusal {
    Refusal::usage(message).hint(hint)
}
