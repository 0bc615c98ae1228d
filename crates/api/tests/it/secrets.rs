//! Secrets: what goes in does not come out.

use crate::house::{House, name, request};
use lace_model::Code;
use lace_model::beam::Beam;
use lace_model::family::Service;
use lace_model::secret::SecretInfo;
use lace_wire::api::Accepted;
use serde_json::json;

const VALUE: &str = "correct-horse-battery";

async fn set(house: &House, secret: &str, value: impl Into<axum::body::Body>) -> crate::house::Got {
    house.call(&house.admin, "PUT", &format!("/v1/apps/shop/secrets/{secret}"), value).await
}

fn revision(house: &House) -> u64 {
    house.state.store.get::<Service>("shop/game").expect("read").expect("there").value.revision
}

#[tokio::test]
async fn a_new_value_rolls_the_services_that_use_it() {
    let house = House::new();
    house.post("/v1/apps/shop", json!(null)).await;
    let accepted: Accepted = set(&house, "KEY", VALUE).await.ok();
    assert!(accepted.operation.is_none(), "nobody uses it yet");
    assert!(accepted.message.contains("version 1"), "{}", accepted.message);
    let mut wanted = request("shop", 1);
    let service = wanted.spec.services.get_mut(&name("game")).expect("the service");
    service.secrets = Some(vec!["KEY".into()]);
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    assert_eq!(revision(&house), 1);

    let accepted: Accepted = set(&house, "KEY", "another").await.ok();
    assert!(accepted.operation.is_some());
    assert_eq!(revision(&house), 2);
    let (value, version) =
        house.state.store.secret_get(&name("shop"), "KEY", None).expect("read").expect("there");
    assert_eq!((value.expose(), version), (&b"another"[..], 2));
    let listed: Vec<SecretInfo> = house.get("/v1/apps/shop/secrets").await.ok();
    assert_eq!((listed[0].name.as_str(), listed[0].version), ("KEY", 2));

    let problem = house.delete("/v1/apps/shop/secrets/KEY").await.problem(409);
    assert!(problem.message.contains("shop/game"));
}

#[tokio::test]
async fn a_value_is_nowhere_to_be_seen() {
    let house = House::new();
    house.post("/v1/apps/shop", json!(null)).await;
    let got = set(&house, "KEY", VALUE).await;
    let mut seen = String::from_utf8(got.body.to_vec()).expect("text");
    for path in ["/v1/apps/shop/secrets", "/v1/events?since=0", "/v1/audit", "/v1/status", "/v1/operations"] {
        seen.push_str(std::str::from_utf8(&house.get(path).await.body).expect("text"));
    }
    assert!(seen.contains("KEY") && !seen.contains(VALUE), "{seen}");
    assert!(seen.contains("secret.set"));
}

#[tokio::test]
async fn what_no_service_uses_is_removed() {
    let house = House::new();
    house.post("/v1/apps/shop", json!(null)).await;
    set(&house, "KEY", VALUE).await.ok::<Accepted>();
    house.delete("/v1/apps/shop/secrets/KEY").await.ok::<Accepted>();
    assert_eq!(house.last_audit().1, "secret remove");
    assert_eq!(house.delete("/v1/apps/shop/secrets/KEY").await.problem(404).code, Code::NotFound);
    assert!(house.get("/v1/apps/shop/secrets").await.ok::<Vec<SecretInfo>>().is_empty());
}

#[tokio::test]
async fn bad_names_large_values_and_unknown_applications() {
    let house = House::new();
    assert_eq!(set(&house, "KEY", VALUE).await.problem(404).code, Code::NotFound);
    house.post("/v1/apps/shop", json!(null)).await;
    for bad in ["1KEY", "A-B", "A.B", &"A".repeat(129), "%C3%A9"] {
        assert_eq!(set(&house, bad, VALUE).await.problem(422).code, Code::Usage, "{bad}");
    }
    assert_eq!(set(&house, "KEY", vec![b'x'; 64 << 10]).await.status, 200);
    assert_eq!(set(&house, "KEY", "a\0b").await.problem(422).code, Code::Usage);
    for large in [(64 << 10) + 1, 1 << 20] {
        assert_eq!(set(&house, "KEY", vec![b'x'; large]).await.problem(413).code, Code::TooLarge);
    }
    assert_eq!(house.get("/v1/apps/none/secrets").await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn the_authority_of_a_cluster_is_made_and_never_given() {
    let house = House::new();
    let mut wanted = request("shop", 1);
    let service = wanted.spec.services.get_mut(&name("game")).expect("the service");
    service.beam = Some(Beam { tls: true, ..Beam::default() });
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    let (value, _) =
        house.state.store.secret_get(&name("shop"), "LACE_CA_game", None).expect("read").expect("there");
    let text = String::from_utf8(value.expose().to_vec()).expect("text");
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("pem");
    let made = pem.parse_x509().expect("a certificate");
    assert!(made.is_ca() && text.contains("-----BEGIN PRIVATE KEY"));
    assert_eq!(made.subject().to_string(), "CN=Lace cluster game");
    let problem = set(&house, "LACE_CA_game", text).await.problem(422);
    assert!(problem.message.contains("which Lace makes"), "{problem}");
}
