//! The store's tests: one binary.

mod conforms;
mod crash;
mod damage;
mod model;
mod restore;

use lace_store::conformance::{Fixture, Note};
use lace_store::{Clock, FixedGauge, Limits, ManualClock, MasterKey, Options, Store};
use std::path::Path;
use std::sync::Arc;

/// When the tests' clocks begin: some day in 2026.
const START: u64 = 1_790_000_000_000;

fn key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

fn open(dir: &Path) -> Store {
    Store::open(dir, key(), clock()).expect("opened")
}

fn parts(limits: Limits) -> (Arc<ManualClock>, Arc<FixedGauge>, Options) {
    let gauge = Arc::new(FixedGauge::default());
    let options = Options { limits, gauge: Some(gauge.clone()) };
    (clock(), gauge, options)
}

fn on_disk(dir: &Path, limits: Limits) -> Fixture {
    let (clock, gauge, options) = parts(limits);
    let time: Arc<dyn Clock> = clock.clone();
    let store = Store::open_with(dir, key(), time, options).expect("opened");
    Fixture { store, clock, gauge }
}

fn in_memory(limits: Limits) -> Fixture {
    let (clock, gauge, options) = parts(limits);
    let time: Arc<dyn Clock> = clock.clone();
    let store = Store::open_in_memory_with(key(), time, options).expect("opened");
    Fixture { store, clock, gauge }
}

fn texts(store: &Store) -> Vec<(String, String, u64)> {
    let rows = store.list::<Note>("").expect("listed");
    rows.into_iter().map(|r| (r.value.key, r.value.text, r.rev.0)).collect()
}
