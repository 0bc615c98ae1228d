//! What a proxy holds for clients that have nothing to say.

use crate::rivals::{NAME, Rival};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing is open towards the back end meanwhile: a process that may have 20,000 files can carry them.
pub const CONNECTIONS: usize = 10_000;

/// Memory of a proxy in KiB: without clients, and with so many that asked once and say nothing more.
pub fn measure(rival: &Rival, tls: bool) -> io::Result<(u64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let before = rival.pss_kib();
        let config = Arc::new(trusting());
        let mut plain = Vec::new();
        let mut encrypted = Vec::new();
        for _ in 0..CONNECTIONS {
            let port = if tls { rival.tls } else { rival.plain };
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            if tls {
                let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
                let mut stream = connector.connect(name, stream).await?;
                ask(&mut stream).await?;
                encrypted.push(stream);
            } else {
                ask(&mut stream).await?;
                plain.push(stream);
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = rival.pss_kib();
        drop((plain, encrypted));
        Ok((before, after))
    })
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(format!("GET /small HTTP/1.1\r\nHost: {NAME}\r\n\r\n").as_bytes()).await?;
    stream.flush().await?;
    let mut some = [0; 2048];
    match stream.read(&mut some).await? {
        0 => Err(io::Error::other("closed")),
        _ => Ok(()),
    }
}

fn trusting() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("the usual versions").dangerous();
    builder.with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth()
}

/// The certificate is this run's own.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}
