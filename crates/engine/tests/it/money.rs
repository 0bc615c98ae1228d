//! Hosts are charged while they are there, and whoever is on them pays.

use crate::hosts::{START, Scene};
use crate::machines::Estate;
use lace_model::family::Family;
use lace_model::host::Host;
use lace_model::machine::{BOOT_WITHIN, MachineState};
use lace_model::money::{Account, AccountName, Bill, Charge, ChargeReason, HOUR_MS, Meter, Month};
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_store::Clock;
use std::collections::BTreeMap;

const SHOP: &str = "shop/web/web";
const BLOG: &str = "blog/web/web";

fn ledger(scene: &Scene) -> Vec<Charge> {
    scene.store.list::<Charge>("").expect("readable").into_iter().map(|row| row.value).collect()
}

fn sums(rows: &[Charge]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (account, micro) in rows.iter().flat_map(|row| &row.lines) {
        *sums.entry(account.to_string()).or_default() += micro;
    }
    sums
}

/// The sums of accounts are those of the ledger.
fn balanced(scene: &Scene) {
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for account in scene.store.list::<Account>("").expect("readable") {
        let sum = account.value.months.values().flat_map(BTreeMap::values).sum();
        told.insert(account.value.name.to_string(), sum);
    }
    let mut sums = sums(&ledger(scene));
    for bill in scene.store.list::<Bill>("").expect("readable") {
        for (account, micro) in bill.value.lines {
            *sums.entry(account.to_string()).or_default() += micro;
        }
    }
    assert_eq!(told, sums);
}

/// Hours go by in which nobody does anything but the engine.
fn idle(scene: &mut Scene, hours: u64) {
    for _ in 0..hours {
        scene.clock.advance(HOUR_MS);
        let heard = scene.obey();
        scene.turn(heard);
    }
}

fn priced(scene: &Scene, text: &str) {
    scene.change::<Pool>("cheap", |pool| {
        pool.price = Some(lace_model::pool::Price::said(text, START).expect("a price"))
    });
}

#[tokio::test]
async fn a_host_is_charged_from_when_it_was_made_until_it_is_gone_to_those_on_it() {
    let mut estate = Estate::new();
    // A node claims 250 thousandths of a processor and 128 MiB of a host of 8,000 and 4,096 MiB: 1/32 of it.
    estate.scene.serve(SHOP, 2, vec![]);
    estate.pass(30).await;
    assert_eq!(estate.states(), [("cheap-1".to_owned(), MachineState::Joined)]);
    let began = estate.scene.store.list::<Meter>("").expect("readable")[0].value.began;
    idle(&mut estate.scene, 50);
    estate.scene.restart_controller();
    idle(&mut estate.scene, 50);
    estate.scene.serve(BLOG, 1, vec![]);
    estate.pass(5).await;
    idle(&mut estate.scene, 100);
    let host = estate.rows()[0].id.to_string();
    for family in [SHOP, BLOG] {
        estate.scene.change::<Family>(family, |family| family.count = 0);
    }
    estate.pass(5).await;
    estate.scene.change::<Host>(&host, |host| host.removing = true);
    estate.pass(20).await;
    assert_eq!((estate.states(), estate.scene.store.list::<Meter>("").expect("readable").len()), (vec![], 0));
    let rows = ledger(&estate.scene);
    let ended = rows.iter().map(|row| row.until).max().expect("rows");
    let whole: i64 = rows.iter().map(Charge::micro).sum();
    assert_eq!(whole as u64, 10_000 * (ended - began) / HOUR_MS, "0.01 an hour, to the last millionth");
    let mut covered = 0;
    rows.iter().for_each(|row| covered += row.until - row.from);
    assert!(ended - began - covered < 2_000, "what has no row is worth less than a millionth");
    let sums = sums(&rows);
    let near = |account: &str, micro: i64| {
        let paid = sums[account];
        assert!((paid - micro).abs() < 60, "{account} pays {paid}, not {micro}");
    };
    near("shop", 10_000 * 200 / 16);
    near("blog", 10_000 * 100 / 32);
    balanced(&estate.scene);
}

#[tokio::test]
async fn a_machine_that_never_joins_is_given_back() {
    let mut estate = Estate::new();
    estate.boots = false;
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(30).await;
    priced(&estate.scene, "0.03");
    estate.pass(5).await;
    assert_eq!(sums(&ledger(&estate.scene)).len(), 1, "while it boots its pool pays");
    estate.scene.clock.advance(BOOT_WITHIN.ms());
    estate.pass(5).await;
    let rows: Vec<Charge> =
        ledger(&estate.scene).into_iter().filter(|row| row.pool.as_str() == "cheap").collect();
    assert_eq!(rows.iter().map(Charge::micro).sum::<i64>(), 0);
    assert!(rows.iter().any(|row| row.reason == ChargeReason::Refund));
    balanced(&estate.scene);
}

