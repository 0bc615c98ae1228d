//! TLS at the door: the name that the client asks for picks the certificate; who asks for another name is told so.
//!
//! rustls with ring and its usual protocols and ciphers (TLS 1.2 and 1.3). A new certificate is used by the next
//! handshake; connections that are open go on with what they have.

mod chest;

pub(crate) use chest::Chest;
pub use chest::{CertificateError, GivenCertificate};

use super::accept::Place;
use super::connection::{serve_h1, serve_h2};
use super::exchange::Exchange;
use super::gate::Desk;
use super::header::Origin;
use super::{Proxy, challenge};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

/// A handshake that takes longer is ended.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// A fatal alert that no certificate is held for the name (RFC 8446 section 6, `unrecognized_name`), as a record.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What all handshakes share.
pub(crate) struct Tls {
    pub chest: Arc<Chest>,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub fn new(chest: Arc<Chest>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&chest) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Self { chest, config: Arc::new(config) })
    }
}

/// Serves an encrypted connection to its end.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: TcpStream, origin: Origin, place: Place) {
    let stray = &proxy.tables.books().stray;
    let stream = match Box::pin(timeout(HANDSHAKE_WITHIN, handshake(&proxy, stream))).await {
        Ok(Ok(Some(stream))) => Box::new(stream),
        Ok(Ok(None)) => return,
        Ok(Err(code)) => return stray.fault(code),
        Err(_) => return stray.fault("tls-handshake"),
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let exchange = Arc::new(Exchange { proxy, origin, place: Arc::new(place), desk: Desk::default() });
    if is_h2 { Box::pin(serve_h2(exchange, stream)).await } else { serve_h1(exchange, stream).await }
}

/// Nothing is left to serve where an authority looked at what it wanted to see.
async fn handshake(proxy: &Proxy, stream: TcpStream) -> Result<Option<TlsStream<TcpStream>>, &'static str> {
    let tls = &proxy.tls;
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
    let mut hello = hello.map_err(|_| "tls-handshake")?;
    if let Some(config) = asked_by_authority(proxy, &hello) {
        let mut stream = hello.into_stream(config).await.map_err(|_| "tls-handshake")?;
        let _ = stream.shutdown().await;
        return Ok(None);
    }
    let is_known = hello.client_hello().server_name().is_some_and(|name| tls.chest.has(name));
    if !is_known {
        // A few bytes: they fit the buffer of the connection, or do not matter.
        let _ = hello.io.write_all(&UNRECOGNIZED_NAME).await;
        let _ = hello.io.shutdown().await;
        return Err("tls-unknown-name");
    }
    hello.into_stream(Arc::clone(&tls.config)).await.map(Some).map_err(|_| "tls-handshake")
}

fn asked_by_authority(proxy: &Proxy, start: &StartHandshake<TcpStream>) -> Option<Arc<ServerConfig>> {
    let hello = start.client_hello();
    let name = hello.server_name().filter(|_| challenge::is_asked(hello.alpn()))?;
    challenge::handshake(proxy, name)
}
