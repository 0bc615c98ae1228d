//! Routes with certificates, and what the door counts, from the outside.

use crate::lace::{Lace, eventually, may_run};
use crate::page::project;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub const NAME: &str = "shop.example.com";

/// An authority of this test alone, and its certificates as files.
pub struct Authority(CertifiedIssuer<'static, KeyPair>, PathBuf);

impl Authority {
    pub fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "the test's authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed");
        std::fs::write(dir.join("ca.pem"), issuer.pem()).expect("written");
        Self(issuer, dir.to_owned())
    }

    /// What a client trusts that trusts it alone.
    pub fn trusted(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(config.expect("versions").with_root_certificates(roots).with_no_client_auth())
    }

    pub fn issue(&self, name: &str) -> [String; 2] {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let chain = params.signed_by(&key, &self.0).expect("signed").pem();
        [("chain", chain), ("key", key.serialize_pem())].map(|(what, text)| {
            let path = self.1.join(format!("{what}.pem"));
            std::fs::write(&path, text).expect("written");
            path.to_str().expect("text").to_owned()
        })
    }
}

/// Status, and what came.
pub fn curl(lace: &Lace, authority: &Authority, port: u16, url: &str) -> (String, String) {
    let out = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "10", "--include", "--cacert"])
        .arg(authority.1.join("ca.pem"))
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1"), url])
        .current_dir(lace.files())
        .output()
        .expect("curl");
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    (text.split(' ').nth(1).unwrap_or_default().to_owned(), text)
}

#[test]
fn a_certificate_makes_a_route_an_encrypted_one_and_nothing_rolls() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(229, 0);
    let dir = project(lace.files(), "1", 2);
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    lace.run(&["route", "add", "shop/web", NAME, "--port", "8080", "--log"]).ok();
    let (plain, tls) = (lace.door().port(), lace.door_tls());
    let authority = Authority::new(lace.files());
    let over_http = || curl(&lace, &authority, plain, &format!("http://{NAME}:{plain}/"));
    let over_tls = || curl(&lace, &authority, tls, &format!("https://{NAME}:{tls}/"));
    eventually("the route leads in", || over_http().0 == "200");
    assert!(over_tls().1.contains("curl: (35)"), "no certificate, no handshake: {}", over_tls().1);

    let [chain, key] = authority.issue(NAME);
    let add = |host: &str| lace.run(&["route", "cert", "add", "shop", host, "--cert", &chain, "--key", &key]);
    let refused = add("other.example.com").ends(2);
    assert!(refused.err.contains("is not for other.example.com"), "{}", refused.err);
    add(NAME).ok();
    eventually("it is encrypted", || over_tls().0 == "200");
    eventually("plain HTTP leads there", || over_http().1.contains(&format!("https://{NAME}:{tls}/")));
    let routes = lace.run(&["route", "list", "shop", "--format", "json"]).ok().json();
    assert_eq!(routes[0]["url"], format!("https://{NAME}:{tls}/"), "{routes}");
    let listed = lace.run(&["route", "cert", "list", "shop"]).ok().out;
    assert!(listed.contains(NAME) && listed.contains("days"), "{listed}");
    assert!(!lace.run(&["secret", "list", "shop"]).ok().out.contains("tls:"));
    assert_eq!(lace.status("shop")["apps"][0]["families"][0]["revision"], 1);

    // The door presents it by itself, though nobody tells it anything.
    for role in ["server", "agent", "net"] {
        lace.kill(role);
    }
    eventually("it is encrypted again", || over_tls().0 == "200");
    let token = std::fs::read_to_string(lace.state().join("admin.token")).expect("token");
    let metrics = || {
        let header = format!("authorization: Bearer {}", token.trim());
        let url = format!("{}/metrics", lace.url());
        let out = Command::new("curl").args(["--silent", "--header", &header, &url]).output().expect("curl");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    eventually("the controller tells what doors carried", || {
        let text = metrics();
        text.contains(&format!("route=\"{NAME}/\",service=\"shop/web\",class=\"2xx\"}}"))
            && text.contains("lace_door_family_response_seconds_bucket")
            && text.contains("node=\"shop/web/")
    });
    let log = std::fs::read_to_string(lace.state().join("net/access.log")).expect("a log");
    assert!(log.contains(&format!("\"route\":\"{NAME}/\"")), "{log}");

    lace.run(&["route", "cert", "remove", "shop", NAME, "--yes"]).ok();
    eventually("it is plain again", || over_http().0 == "200" && over_tls().1.contains("curl: (35)"));
    lace.down_and_nothing_left();
}
