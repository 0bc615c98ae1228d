//! Certificates that nobody gives: ordered from pebble, renewed while a connection is open, and what is said where that
//! fails.

use crate::lace::{Lace, eventually, may_run};
use crate::page::project;
use crate::pebble::Pebble;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "shop.example.com";
const INNER: &str = "inner.example.com";
/// Certificates are good for so long: renewed after 56 to 60 s.
const LIFETIME_S: u64 = 90;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// An encrypted connection of somebody who trusts this root alone.
fn connect(lace: &Lace, name: &str, root: &str) -> std::io::Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", lace.door_tls()))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(session, stream);
    tls.conn.complete_io(&mut tls.sock)?;
    Ok(tls)
}

/// One request over an open connection: the status line. The whole answer is read, for another one follows it.
fn ask(tls: &mut Tls, name: &str) -> String {
    write!(tls, "GET / HTTP/1.1\r\nhost: {name}\r\n\r\n").expect("written");
    let (mut answer, mut some) = (Vec::new(), [0; 4096]);
    while !is_whole(&answer) {
        let length = tls.read(&mut some).expect("an answer");
        assert!(length > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&some[..length]);
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => body.len() >= length.trim().parse().expect("a length"),
        None => body.ends_with("0\r\n\r\n"),
    }
}

fn presented(tls: &Tls) -> Vec<u8> {
    tls.conn.peer_certificates().expect("presented")[0].to_vec()
}

fn route(lace: &Lace, door: &str) -> Value {
    let routes = lace.run(&["route", "list", "shop", "--format", "json"]).ok().json();
    let found = routes.as_array().expect("a list").iter().find(|route| route["door"] == door).cloned();
    found.unwrap_or_else(|| panic!("{door}: {routes}"))
}

fn told(lace: &Lace) -> String {
    route(lace, &format!("{NAME}/"))["obtaining"].as_str().unwrap_or_default().to_owned()
}

fn set_authority(lace: &Lace, pebble: &Pebble, more: &[&str]) {
    let (directory, ca) = (pebble.directory(), pebble.ca());
    let ca = ca.to_str().expect("text");
    let words = ["authority", "set", &directory, "--ca", ca, "--contact", "admin@example.com"];
    lace.run(&[&words[..], more].concat()).ends(2);
    lace.run(&[&words[..], &["--agree-terms"], more].concat()).ok();
}

#[test]
fn certificates_are_obtained_renewed_and_what_fails_is_said() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(229, 1);
    let dir = project(lace.files(), "1", 2);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    lace.run(&["route", "add", "shop/web", NAME, "--port", "8080"]).ok();
    assert_eq!(told(&lace), "", "nobody said where certificates come from");
    lace.run(&["route", "cert", "renew", "shop", NAME]).ends(7);

    // Nobody is there.
    let mut pebble = Pebble::new(lace.files());
    set_authority(&lace, &pebble, &[]);
    eventually("the failure is shown", || told(&lace).contains("cannot be reached"));
    assert!(told(&lace).contains("again in"), "{}", told(&lace));
    let why = lace.run(&["why", "shop/web"]).ok().out;
    assert!(why.contains("cannot be reached") && why.contains(NAME), "{why}");
    let shown = lace.run(&["route", "show", "shop/web"]).ok().out;
    assert!(shown.contains("ordered") && shown.contains("cannot be reached"), "{shown}");

    // It looks, and does not find us.
    pebble.start(LIFETIME_S, (lace.door().port(), lace.door_tls()));
    eventually("it listens", || pebble.root().is_some());
    lace.run(&["route", "cert", "renew", "shop", NAME]).ok();
    eventually("the refusal is shown", || told(&lace).contains("did not find the name ours"));
    let events = lace.run(&["events", "--format", "jsonl"]).ok().out;
    assert!(events.contains("certificate.failed"), "{events}");

    // The name leads here now.
    assert!(pebble.lead_to("127.0.0.1"));
    lace.run(&["route", "cert", "renew", "shop", NAME]).ok();
    let root = pebble.root().expect("a root");
    eventually("it is encrypted", || connect(&lace, NAME, &root).is_ok());
    eventually("all is well", || told(&lace).is_empty());
    let here = route(&lace, &format!("{NAME}/"));
    assert_eq!(here["certificate_source"], "acme", "{here}");
    assert!(here["certificate_issuer"].as_str().is_some_and(|issuer| issuer.contains("Pebble")), "{here}");
    let listed = lace.run(&["route", "cert", "list", "shop"]).ok().out;
    assert!(listed.contains("acme"), "{listed}");
    assert_eq!(lace.status("shop")["apps"][0]["families"][0]["revision"], 1, "nothing rolls for it");

    // The other way to show that the name is ours, asked for by hand; then time passes.
    set_authority(&lace, &pebble, &["--challenge", "tls-alpn-01"]);
    let mut open = connect(&lace, NAME, &root).expect("encrypted");
    assert!(ask(&mut open, NAME).contains("200"));
    let first = presented(&open);
    let newer = |than: &[u8]| {
        let next = connect(&lace, NAME, &root).map(|tls| presented(&tls));
        next.ok().filter(|next| next != than)
    };
    lace.run(&["route", "cert", "renew", "shop", NAME]).ok();
    let mut second = None;
    eventually("another is presented", || {
        second = newer(&first);
        second.is_some()
    });
    // The door ends connections that say nothing: this one is used all the time.
    let second = second.expect("one");
    let mut goes_on = || assert!(ask(&mut open, NAME).contains("200"), "the open connection goes on");
    eventually_renewed(
        || {
            goes_on();
            // Who connects never finds one that has ended.
            presented(&connect(&lace, NAME, &root).expect("a certificate that is valid")) != second
        },
        || told(&lace),
    );
    goes_on();
    let events = lace.run(&["events", "--format", "jsonl"]).ok().out;
    assert!(events.matches("certificate.renewed").count() >= 2, "{events}");

    // Our own authority.
    lace.run(&["route", "add", "shop/web", INNER, "--port", "8080", "--tls", "internal"]).ok();
    let mut own = String::new();
    eventually("our own authority issues", || {
        own = lace.run(&["authority", "ca"]).out;
        own.contains("BEGIN CERTIFICATE") && connect(&lace, INNER, &own).is_ok()
    });
    assert!(!own.contains("PRIVATE"), "the key stays");
    let mut inner = connect(&lace, INNER, &own).expect("encrypted");
    assert!(ask(&mut inner, INNER).contains("200"));
    assert!(connect(&lace, NAME, &own).is_err(), "the other one is the public authority's");
    assert_sealed(&lace);
    lace.down_and_nothing_left();
}

/// Two thirds of a certificate's time may pass, and some more on a busy machine.
fn eventually_renewed(mut is_so: impl FnMut() -> bool, why: impl Fn() -> String) {
    let until = std::time::Instant::now() + Duration::from_secs(2 * LIFETIME_S);
    while !is_so() {
        assert!(std::time::Instant::now() < until, "not renewed: {}", why());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Keys lie nowhere in the clear: not the account's, not the certificates'. The release is left out: it is this very
/// program, which holds the words that are looked for.
fn assert_sealed(lace: &Lace) {
    let out = std::process::Command::new("grep")
        .args([
            "--recursive",
            "--files-with-matches",
            "--binary-files=text",
            "--exclude-dir=blobs",
            "-e",
            "key_pkcs8",
            "-e",
            "BEGIN PRIVATE",
        ])
        .args([lace.state().join("server"), lace.state().join("net"), lace.state().join("agent/journal")])
        .output()
        .expect("grep");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "", "a key lies open");
}
