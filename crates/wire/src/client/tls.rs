//! Whom the client trusts: one pinned authority, or the system's.

use lace_model::{Code, Problem};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// The TLS settings for an authority in PEM form, or for the system's authorities.
pub fn config(ca: Option<&str>) -> Result<ClientConfig, Problem> {
    let builder = ClientConfig::builder();
    let builder = match ca {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => builder
            .with_platform_verifier()
            .map_err(|e| bad(&format!("the system's certificates cannot be read: {e}")))?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(pem: &str) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| bad(&e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(&e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("the PEM text holds no certificate"));
    }
    Ok(roots)
}

fn bad(why: &str) -> Problem {
    Problem::new(Code::Usage, format!("cannot trust the controller's authority: {why}"))
        .hint("give the PEM file of the controller's CA with --ca FILE")
}
