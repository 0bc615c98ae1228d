//! Our side of a connection: shows a certificate of the cluster's authority, and wants one for the node that is meant.

use super::host_of;
use lace_beam::link::{Packet, Settings};
use lace_beam::{Identity, Link};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Whom we trust and what we show.
#[derive(Clone)]
pub struct Credentials(pub(super) Arc<ClientConfig>);

impl Credentials {
    /// Of the authorities' certificates, and of our own with its key, where there is one to show; PEM.
    ///
    /// # Errors
    /// Texts that are none.
    pub fn of(authority: &str, own: Option<&str>) -> Result<Self, String> {
        let bad = |error: &dyn std::fmt::Display| format!("certificates of its cluster: {error}");
        let mut trusted = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            trusted.add(root.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        if trusted.is_empty() {
            return Err(bad(&"there is none of an authority"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(&e))?
            .with_root_certificates(trusted);
        let Some(own) = own else { return Ok(Self(Arc::new(config.with_no_client_auth()))) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(own.as_bytes()).map_err(|e| bad(&e))?;
        let config = config.with_client_auth_cert(chain.map_err(|e| bad(&e))?, key);
        Ok(Self(Arc::new(config.map_err(|e| bad(&e))?)))
    }
}

/// Shakes hands with the node of that name over an open connection, under TLS where there are credentials.
///
/// # Errors
/// Why there is no link, in words.
pub async fn link(
    stream: TcpStream,
    credentials: Option<Credentials>,
    me: &Identity,
    node: &str,
    settings: Settings,
) -> Result<Link, String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let Some(Credentials(config)) = credentials else {
        return Link::connect(stream, me, node, &settings).await.map_err(|e| e.to_string());
    };
    let host = host_of(node).to_owned();
    let name = ServerName::try_from(host).map_err(|e| format!("{node}: {e}"))?;
    let carried = TlsConnector::from(config).connect(name, stream);
    let carried = tokio::time::timeout(settings.handshake_within, carried).await;
    let carried = carried.map_err(|_| "its TLS does not answer".to_owned())?;
    let stream = carried.map_err(|e| format!("its TLS: {e}"))?;
    let settings = Settings { packet: Packet::Tls, ..settings };
    Link::connect(stream, me, node, &settings).await.map_err(|e| e.to_string())
}
