//! What a certificate that was obtained says of itself.

use crate::Refused;
use lace_model::Millis;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Longest issuer that is kept, in characters.
const ISSUER_CHARS_MAX: usize = 200;

/// The first certificate of a chain.
pub(crate) struct Leaf {
    pub names: Vec<String>,
    pub not_before: Millis,
    pub not_after: Millis,
    pub issuer: String,
}

/// Reads it out of a PEM text.
pub(crate) fn read(pem: &str) -> Result<Leaf, Refused> {
    let bad =
        |cause: &dyn std::fmt::Display| Refused::new(format_args!("the certificate cannot be read: {cause}"));
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| bad(&e))?;
    let (_, leaf) = X509Certificate::from_der(&der).map_err(|e| bad(&e))?;
    let said = leaf.subject_alternative_name().ok().flatten();
    let names = said.iter().flat_map(|said| &said.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let millis = |time: x509_parser::time::ASN1Time| {
        u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000)
    };
    Ok(Leaf {
        names: names.collect(),
        not_before: millis(leaf.validity().not_before),
        not_after: millis(leaf.validity().not_after),
        issuer: leaf.issuer().to_string().chars().take(ISSUER_CHARS_MAX).collect(),
    })
}
