//! Hosts are charged while they are there, and whoever is on them pays.

use crate::hosts::{START, Scene};
use crate::machines::Estate as Moon;
use lace_model::family::Family;
use lace_model::host::Host;
use lace_model::machine::{BOOT_WITHIN, MachineState};
use lace_model::money::{Account, AccountName, Bill, Charge, ChargeReason, HOUR_MS, Meter, Month};
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_model::revision::{Limits, Revision};
use lace_planner::{Edit, Estate, forecast};
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
    let mut estate = Moon::new();
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
    let mut estate = Moon::new();
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
    let mut estate = Moon::new();
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
    let mut estate = Moon::new();
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
    let mut estate = Moon::new();
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
    let mut estate = Moon::new();
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

/// What there is, as a plan would read it.
fn estate_of(scene: &Scene) -> Estate {
    fn all<T: lace_model::Object>(scene: &Scene) -> Vec<T> {
        scene.store.list::<T>("").expect("readable").into_iter().map(|row| row.value).collect()
    }
    let mut estate = Estate {
        hosts: all(scene),
        machines: all(scene),
        pools: all(scene),
        providers: all(scene),
        targets: all(scene),
        now: scene.clock.now_ms(),
        ..Estate::default()
    };
    estate.families = all::<Family>(scene).into_iter().map(|family| (family.path.clone(), family)).collect();
    for revision in all::<Revision>(scene) {
        let of_service = estate.revisions.entry(revision.service.clone()).or_default();
        of_service.insert(revision.number, revision);
    }
    estate
}

/// What an application pays an hour by the forecast, against thirty days of the ledger.
async fn forecast_holds(estate: &mut Moon, count: u32, limits: Option<(&str, &str)>) {
    let app: lace_model::AppName = "shop".parse().expect("a name");
    let mut rows = estate_of(&estate.scene);
    let mut edit = Edit::default();
    let mut family = rows.families.values().find(|family| family.path.app == app).expect("there").clone();
    family.count = count;
    if let Some((cpu, memory)) = limits {
        family.revision += 1;
        let mut revision = rows.revisions[&family.path.service_path()][&(family.revision - 1)].clone();
        revision.number = family.revision;
        let limits = Limits {
            cpu: cpu.parse().expect("cpu"),
            memory: memory.parse().expect("memory"),
            ..Limits::default()
        };
        revision.spec.family_limits.insert(family.path.family.clone(), limits);
        edit.revisions.push(revision);
    }
    edit.families.push(family.clone());
    let cost = forecast(&app, &rows, &edit);
    let hosts = rows.hosts.len();
    // Done, and settled.
    let mut batch = lace_store::Batch::new(None);
    for revision in &edit.revisions {
        batch.put(revision, lace_store::Expect::Absent);
    }
    batch.put(&family, lace_store::Expect::Any);
    estate.scene.store.commit(batch).expect("applied");
    let service = family.path.service_path().to_string();
    estate
        .scene
        .change::<lace_model::family::Service>(&service, |service| service.revision = family.revision);
    estate.pass(120).await;
    let before = paid(&estate.scene, "shop");
    for _ in 0..30 {
        idle(&mut estate.scene, 24);
    }
    let paid = paid(&estate.scene, "shop") - before;
    let told = cost.after.micro_per_hour.get("USD").copied().unwrap_or_default() * 720;
    assert!((paid - told).abs() * 100 <= told.max(1), "{told} told, {paid} paid: {cost:?}");
    rows = estate_of(&estate.scene);
    let ordered: u32 = cost.pools.iter().map(|pool| pool.ordered).sum();
    assert_eq!(rows.hosts.len(), hosts + ordered as usize, "as many hosts came as were told: {cost:?}");
    let again = forecast(&app, &rows, &Edit::default());
    assert_eq!((&again.now, &again.now), (&cost.after, &again.after), "and it is so now");
}

/// What an account has paid by now, in millionths.
fn paid(scene: &Scene, account: &str) -> i64 {
    let meters = scene.store.list::<Meter>("").expect("readable");
    let now = scene.clock.now_ms();
    let mut rows = ledger(scene);
    rows.extend(meters.iter().flat_map(|meter| lace_planner::money::accrued(&meter.value, now)));
    sums(&rows).get(account).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_plan_tells_what_the_ledger_charges_within_a_hundredth() {
    let mut estate = Moon::new();
    estate.scene.serve(BLOG, 1, vec![]);
    estate.pass(60).await;
    estate.scene.serve(SHOP, 0, vec![]);
    estate.pass(5).await;
    forecast_holds(&mut estate, 2, None).await;
    // More than one host takes: others are ordered.
    forecast_holds(&mut estate, 9, None).await;
    // Each node takes more.
    forecast_holds(&mut estate, 5, Some(("1", "512MiB"))).await;
    forecast_holds(&mut estate, 1, None).await;
}

#[tokio::test]
async fn a_plan_never_takes_an_unknown_price_for_nothing() {
    let mut estate = Moon::new();
    for pool in ["dear", "cheap"] {
        estate.scene.change::<Pool>(pool, |pool| pool.price = None);
    }
    estate.scene.serve(SHOP, 2, vec![]);
    let app: lace_model::AppName = "shop".parse().expect("a name");
    let cost = forecast(&app, &estate_of(&estate.scene), &Edit::default());
    assert!(cost.now.is_nothing() && cost.after.unknown == 2, "{cost:?}");
    assert_eq!(cost.after.hour(), "unknown for 2 hosts");
    assert!(cost.notes.iter().any(|note| note.contains("nobody knows the size")), "{cost:?}");
}

#[tokio::test]
async fn a_plan_keeps_currencies_apart_and_tells_of_idle_hosts() {
    let mut estate = Moon::new();
    estate.scene.change::<Pool>("cheap", |pool| {
        (pool.price, pool.hosts_max) =
            (Some(lace_model::pool::Price::said("0.01 EUR", START).expect("a price")), Some(1));
    });
    estate.scene.serve(SHOP, 6, vec![]);
    estate.pass(90).await;
    let app: lace_model::AppName = "shop".parse().expect("a name");
    let rows = estate_of(&estate.scene);
    let currencies = |rate: &lace_model::money::Rate| rate.micro_per_hour.keys().cloned().collect::<Vec<_>>();
    let mut family = rows.families.values().next().expect("there").clone();
    family.count = 0;
    let cost = forecast(&app, &rows, &Edit { families: vec![family], ..Edit::default() });
    assert_eq!(currencies(&cost.now), ["EUR", "USD"], "{cost:?}");
    assert!(cost.after.is_nothing());
    assert_eq!(cost.pools.iter().map(|pool| pool.idle).sum::<u32>(), 2, "{cost:?}");
    assert!(cost.pools.iter().all(|pool| pool.now == pool.after), "who is idle is paid for all the same");
}
