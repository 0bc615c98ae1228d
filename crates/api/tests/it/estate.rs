//! Providers and pools.

use crate::house::House;
use lace_model::machine::Machine;
use lace_model::money::{Account, Charge, ChargeReason, HOUR_MS, Meter, Month};
use lace_model::pool::{Pool, Price};
use lace_model::provider::Provider;
use lace_model::{Code, Name};
use lace_wire::api::{Accepted, AccountsView};
use serde_json::{Value, json};

async fn put(house: &House, path: &str, body: Value) -> crate::house::Got {
    house.call(&house.admin, "PUT", path, body.to_string()).await
}

fn ec2() -> Value {
    let credentials = json!({ "access-key-id": "AKIAEXAMPLE", "secret-access-key": "very-secret-words" });
    json!({ "kind": "ec2", "region": "eu-west-1", "credentials": credentials })
}

#[tokio::test]
async fn credentials_are_sealed_and_never_come_out() {
    let house = House::new();
    let accepted: Accepted = house.post("/v1/providers/my-ec2", ec2()).await.ok();
    assert!(accepted.message.contains("sealed") && !accepted.message.contains("very-secret-words"));
    let got = house.get("/v1/providers").await;
    let providers: Vec<Provider> = got.json();
    assert_eq!(providers[0].credentials, ["access-key-id", "secret-access-key"]);
    for path in ["/v1/providers", "/v1/events", "/v1/audit", "/v1/pools"] {
        let text = format!("{:?}", house.get(path).await.body);
        assert!(!text.contains("very-secret-words") && !text.contains("AKIAEXAMPLE"), "{path}");
    }
    let vault = Name::new("lace-providers").expect("a name");
    let sealed = house.state.store.secret_get(&vault, "my-ec2", None).expect("read").expect("there");
    assert!(String::from_utf8_lossy(sealed.0.expose()).contains("very-secret-words"));
    // One of them anew: the others stay.
    let anew = json!({ "credentials": { "secret-access-key": "other-words" } });
    put(&house, "/v1/providers/my-ec2", anew).await.ok::<Accepted>();
    let sealed = house.state.store.secret_get(&vault, "my-ec2", None).expect("read").expect("there");
    let text = String::from_utf8_lossy(sealed.0.expose()).into_owned();
    assert!(text.contains("other-words") && text.contains("AKIAEXAMPLE"));
    house.delete("/v1/providers/my-ec2").await.ok::<Accepted>();
    assert!(house.state.store.secret_get(&vault, "my-ec2", None).expect("read").is_none());
    let problem = house.post("/v1/apps/lace-providers", Value::Null).await.problem(422);
    assert_eq!(problem.code, Code::Usage, "no application shares the sealed names");
}

