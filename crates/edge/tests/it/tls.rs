//! TLS at the door.

use crate::backend::{Backend, Said};
use crate::door::{Door, line, shop};
use crate::world::own_address;
use lace_edge::GivenCertificate;
use lace_model::authority::Challenge;
use lace_model::document::{Doors, Topic};
use lace_model::route::{RouteSpec, RouteTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const WAIT: Duration = Duration::from_secs(10);
const NAME: &str = "shop.example.com";

/// An authority of this test alone.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, host: &str, version: u64) -> GivenCertificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        GivenCertificate {
            name: format!("shop/tls:{host}@{version}"),
            hosts: vec![host.to_owned()],
            pem: format!("{}\n{}", certificate.pem(), key.serialize_pem()),
        }
    }

    fn client(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

struct Locked {
    door: Door,
    at: SocketAddr,
    authority: Authority,
    topic: Topic,
    _node: Backend,
}

impl Locked {
    async fn open(certificates: &[&str]) -> Self {
        Self::with(certificates, |_| {}).await
    }

    async fn with(certificates: &[&str], change: impl FnOnce(&mut lace_edge::NetConfig)) -> Self {
        let node = Backend::start(own_address(), 18_080, Said::Echo).await;
        let mut at = SocketAddr::from(([127, 0, 0, 1], 0));
        let door = Door::open(|config| {
            at = SocketAddr::new(config.proxy.listen[0].ip(), 17_443);
            config.proxy.listen_tls = vec![at];
            change(config);
        })
        .await;
        let mut topic = shop(1, 18_080, &[line(1, "ready", node.at.ip())]);
        let route = |host: &str, path: &str, tls| RouteSpec {
            host: Some(host.into()),
            path: path.into(),
            tls,
            ..RouteSpec::new(18_080)
        };
        let routes = vec![
            route(NAME, "/", RouteTls::Auto),
            route(NAME, "/plain", RouteTls::Off),
            route("other.example.com", "/", RouteTls::Auto),
        ];
        topic.doors.insert("shop/web".parse().unwrap(), Doors { routes, ..Doors::default() });
        door.world.client().put(topic.clone()).await.unwrap();
        let authority = Authority::new();
        for host in certificates {
            door.world.client().certificate(authority.issue(host, 1)).await.unwrap();
        }
        Self { door, at, authority, topic, _node: node }
    }

    async fn connect(&self, name: &str, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = loop {
            match TcpStream::connect(self.at).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        timeout(WAIT, self.authority.client(protocols).connect(name, stream)).await.expect("in time")
    }
}

fn presented(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n\n") && !String::from_utf8_lossy(&answer).contains("x-forwarded-proto") {
        let mut some = [0; 4096];
        let length = timeout(WAIT, stream.read(&mut some)).await.expect("in time").unwrap();
        assert!(length > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&some[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_name_picks_the_certificate_and_the_node_learns_of_tls() {
    let locked = Locked::open(&[NAME, "other.example.com"]).await;
    let mut one = locked.connect(NAME, &["http/1.1"]).await.unwrap();
    let other = locked.connect("other.example.com", &["http/1.1"]).await.unwrap();
    assert_ne!(presented(&one), presented(&other));
    assert_eq!(one.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let answer = ask(&mut one, "/cart").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-forwarded-proto: https"), "{answer}");
}

#[tokio::test]
async fn h2_is_spoken_where_the_client_can() {
    let locked = Locked::open(&[NAME]).await;
    let stream = locked.connect(NAME, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("https://{NAME}/a"))
        .body(http_body_util::Empty::<hyper::body::Bytes>::new())
        .unwrap();
    let answer = timeout(WAIT, sender.send_request(request)).await.expect("in time").unwrap();
    assert_eq!((answer.status(), answer.version()), (hyper::StatusCode::OK, hyper::Version::HTTP_2));
}

#[tokio::test]
async fn who_agrees_on_h2_and_says_nothing_is_ended() {
    let short = |config: &mut lace_edge::NetConfig| {
        config.proxy.limits.head_within = Duration::from_millis(1000);
    };
    let locked = Locked::with(&[NAME], short).await;
    for protocol in ["h2", "http/1.1"] {
        let mut stream = locked.connect(NAME, &[protocol]).await.unwrap();
        let mut rest = Vec::new();
        let _ = timeout(WAIT, stream.read_to_end(&mut rest)).await.expect("an end in time");
        assert!(!rest.starts_with(b"HTTP"), "nobody asked");
    }
}

#[tokio::test]
async fn versions_and_ciphers_of_tls_that_are_broken_are_refused() {
    let locked = Locked::open(&[NAME]).await;
    locked.connect(NAME, &[]).await.unwrap();
    // What has no forward secrecy, no authenticated encryption, or short blocks is as good as broken.
    let weak =
        "AES128-SHA:AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:DES-CBC3-SHA@SECLEVEL=0";
    let all = "ALL:@SECLEVEL=0";
    let table = [
        ("-tls1", all, false),
        ("-tls1_1", all, false),
        ("-tls1_2", weak, false),
        ("-tls1_2", all, true),
        ("-tls1_3", all, true),
    ];
    for (version, ciphers, is_spoken) in table {
        let at = locked.at.to_string();
        let shake = tokio::task::spawn_blocking(move || {
            let mut openssl = std::process::Command::new("openssl");
            openssl.args(["s_client", "-connect", &at, "-servername", NAME, version]);
            // Else openssl itself would not offer it.
            openssl.args(["-cipher", ciphers]).stdin(std::process::Stdio::null());
            openssl.output().expect("openssl is there: scripts/install.sh --for test")
        });
        let out = timeout(WAIT, shake).await.expect("an end in time").unwrap();
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.contains("-----BEGIN CERTIFICATE"), is_spoken, "{version} {ciphers}: {said}");
        assert_eq!(said.contains("SSL alert number"), !is_spoken, "{version} {ciphers}: {said}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_told_that_it_is_unknown() {
    let locked = Locked::open(&[NAME]).await;
    let error = locked.connect("other.example.com", &[]).await.expect_err("no certificate");
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    let traffic = locked.door.world.client().traffic().await.unwrap();
    assert_eq!(traffic.stray.faults["tls-unknown-name"], 1);
}

#[tokio::test]
async fn a_new_certificate_is_used_by_the_next_connection_and_open_ones_go_on() {
    let locked = Locked::open(&[NAME]).await;
    let mut open = locked.connect(NAME, &[]).await.unwrap();
    ask(&mut open, "/1").await;
    let mut client = locked.door.world.client();
    client.certificate(locked.authority.issue(NAME, 2)).await.unwrap();
    client.certificate_gone(format!("shop/tls:{NAME}@1")).await.unwrap();
    let next = locked.connect(NAME, &[]).await.unwrap();
    assert_ne!(presented(&open), presented(&next));
    assert!(ask(&mut open, "/2").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn certificates_outlive_the_process_and_lie_sealed() {
    let mut locked = Locked::open(&[NAME]).await;
    let first = presented(&locked.connect(NAME, &[]).await.unwrap());
    locked.door.world.stop().await;
    for entry in std::fs::read_dir(locked.door.world.config.state_dir.join("certificates")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("PRIVATE") && !text.contains(NAME), "it lies open");
    }
    locked.door.world.resume().await;
    assert_eq!(presented(&locked.connect(NAME, &[]).await.unwrap()), first);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused_and_the_former_one_stays() {
    let locked = Locked::open(&[NAME]).await;
    let mut mixed = locked.authority.issue(NAME, 2);
    let other = locked.authority.issue(NAME, 3);
    let (chain, _) = mixed.pem.split_once("-----BEGIN PRIVATE").unwrap();
    let (_, key) = other.pem.split_once("-----BEGIN PRIVATE").unwrap();
    mixed.pem = format!("{chain}-----BEGIN PRIVATE{key}");
    let error = locked.door.world.client().certificate(mixed).await.expect_err("refused");
    assert!(error.to_string().contains("is of no use"), "{error}");
    locked.connect(NAME, &[]).await.unwrap();
}

#[tokio::test]
async fn plain_http_leads_to_tls_unless_the_route_says_otherwise() {
    let locked = Locked::open(&[NAME]).await;
    let table = [
        ("shop.example.com:17480", "/cart?a=b", Some("https://shop.example.com:17443/cart?a=b")),
        ("shop.example.com", "/", Some("https://shop.example.com/")),
        ("shop.example.com", "/plain/x", None),
        ("shop.example.com", "/.well-known/acme-challenge/x", None),
        ("other.example.com", "/", None),
    ];
    for (host, path, expected) in table {
        let (status, answer) = locked.door.get(host, path).await;
        match expected {
            None => assert_eq!(status, 200, "{host}{path}: {answer}"),
            Some(to) => {
                assert_eq!(status, 308, "{host}{path}: {answer}");
                assert!(answer.contains(&format!("location: {to}\r\n")), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn who_never_shakes_hands_or_speaks_plainly_holds_nobody_up() {
    let locked = Locked::open(&[NAME]).await;
    locked.connect(NAME, &[]).await.unwrap();
    let _silent = TcpStream::connect(locked.at).await.unwrap();
    let mut plain = TcpStream::connect(locked.at).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(WAIT, plain.read_to_end(&mut answer)).await.expect("closed");
    assert!(!answer.starts_with(b"HTTP"), "nothing is served in the clear here");
    locked.connect(NAME, &[]).await.unwrap();
}

const AUTHORIZATION: &str = "token_1.thumbprint";

async fn challenged(locked: &Locked) {
    let challenge =
        Challenge { host: NAME.into(), token: "token_1".into(), authorization: AUTHORIZATION.into() };
    let mut topic = locked.topic.clone();
    topic.generation.number += 1;
    topic.challenges = vec![challenge];
    locked.door.world.client().put(topic).await.unwrap();
}

#[tokio::test]
async fn an_authority_finds_the_file_that_it_asks_for_and_others_nothing() {
    let locked = Locked::open(&[NAME]).await;
    challenged(&locked).await;
    let path = "/.well-known/acme-challenge/token_1";
    let (status, answer) = locked.door.get(NAME, path).await;
    assert!(status == 200 && answer.ends_with(&format!("\r\n\r\n{AUTHORIZATION}")), "{answer}");
    let node_answers = [
        (NAME, "/.well-known/acme-challenge/token_2"),
        (NAME, "/.well-known/acme-challenge/token_1/"),
        ("other.example.com", path),
    ];
    for (host, path) in node_answers {
        let (_, answer) = locked.door.get(host, path).await;
        assert!(!answer.contains("thumbprint"), "{host}{path}: {answer}");
    }
}

#[tokio::test]
async fn an_authority_finds_the_certificate_of_a_challenge_by_its_protocol_alone() {
    let locked = Locked::open(&[NAME]).await;
    challenged(&locked).await;
    // Its special extension is a critical one: usual clients refuse it for that.
    let error = locked.connect(NAME, &["acme-tls/1"]).await.expect_err("nobody vouches for it");
    assert!(error.to_string().contains("CriticalExtension"), "{error}");
    locked.connect(NAME, &["h2", "http/1.1"]).await.expect("the usual one");
    let error =
        locked.connect("other.example.com", &["acme-tls/1"]).await.expect_err("no order is under way");
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    let mixed = locked.connect(NAME, &["acme-tls/1", "http/1.1"]).await.expect("the usual one");
    assert_eq!(mixed.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[tokio::test]
async fn a_pause_takes_nothing_and_a_head_that_is_too_large_gets_its_page() {
    let locked = Locked::open(&[NAME]).await;
    let mut stream = locked.connect(NAME, &["http/1.1"]).await.unwrap();
    for path in ["/1", "/2", "/3"] {
        let answer = ask(&mut stream, path).await;
        assert!(answer.contains(&format!("GET {path} ")), "{answer}");
        // Longer than a connection keeps its buffers.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let head = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\nx: {}\r\n\r\n", "v".repeat(100 << 10));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an end in time").expect("an orderly end");
    let page = String::from_utf8_lossy(&answer);
    assert!(page.starts_with("HTTP/1.1 431") && page.contains("x-lace-fault: head-too-large"), "{page}");
}
