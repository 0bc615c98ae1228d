//! The API's listeners: plain on loopback, TLS everywhere else.

use super::Failure;
use lace_engine::certificate::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A handshake that takes longer is ended.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes under way and done, that may wait to be served.
const WAITING: usize = 256;

/// Connections whose handshake is done.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl TlsListener {
    /// Accepts on `tcp` with the controller's certificate. Handshakes go on side by side.
    pub fn new(tcp: TcpListener, identity: &Identity) -> Result<Self, Failure> {
        let certificates =
            CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
        let mut config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let local = tcp.local_addr()?;
        let (done, ready) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let Ok(slot) = done.clone().reserve_owned().await else { return };
                match tcp.accept().await {
                    Ok((stream, peer)) => drop(tokio::spawn(handshake(acceptor.clone(), stream, peer, slot))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { ready, local })
    }
}

/// What a connection agreed to speak.
pub fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    slot: mpsc::OwnedPermit<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let _ = stream.set_nodelay(true);
    if let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        slot.send((tls, peer));
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_wire::client::{Client, Endpoint};

    #[tokio::test]
    async fn only_who_trusts_our_authority_gets_an_answer() {
        lace_wire::install_crypto();
        let dir = tempfile::tempdir().expect("dir");
        let authority =
            lace_engine::certificate::Authority::load_or_create(dir.path(), "test").expect("authority");
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = tcp.local_addr().expect("address");
        let identity = authority.controller(&["localhost".into()], &[address.ip()]).expect("identity");
        let listener = TlsListener::new(tcp, &identity).expect("listener");
        let router = axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // A peer that never shakes hands holds nobody up.
        let _silent = TcpStream::connect(address).await.expect("connected");
        let endpoint = |ca: Option<&str>| Endpoint {
            url: format!("https://{address}"),
            token: None,
            ca: ca.map(str::to_owned),
        };
        let other = tempfile::tempdir().expect("dir");
        let stranger =
            lace_engine::certificate::Authority::load_or_create(other.path(), "other").expect("authority");
        Client::new(&endpoint(Some(authority.ca()))).expect("client").healthy().await.expect("an answer");
        let refused = Client::new(&endpoint(Some(stranger.ca()))).expect("client").healthy().await;
        assert!(refused.is_err(), "another authority is not trusted");
    }
}
