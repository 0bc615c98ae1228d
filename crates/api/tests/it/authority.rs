//! The authority of certificates: chosen by administrators, refused with words, and no way to its keys.

use crate::house::{House, NOW, name};
use lace_model::authority::{Authority, CA_SECRET, INSTALLATION, Obtaining};
use lace_model::certificate::CertificateSource;
use lace_model::family::{Application, Service};
use lace_model::route::{RouteSpec, RouteTls};
use lace_store::{Batch, Expect, SecretValue};
use lace_wire::api::{Accepted, Explanation};
use lace_wire::authority::AuthorityView;
use lace_wire::route::RouteView;
use serde_json::{Value, json};

const DIRECTORY: &str = "https://acme.example.com/directory";

async fn set(house: &House, token: &str, body: Value) -> crate::house::Got {
    house.call(token, "PUT", "/v1/authority", body.to_string()).await
}

#[tokio::test]
async fn it_is_chosen_by_administrators_who_agree_to_its_terms() {
    let house = House::new();
    let good = json!({ "directory": DIRECTORY, "contacts": ["a@example.com"], "terms_agreed": true });
    set(&house, &house.viewer, good.clone()).await.problem(403);
    set(&house, &house.shop, good.clone()).await.problem(403);
    let table = [
        (json!({ "directory": DIRECTORY, "terms_agreed": false }), "not agreed"),
        (json!({ "directory": "http://a.example.com", "terms_agreed": true }), "no address of a directory"),
        (json!({ "directory": DIRECTORY, "contacts": ["x"], "terms_agreed": true }), "no address of mail"),
        (
            json!({ "directory": DIRECTORY, "challenge": "dns-01", "terms_agreed": true }),
            "no challenge of ours",
        ),
        (json!({ "directory": DIRECTORY, "ca": "x", "terms_agreed": true }), "no PEM"),
    ];
    for (body, expected) in table {
        let problem = set(&house, &house.admin, body).await.problem(422);
        assert!(problem.message.contains(expected), "{}", problem.message);
    }
    house.delete("/v1/authority").await.problem(404);
    set(&house, &house.admin, good).await.ok::<Accepted>();
    let view: AuthorityView = house.get("/v1/authority").await.ok();
    assert_eq!((view.directory.as_deref(), view.internal_ca), (Some(DIRECTORY), None));
    let mut batch = Batch::new(None);
    let text = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\ny\n";
    batch.secret_put(&name(INSTALLATION), CA_SECRET, SecretValue::new(text.as_bytes().to_vec()), true);
    house.state.store.commit(batch).expect("committed");
    let view: AuthorityView = house.get("/v1/authority").await.ok();
    let own = view.internal_ca.expect("there");
    assert!(own.contains("END CERTIFICATE") && !own.contains("PRIVATE"), "{own}");
    house.delete("/v1/authority").await.ok::<Accepted>();
    assert!(house.state.store.get::<Authority>("public").expect("read").is_none());
}

#[tokio::test]
async fn nobody_takes_the_installation_s_name() {
    let house = House::new();
    house.post("/v1/apps/installation", json!(null)).await.problem(422);
    house.apply("installation", 1).await.problem(422);
}

#[tokio::test]
async fn what_fails_is_told_and_can_be_asked_for_again() {
    let house = House::new();
    house.add_host(1);
    house.apply("shop", 1).await.ok::<Accepted>();
    let renew = "/v1/apps/shop/certificates/shop.example.com/renew";
    house.post(renew, json!(null)).await.problem(404);
    let mut row = house.state.store.list::<Service>("shop/").expect("rows").remove(0);
    let host = Some("shop.example.com".to_owned());
    row.value.spec.routes = Some(vec![RouteSpec { host, tls: RouteTls::Internal, ..RouteSpec::new(80) }]);
    let mut batch = Batch::new(None);
    batch.put(&row.value, Expect::Rev(row.rev));
    let mut app = house.state.store.get::<Application>("shop").expect("read").expect("there");
    app.value.obtaining.push(Obtaining {
        failures: 3,
        next_at: NOW + 300_000,
        cause: Some("it said no".into()),
        ..Obtaining::new("shop.example.com", CertificateSource::Internal)
    });
    batch.put(&app.value, Expect::Rev(app.rev));
    house.state.store.commit(batch).expect("committed");
    let routes: Vec<RouteView> = house.get("/v1/routes?target=shop").await.ok();
    let told = routes[0].obtaining.clone().expect("told");
    assert!(told.contains("it said no; tried 3 times, again in 5m"), "{told}");
    let why: Explanation = house.get("/v1/why?target=shop").await.ok();
    assert!(why.lines.contains(&told), "{why:?}");
    house.call(&house.viewer, "POST", renew, "").await.problem(403);
    house.post(renew, json!(null)).await.ok::<Accepted>();
    let app = house.state.store.get::<Application>("shop").expect("read").expect("there").value;
    assert_eq!((app.obtaining[0].next_at, app.obtaining[0].asked), (0, true));
}
