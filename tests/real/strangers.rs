//! Who may speak on the agents' link: hosts with a certificate of the installation's own authority, and nobody else.

use crate::lace::{Lace, may_run};
use lace_model::HostId;
use lace_model::host::Capacity;
use lace_wire::link::dial::{HostIdentity, Link};
use lace_wire::link::frame::{FetchRequest, HostFacts, JoinRequest};
use lace_wire::link::host_certificate_name;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A certificate that says it is this host's, by an authority of the stranger's own.
fn forged(host: HostId) -> HostIdentity {
    let own = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, own);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![host_certificate_name(host)]).expect("parameters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
    HostIdentity { certificate, key: key.serialize_pem() }
}

fn joining(token: &str) -> JoinRequest {
    let csr = CertificateParams::new(vec!["stranger".into()]).expect("parameters");
    let csr =
        csr.serialize_request(&KeyPair::generate().expect("a key")).expect("a request").pem().expect("pem");
    let name = lace_model::Name::new("stranger").expect("a name");
    let capacity = Capacity { cpu: "1".parse().expect("a share"), ..Capacity::default() };
    JoinRequest { token: token.into(), csr, name, facts: HostFacts { capacity, ..HostFacts::default() } }
}

/// May nobody who comes so ask for blobs, or open a session? A refusal in the handshake may be seen at the first call.
async fn is_refused(address: &str, ca: &str, identity: Option<&HostIdentity>) -> bool {
    let Ok(link) = Link::dial(address, ca, identity).await else { return true };
    let fetched = link.fetch(FetchRequest { digests: Vec::new() }).await;
    fetched.is_err() && link.session(futures::stream::pending()).await.is_err()
}

#[test]
fn only_hosts_with_our_certificate_may_speak_on_the_link() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(214, 1);
    let host = lace.run(&["host", "list", "--format", "json"]).ok().json()[0]["host"]["id"].clone();
    let host: HostId = serde_json::from_value(host).expect("an id");
    let (address, state) = (lace.link(), lace.state());
    let read = |path: &str| std::fs::read_to_string(state.join(path)).expect(path);
    let ca = read("authority/ca.pem");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    lace_wire::install_crypto();
    runtime.block_on(async {
        assert!(is_refused(&address, &ca, None).await, "no certificate");
        assert!(is_refused(&address, &ca, Some(&forged(host))).await, "another authority's");
        let link = Link::dial(&address, &ca, None).await.expect("whoever wants to join is heard");
        for token in ["", "lace_join_wrong", read("admin.token").trim()] {
            let refused = link.join(joining(token)).await.expect_err("no join token");
            assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
        }
        // Another authority's controller is none of ours, for whoever has our ticket.
        let stranger = forged(host);
        assert!(
            Link::dial(&address, &stranger.certificate, None).await.is_err(),
            "who trusts another authority"
        );
        let held: serde_json::Value = serde_json::from_str(&read("agent/identity/host.json")).expect("json");
        let text = |key: &str| held[key].as_str().expect(key).to_owned();
        let held = HostIdentity { certificate: text("certificate"), key: text("key") };
        assert!(!is_refused(&address, &ca, Some(&held)).await, "the host itself is heard");
    });
    let mut plain = TcpStream::connect(&address).expect("connected");
    plain.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("written");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"\0\0"), "no HTTP/2 without TLS: {answer:?}");
    lace.down_and_nothing_left();
}
