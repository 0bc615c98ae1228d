use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn authority() -> Authority {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let certificate = params.self_signed(&key).expect("made").pem();
    Authority::of(&format!("{certificate}\n{}", key.serialize_pem())).expect("read")
}

fn issued(authority: &Authority, host: &str) -> String {
    issue(authority, host, &Beam::default()).expect("issued")
}

/// A node as OTP is one with our options: shows its certificate, and wants one of its authority.
fn node(authority: &Authority, host: &str) -> TlsAcceptor {
    let own = issued(authority, host);
    let mut trusted = RootCertStore::empty();
    trusted
        .add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).expect("pem"))
        .expect("root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(own.as_bytes()).expect("pem")],
            PrivateKeyDer::from_pem_slice(own.as_bytes()).expect("key"),
        );
    TlsAcceptor::from(Arc::new(config.expect("config")))
}

/// Does a client of `theirs` reach a node of `ours` that is called `host`, where it means `meant`?
async fn meets(ours: &Authority, host: &str, theirs: &Authority, meant: &str) -> bool {
    let credentials = Credentials::of(ours.certificate(), Some(&issued(theirs, "agent.lace.internal")));
    let connector = TlsConnector::from(credentials.expect("credentials").0);
    let (client, server) = tokio::io::duplex(1 << 16);
    let accept = async {
        let mut stream = node(ours, host).accept(server).await.ok()?;
        stream.write_all(b"hello").await.ok()?;
        stream.flush().await.ok()
    };
    let connect = async {
        let name = ServerName::try_from(meant.to_owned()).expect("a name");
        let mut stream = connector.connect(name, client).await.ok()?;
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.ok()?;
        (said == *b"hello").then_some(())
    };
    let (accepted, connected) = tokio::join!(accept, connect);
    accepted.is_some() && connected.is_some()
}

#[tokio::test]
async fn only_the_cluster_s_own_meet_and_only_the_node_that_is_meant() {
    let (ours, others) = (authority(), authority());
    let host = "ball-1.ball.shop.lace.internal";
    assert!(meets(&ours, host, &ours, host).await);
    assert!(meets(&ours, "10.0.0.7", &ours, "10.0.0.7").await, "addresses are names, too");
    assert!(
        !meets(&ours, host, &ours, "ball-2.ball.shop.lace.internal").await,
        "another node of the cluster"
    );
    assert!(!meets(&ours, host, &others, host).await, "the certificate of another cluster");
}

#[test]
fn certificates_are_fresh_and_not_the_authority_s() {
    let authority = authority();
    let (first, second) = (issued(&authority, "a.b"), issued(&authority, "a.b"));
    assert_ne!(first, second);
    assert!(!first.contains(authority.certificate().trim()));
    assert!(Authority::of("no PEM").is_err());
}

#[test]
fn a_certificate_is_for_its_host_on_both_sides() {
    let text = issued(&authority(), "a.b");
    let der = CertificateDer::from_pem_slice(text.as_bytes()).expect("pem");
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
    let usage = certificate.extended_key_usage().expect("readable").expect("there").value;
    assert!(usage.server_auth && usage.client_auth && !usage.any);
    let names = certificate.subject_alternative_name().expect("readable").expect("there").value;
    assert_eq!(format!("{:?}", names.general_names), "[DNSName(\"a.b\")]");
}

#[test]
fn both_sides_show_and_check() {
    let text = options();
    assert_eq!(text.matches("{verify,verify_peer}").count(), 2);
    assert_eq!(text.matches("{certfile,\"/run/lace/tls/node.pem\"}").count(), 2);
    assert!(text.starts_with("[{server,[") && text.ends_with("]}].\n"), "{text}");
    assert!(text.contains("{fail_if_no_peer_cert,true}]},\n {client,["), "{text}");
}
