//! The authority of one cluster: it came to this host sealed, beside the cookie, and never goes into a node.
//!
//! ECDSA P-256; X.509 as profiled by RFC 5280. Each certificate is good for both sides of a connection, under the host
//! part of the node's name.

use lace_model::{Millis, Span};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// For hosts whose clock is behind ours.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// Who issues a cluster's certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Of the secret's text: certificate and key, PEM.
    ///
    /// # Errors
    /// A text that is none.
    pub fn of(secret: &str) -> Result<Self, String> {
        let bad = |error: rcgen::Error| format!("its cluster's authority cannot be read: {error}");
        let (certificate, key) = secret.split_at(secret.find("-----BEGIN PRIVATE").unwrap_or(secret.len()));
        let key = KeyPair::from_pem(key).map_err(bad)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(bad)?;
        Ok(Self { issuer, certificate: certificate.to_owned() })
    }

    /// Its certificate, PEM: whom all of the cluster trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a host, name or address, and its fresh key, in one PEM text: a reader never sees one of them old
    /// and the other new.
    ///
    /// # Errors
    /// A host that is no name.
    pub fn issue(&self, host: &str, now: Millis, lifetime: Span) -> Result<String, String> {
        let made = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            // OTP looks for what stands behind the `@` among the names, an address too.
            params.subject_alt_names.push(SanType::DnsName(host.try_into()?));
            params.subject_alt_names.extend(host.parse::<IpAddr>().ok().map(SanType::IpAddress));
            params.distinguished_name = named(host);
            params.use_authority_key_identifier_extension = true;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
            params.not_before = now.checked_sub(BACKDATED).unwrap_or(SystemTime::UNIX_EPOCH).into();
            params.not_after = (now + Duration::from_millis(lifetime.0)).into();
            Ok(format!("{}\n{}", params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
        };
        made().map_err(|error: rcgen::Error| format!("no certificate for {host}: {error}"))
    }
}

fn named(host: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    // A common name has 64 characters at most (RFC 5280, appendix A.1); the host stands in the alternative names.
    name.push(DnType::CommonName, host.chars().take(64).collect::<String>());
    name
}