#[tokio::test]
async fn a_discount_makes_a_pool_the_cheapest_and_is_taken_off() {
    let mut estate = Estate::new();
    estate.scene.change::<Pool>("dear", |pool| drop(pool.attributes.insert("discount".into(), "75%".into())));
    estate.scene.change::<Provider>("moon", |moon| moon.discount = Some("10%".parse().expect("a discount")));
    estate.scene.serve(SHOP, 1, vec![]);
    estate.pass(30).await;
    let meters = estate.scene.store.list::<Meter>("").expect("readable");
    assert_eq!((meters[0].value.name.as_str(), meters[0].value.price.micro_per_hour), ("dear-1", 5_000));
    estate.scene.change::<Pool>("dear", |pool| drop(pool.attributes.remove("discount")));
    estate.pass(2).await;
    let meters = estate.scene.store.list::<Meter>("").expect("readable");
    assert_eq!(meters[0].value.price.micro_per_hour, 18_000, "the provider's own, and from now on");
}

#[tokio::test]
async fn a_host_that_a_person_put_into_a_pool_is_charged_from_then_on() {
    let mut estate = Estate::new();
    estate.scene = Scene::new(1);
    let mut batch = lace_store::Batch::new(None);
    batch.put(&crate::machines::pool("rack", "moon-a", "1.00"), lace_store::Expect::Absent);
    estate.scene.store.commit(batch).expect("a pool");
    idle(&mut estate.scene, 5);
    let host = estate.scene.store.list::<Host>("").expect("readable")[0].value.id.to_string();
    assert!(estate.scene.store.list::<Meter>("").expect("readable").is_empty());
    estate.scene.change::<Host>(&host, |host| host.pool = Some("rack".parse().expect("a name")));
    estate.scene.turn(vec![]);
    idle(&mut estate.scene, 3);
    estate.scene.change::<Host>(&host, |host| host.pool = None);
    estate.scene.turn(vec![]);
    let idle: AccountName = "idle/rack".parse().expect("an account");
    let account = estate.scene.store.get::<Account>("idle/rack").expect("readable").expect("there").value;
    assert_eq!(account.micro(Month::of(START), "USD"), 3_000_000);
    assert_eq!(sums(&ledger(&estate.scene)), [(idle.to_string(), 3_000_000)].into());
}

#[tokio::test]
async fn months_of_long_ago_become_bills_and_not_a_millionth_is_lost() {
    let mut estate = Estate::new();
    estate.scene.serve(SHOP, 3, vec![]);
    estate.pass(30).await;
    for _ in 0..200 {
        estate.scene.clock.advance(24 * HOUR_MS);
        estate.scene.turn(vec![]);
    }
    let before: i64 = ledger(&estate.scene).iter().map(Charge::micro).sum();
    lace_engine::keep_house(&estate.scene.store).expect("kept");
    lace_engine::keep_house(&estate.scene.store).expect("kept twice");
    let bills = estate.scene.store.list::<Bill>("").expect("readable");
    let billed: i64 = bills.iter().flat_map(|row| row.value.lines.values()).sum();
    let rows = ledger(&estate.scene);
    assert_eq!(before, billed + rows.iter().map(Charge::micro).sum::<i64>());
    let oldest = rows.iter().map(|row| row.from).min().expect("rows");
    assert!(estate.scene.clock.now_ms() - oldest <= 93 * 24 * HOUR_MS, "three months are kept in rows");
    balanced(&estate.scene);
}

#[tokio::test]
async fn what_an_hour_costs_now_is_what_thirty_days_of_it_cost() {
    let mut estate = Estate::new();
    estate.scene.serve(SHOP, 3, vec![]);
    estate.scene.serve(BLOG, 1, vec![]);
    estate.pass(60).await;
    let meters = estate.scene.store.list::<Meter>("").expect("readable");
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for meter in meters.iter().map(|row| &row.value) {
        for (account, micro) in lace_planner::money::divide(meter.price.micro_per_hour, &meter.shares) {
            *told.entry(account.to_string()).or_default() += micro * 720;
        }
    }
    let before = sums(&ledger(&estate.scene));
    for _ in 0..30 {
        idle(&mut estate.scene, 24);
        estate.scene.restart_controller();
    }
    // Everybody leaves, which closes the rows.
    for family in [SHOP, BLOG] {
        estate.scene.change::<Family>(family, |family| family.count = 0);
    }
    estate.scene.turn(vec![]);
    let heard = estate.scene.obey();
    estate.scene.turn(heard);
    let after = sums(&ledger(&estate.scene));
    assert_eq!(told.keys().collect::<Vec<_>>(), ["blog", "idle/cheap", "shop"]);
    for (account, told) in told {
        let paid = after[&account] - before.get(&account).copied().unwrap_or_default();
        assert!((paid - told).abs() * 100 <= told, "{account}: {told} told, {paid} paid");
    }
    balanced(&estate.scene);
}
