//! What an authority is shown that asks whether a host name is ours: a file over plain HTTP (RFC 8555 section 8.3), or a
//! certificate of a special kind (RFC 8737). Both come from the topics; nothing here orders a certificate.

use super::Proxy;
use super::body::Answer;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Where the file is asked for.
pub(crate) const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// The protocol of the special handshake (RFC 8737 section 6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// The file, where it is asked for and an order of ours is under way.
pub(crate) fn file<B>(proxy: &Proxy, host: &str, request: &Request<B>) -> Option<Response<Answer>> {
    let token = request.uri().path().strip_prefix(CHALLENGES)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let table = proxy.tables.table();
    let challenge = table.challenges(host).find(|challenge| challenge.token == token)?;
    let mut answer = Response::new(Answer::from(challenge.authorization.clone()));
    let kind = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    Some(answer)
}

/// Does the client speak the special protocol, and no other?
pub(crate) fn is_asked(protocols: Option<impl Iterator<Item = impl AsRef<[u8]>>>) -> bool {
    let mut protocols = protocols.into_iter().flatten();
    protocols.next().is_some_and(|first| first.as_ref() == ACME_TLS) && protocols.next().is_none()
}

/// What is presented to an authority that asks for the host name, where an order of ours is under way.
pub(crate) fn handshake(proxy: &Proxy, host: &str) -> Option<Arc<ServerConfig>> {
    let table = proxy.tables.table();
    let host = host.to_ascii_lowercase();
    let challenge = table.challenges(&host).next()?;
    let made = config(&host, &challenge.authorization);
    made.inspect_err(|error| tracing::warn!(host, %error, "no answer to an authority")).ok()
}

fn config(host: &str, authorization: &str) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    let digest = Sha256::digest(authorization.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let certificate = params.self_signed(&key)?;
    let key = any_ecdsa_type(&PrivateKeyDer::try_from(key.serialize_der())?)?;
    // The usual way in would look for the key in the certificate, and stop at the extension that it does not know.
    let presented = CertifiedKey::new(vec![certificate.der().clone()], key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(presented)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(Arc::new(config))
}
