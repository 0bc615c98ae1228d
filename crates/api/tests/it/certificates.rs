//! Certificates: what can be presented is taken, everything else is refused with words; the key does not come out.

use crate::house::{Got, House, NOW, name};
use lace_model::certificate::Certificate;
use lace_model::secret::SecretInfo;
use lace_wire::api::Accepted;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 3_600;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "the test's authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed"))
    }

    /// Certificate and key, good from and until so many days after the house's now.
    fn issue(&self, host: &str, from: i64, until: i64) -> (String, String) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW);
        let at = |days: i64| match u64::try_from(days) {
            Ok(days) => now + Duration::from_secs(days * DAY),
            Err(_) => now - Duration::from_secs(days.unsigned_abs() * DAY),
        };
        let key = KeyPair::generate().expect("key");
        let names = if host.is_empty() { Vec::new() } else { vec![host.to_owned()] };
        let mut params = CertificateParams::new(names).expect("a name");
        (params.not_before, params.not_after) = (at(from).into(), at(until).into());
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}

async fn give(house: &House, host: &str, pem: String) -> Got {
    house.call(&house.shop, "PUT", &format!("/v1/apps/shop/certificates/{host}"), pem).await
}

#[tokio::test]
async fn a_certificate_is_kept_sealed_and_its_key_is_nowhere_to_be_seen() {
    let house = House::new();
    house.post("/v1/apps/shop", json!(null)).await;
    let authority = Authority::new();
    let (chain, key) = authority.issue("*.example.com", -1, 60);
    let pem = format!("{chain}{}{key}", authority.0.pem());
    let got = give(&house, "shop.example.com", pem.clone()).await;
    let accepted: Accepted = got.ok();
    assert!(accepted.message.contains("shop.example.com"), "{}", accepted.message);
    let listed: Vec<Certificate> = house.get("/v1/apps/shop/certificates").await.ok();
    assert_eq!((listed.len(), listed[0].names.as_slice()), (1, ["*.example.com".to_owned()].as_slice()));
    assert_eq!((listed[0].version, (listed[0].not_after - NOW).div_ceil(DAY * 1000)), (1, 60));
    assert!(listed[0].issuer.contains("the test's authority"), "{}", listed[0].issuer);
    let secret = house.state.store.secret_get(&name("shop"), "tls:shop.example.com", Some(1)).expect("read");
    assert_eq!(secret.expect("there").0.expose(), pem.as_bytes());
    let secrets: Vec<SecretInfo> = house.get("/v1/apps/shop/secrets").await.ok();
    assert!(secrets.is_empty(), "it is no secret that a service can use");
    let mut seen = String::new();
    for path in ["/v1/apps/shop/certificates", "/v1/events?since=0", "/v1/audit", "/v1/apps"] {
        seen.push_str(std::str::from_utf8(&house.get(path).await.body).expect("text"));
    }
    let line = key.lines().nth(1).expect("a line of the key");
    assert!(
        seen.contains("certificate.added") && !seen.contains(line) && !seen.contains("PRIVATE"),
        "{seen}"
    );

    let again: Accepted = give(&house, "shop.example.com", pem).await.ok();
    assert!(again.message.contains("already"), "{}", again.message);
    let (chain, key) = authority.issue("shop.example.com", -1, 90);
    give(&house, "shop.example.com", format!("{chain}{key}")).await.ok::<Accepted>();
    let listed: Vec<Certificate> = house.get("/v1/apps/shop/certificates").await.ok();
    assert_eq!((listed.len(), listed[0].version), (1, 2), "the newer one stands for the former");

    house.delete("/v1/apps/shop/certificates/shop.example.com").await.ok::<Accepted>();
    assert!(house.get("/v1/apps/shop/certificates").await.ok::<Vec<Certificate>>().is_empty());
    let secret = house.state.store.secret_get(&name("shop"), "tls:shop.example.com", None).expect("read");
    assert!(secret.is_none(), "the key went with it");
    house.delete("/v1/apps/shop/certificates/shop.example.com").await.problem(404);
}

#[tokio::test]
async fn what_cannot_be_presented_is_refused_with_words() {
    let house = House::new();
    house.post("/v1/apps/shop", json!(null)).await;
    let authority = Authority::new();
    let (chain, key) = authority.issue("shop.example.com", -1, 60);
    let (other_chain, other_key) = authority.issue("shop.example.com", -1, 60);
    let joined = |(chain, key): (String, String)| format!("{chain}{key}");
    let table = [
        ("nothing", String::new(), "0 certificates"),
        ("no PEM", "hello".into(), "0 certificates"),
        ("no key", chain.clone(), "no private key"),
        ("no certificate", key.clone(), "0 certificates"),
        ("another key", format!("{chain}{other_key}"), "the key is not the certificate's"),
        ("an order", format!("{chain}{other_chain}{key}"), "certificate 2 did not issue certificate 1"),
        (
            "another host",
            joined(authority.issue("a.example.com", -1, 60)),
            "is not for shop.example.com, but for a.example.com",
        ),
        ("ended", joined(authority.issue("shop.example.com", -60, -1)), "ended on"),
        ("too early", joined(authority.issue("shop.example.com", 5, 60)), "begins on"),
        ("no name", joined(authority.issue("", -1, 60)), "names no host"),
    ];
    for (what, pem, expected) in table {
        let problem = give(&house, "shop.example.com", pem).await.problem(422);
        assert!(problem.message.contains(expected), "{what}: {}", problem.message);
    }
    let (chain, key) = authority.issue("*.example.com", -1, 60);
    give(&house, "*.com", format!("{chain}{key}")).await.problem(422);
    give(&house, "*.shop.example.com", format!("{chain}{key}")).await.problem(422);
    assert!(house.get("/v1/apps/shop/certificates").await.ok::<Vec<Certificate>>().is_empty());
    assert!(house.state.store.secret_list(Some(&name("shop"))).expect("read").is_empty(), "nothing was kept");
    let refused = house.call(&house.viewer, "PUT", "/v1/apps/shop/certificates/a.b", "x").await;
    assert_eq!(refused.status, 403, "who only looks gives nothing");
}