#[tokio::test]
async fn mistakes_about_providers_are_named() {
    let house = House::new();
    let check = async |body: Value, status: u16, part: &str| {
        let problem = house.post("/v1/providers/p", body).await.problem(status);
        let told = format!("{} {}", problem.message, problem.hint.unwrap_or_default());
        assert!(told.contains(part), "{told}");
    };
    check(json!({}), 422, "no kind").await;
    check(json!({ "kind": "ec2", "credentials": { "password": "x" } }), 422, "access-key-id").await;
    check(json!({ "kind": "ec2", "credentials": { "access-key-id": "x" } }), 422, "secret-access-key").await;
    check(json!({ "kind": "ec2", "endpoint": "ftp://x" }), 422, "https://").await;
    check(json!({ "kind": "ssh", "region": "eu" }), 422, "no regions").await;
    house.post("/v1/providers/p", json!({ "kind": "ssh" })).await.ok::<Accepted>();
    check(json!({ "kind": "ssh" }), 409, "lace provider set p").await;
    let problem = put(&house, "/v1/providers/p", json!({ "kind": "sim" })).await.problem(409);
    assert!(problem.message.contains("ssh"));
    assert_eq!(put(&house, "/v1/providers/q", json!({})).await.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn pools_have_a_price_and_are_kept_while_somebody_uses_them() {
    let house = House::new();
    house.add_host(1);
    house.post("/v1/providers/my-ec2", ec2()).await.ok::<Accepted>();
    let body = json!({ "provider": "my-ec2", "zone": "a", "attributes": { "disk": "ssd" },
        "price_per_hour": "0.0228" });
    house.post("/v1/pools/eu-small", body).await.ok::<Accepted>();
    let pools: Vec<Pool> = house.get("/v1/pools").await.ok();
    let price = pools[0].price.clone().expect("a price");
    assert_eq!((price.micro_per_hour, price.currency.as_str()), (22_800, "USD"));
    assert_eq!(pools[0].known()["region"], "eu-west-1", "the provider's");
    let problem = put(&house, "/v1/pools/eu-small", json!({ "price_per_hour": "0" })).await.problem(422);
    assert!(problem.message.contains("no price"), "{problem:?}");
    let problem = house.delete("/v1/providers/my-ec2").await.problem(409);
    assert!(problem.message.contains("eu-small"));

    put(&house, "/v1/hosts/alpha1", json!({ "pool": "eu-small" })).await.ok::<Accepted>();
    let problem = house.delete("/v1/pools/eu-small").await.problem(409);
    assert!(problem.message.contains("host alpha1"), "{problem:?}");
    put(&house, "/v1/hosts/alpha1", json!({ "pool": "" })).await.ok::<Accepted>();
    put(&house, "/v1/hosts/alpha1", json!({ "pool": "nowhere" })).await.problem(404);
    let id = crate::house::host_id(1);
    house.add_machine(id, "eu-small");
    let problem = house.delete("/v1/pools/eu-small").await.problem(409);
    assert!(problem.message.contains("the machine of host alpha1"), "{problem:?}");
    let mut batch = lace_store::Batch::new(None);
    batch.delete::<Machine>(&id.to_string(), lace_store::Expect::Any);
    house.state.store.commit(batch).expect("gone");
    house.delete("/v1/pools/eu-small").await.ok::<Accepted>();
    assert!(house.get("/v1/pools").await.ok::<Vec<Pool>>().is_empty());
}

/// A host that cost 2 EUR an hour for an hour, of which shop paid a quarter, and has gone on for half an hour since.
fn metered(house: &House) {
    let now = lace_store::Clock::now_ms(house.clock.as_ref());
    let host = crate::house::host_id(1);
    let pool = Name::new("eu").expect("a name");
    let (shop, idle) = ("shop".parse().expect("shop"), "idle/eu".parse().expect("idle"));
    let (from, until) = (now - HOUR_MS * 3 / 2, now - HOUR_MS / 2);
    let charge = Charge {
        month: Month::of(now),
        host,
        name: Name::new("alpha1").expect("a name"),
        pool: pool.clone(),
        reason: ChargeReason::Ran,
        currency: "EUR".into(),
        from,
        until,
        lines: [(shop, 500_000), (idle, 1_500_000)].into(),
    };
    let mut batch = lace_store::Batch::new(None);
    for name in charge.lines.keys() {
        let mut account = Account::new(name.clone());
        account.enter(&charge);
        batch.put(&account, lace_store::Expect::Absent);
    }
    let meter = Meter {
        host,
        name: charge.name.clone(),
        pool,
        price: Price::said("2 EUR", from).expect("a price"),
        unit_ms: 1_000,
        began: from,
        until,
        owed: 0,
        shares: charge.lines.iter().map(|(who, micro)| (who.clone(), micro.unsigned_abs())).collect(),
        joined: true,
        refundable: Default::default(),
        refundable_before: Default::default(),
    };
    batch.put(&meter, lace_store::Expect::Absent);
    batch.put(&charge, lace_store::Expect::Absent);
    house.state.store.commit(batch).expect("metered");
}

#[tokio::test]
async fn accounts_tell_what_was_charged_and_what_has_run_up_since() {
    let house = House::new();
    metered(&house);
    let view: AccountsView = house.get("/v1/accounts").await.ok();
    let told: Vec<_> =
        view.accounts.iter().map(|a| (a.account.as_str(), a.micro, a.micro_per_hour)).collect();
    assert_eq!(told, [("shop", 750_000, 500_000), ("idle/eu", 2_250_000, 1_500_000)]);
    let hosts: Vec<_> = view.hosts.iter().map(|h| (h.host.as_str(), h.micro, h.micro_per_hour)).collect();
    assert_eq!(hosts, [("alpha1", 3_000_000, 2_000_000)]);
    let rows: Vec<Charge> = house.get("/v1/charges?account=shop").await.ok();
    assert_eq!(rows.iter().map(Charge::micro).sum::<i64>(), 2_000_000);
    assert!(house.get("/v1/charges?account=blog").await.ok::<Vec<Charge>>().is_empty());
    // Who is limited to an application sees what that one pays, and nothing of others.
    let own = async |path: &str| house.call(&house.shop, "GET", path, axum::body::Body::empty()).await;
    let view: AccountsView = own("/v1/accounts").await.ok();
    let told: Vec<_> = view.accounts.iter().map(|a| (a.account.as_str(), a.micro)).collect();
    assert_eq!((told, view.hosts.len()), (vec![("shop", 750_000)], 0));
    let rows: Vec<Charge> = own("/v1/charges").await.ok();
    assert_eq!(rows.iter().map(Charge::micro).sum::<i64>(), 500_000);
    assert!(own("/v1/charges?account=idle/eu").await.ok::<Vec<Charge>>().is_empty());
    let past: AccountsView = house.get("/v1/accounts?month=2001-01").await.ok();
    assert_eq!(past.hosts.iter().map(|h| h.micro).sum::<i64>(), 0);
    assert_eq!(house.get("/v1/accounts?month=soon").await.problem(422).code, Code::Usage);
    assert_eq!(house.get("/v1/charges?account=No").await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn what_is_said_of_money_must_be_understood() {
    let house = House::new();
    house.post("/v1/providers/my-ec2", ec2()).await.ok::<Accepted>();
    put(&house, "/v1/providers/my-ec2", json!({ "discount": "7.5%" })).await.ok::<Accepted>();
    let providers: Vec<Provider> = house.get("/v1/providers").await.ok();
    assert_eq!(providers[0].discount.map(|d| d.to_string()).as_deref(), Some("7.5%"));
    put(&house, "/v1/providers/my-ec2", json!({ "discount": "100%" })).await.problem(422);
    put(&house, "/v1/providers/my-ec2", json!({ "discount": "" })).await.ok::<Accepted>();
    assert_eq!(house.get("/v1/providers").await.ok::<Vec<Provider>>()[0].discount, None);
    for (name, bad) in [("billing", "day"), ("discount", "half")] {
        let body = json!({ "provider": "my-ec2", "attributes": { name: bad } });
        let problem = house.post("/v1/pools/eu", body).await.problem(422);
        assert!(problem.message.contains(bad), "{problem:?}");
    }
    let body = json!({ "provider": "my-ec2", "attributes": { "billing": "hour", "discount": "10%" } });
    house.post("/v1/pools/eu", body).await.ok::<Accepted>();
}

#[tokio::test]
async fn a_plan_tells_what_it_costs_and_never_takes_an_unknown_price_for_nothing() {
    let house = House::with_liveness(crate::house::connected(&[1]));
    let host = house.add_host(1);
    house.post("/v1/providers/my-ec2", ec2()).await.ok::<Accepted>();
    house
        .post("/v1/pools/eu", json!({ "provider": "my-ec2", "price_per_hour": "20" }))
        .await
        .ok::<Accepted>();
    put(&house, "/v1/providers/my-ec2", json!({ "discount": "50%" })).await.ok::<Accepted>();
    let wanted = crate::house::request("shop", 2);
    let cost = async |house: &House| {
        let plan: lace_model::change::Plan = house.post("/v1/apps/shop/plan", json!(wanted)).await.ok();
        plan.cost.expect("a cost")
    };
    let unknown = cost(&house).await;
    assert!(unknown.now.is_nothing() && unknown.after.unknown == 1, "{unknown:?}");
    put(&house, "/v1/hosts/alpha1", json!({ "pool": "eu" })).await.ok::<Accepted>();
    let known = cost(&house).await;
    // Half of 10 an hour, the discount taken off, by 500 of 64,000 thousandths, and half by 256 of 262,144 MiB.
    assert_eq!(known.after.micro_per_hour, [("USD".to_owned(), 39_063 + 4_883 - 1)].into());
    assert_eq!(
        (known.pools[0].price.as_ref().expect("a price").micro_per_hour, known.after.unknown),
        (10_000_000, 0)
    );
    assert_eq!(known.services[0].after, known.after);
    // Why says the same price.
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    house.place("shop/game/game", 2, host);
    let why: lace_wire::api::Explanation = house.get("/v1/why?target=shop/game/1").await.ok();
    assert!(why.lines.iter().any(|line| line.contains("pool eu, 10.00 USD per hour")), "{why:?}");
}
