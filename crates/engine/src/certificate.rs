//! The installation's own certificate authority: made at first start, it signs the controller and every host.
//!
//! ECDSA P-256 keys; X.509 as profiled by RFC 5280. Who a host is stands in its certificate's DNS name, and nowhere
//! else.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The state directory cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key, certificate or request is not what it should be.
    #[error("certificate authority: {0}")]
    Crypto(#[from] rcgen::Error),
}

/// A certificate and its key, PEM.
pub struct Identity {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

fn read(path: &Path) -> Result<Option<String>, CertificateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertificateError::Io { path: path.into(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), CertificateError> {
    let io = |source| CertificateError::Io { path: path.into(), source };
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&part, path).map_err(io)
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

impl Authority {
    /// Reads the authority in `dir`, or makes it. `label` names it for people who look at certificates.
    ///
    /// # Errors
    /// Files that cannot be read or written, or are no certificate.
    pub fn load_or_create(dir: &Path, label: &str) -> Result<Self, CertificateError> {
        fs::create_dir_all(dir).map_err(|source| CertificateError::Io { path: dir.into(), source })?;
        let (key_path, ca_path) = (dir.join("ca.key"), dir.join("ca.pem"));
        // The key is written first: a key without a certificate is simply used for one.
        let key = match read(&key_path)? {
            Some(pem) => KeyPair::from_pem(&pem)?,
            None => {
                let key = KeyPair::generate()?;
                write(&key_path, &key.serialize_pem())?;
                key
            }
        };
        if let Some(ca) = read(&ca_path)? {
            let issuer = Issuer::from_ca_cert_pem(&ca, key)?;
            return Ok(Self { issuer, ca });
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("Lace installation {label}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&key)?.pem();
        write(&ca_path, &ca)?;
        Ok(Self { issuer: Issuer::new(params, key), ca })
    }

    /// The authority's certificate, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// A fresh certificate for the controller, which answers under `names` and `addresses`.
    ///
    /// # Errors
    /// A name that is no DNS name.
    pub fn controller(&self, names: &[String], addresses: &[IpAddr]) -> Result<Identity, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.subject_alt_names.extend(addresses.iter().map(|a| SanType::IpAddress(*a)));
        params.distinguished_name = named("Lace controller");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// Signs a host's request. Of the request only the key is taken: the name is ours.
    ///
    /// # Errors
    /// A request that is none, or is not signed with its own key.
    pub fn host(&self, request: &str, name: &str) -> Result<String, CertificateError> {
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = named(name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.params = params;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pem: &str) -> String {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("pem");
        let certificate = pem.parse_x509().expect("certificate");
        format!(
            "{:?}",
            certificate.subject_alternative_name().expect("one").expect("there").value.general_names
        )
    }

    #[test]
    fn a_host_gets_the_name_that_we_say_not_the_one_it_asks_for() {
        let dir = tempfile::tempdir().expect("dir");
        let authority = Authority::load_or_create(dir.path(), "test").expect("authority");
        let key = KeyPair::generate().expect("key");
        let asked = CertificateParams::new(vec!["controller.lace.internal".into()]).expect("params");
        let request = asked.serialize_request(&key).expect("request").pem().expect("pem");
        let certificate = authority.host(&request, "h1.host.lace.internal").expect("signed");
        assert!(names(&certificate).contains("h1.host.lace.internal"));
        assert!(!names(&certificate).contains("controller"));
    }

    #[test]
    fn the_authority_stays_the_same() {
        let dir = tempfile::tempdir().expect("dir");
        let first = Authority::load_or_create(dir.path(), "test").expect("made").ca().to_owned();
        assert_eq!(Authority::load_or_create(dir.path(), "test").expect("read").ca(), first);
    }
}
