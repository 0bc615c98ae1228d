//! The numbers of the door: by route, family and node.
//!
//! A tally lives as long as a table or a request knows it, so there are never more than routes, families and nodes;
//! nothing that a client says makes one.

use http::StatusCode;
use lace_model::traffic::{BUCKETS_MS, Carried, SERIES_MAX, Series};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Counts for one route, family or node.
#[derive(Default)]
pub(crate) struct Tally {
    of: String,
    classes: [AtomicU64; 5],
    received: AtomicU64,
    sent: AtomicU64,
    open: AtomicU64,
    waiting: AtomicU64,
    time_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MS.len()],
    /// By code; there are only as many as the door has faults.
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    pub fn enter(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub fn begins_to_wait(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    pub fn ends_to_wait(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    pub fn answered(&self, status: StatusCode, after: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.classes[class].fetch_add(1, Relaxed);
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.time_us.fetch_add(us, Relaxed);
        if let Some(at) = BUCKETS_MS.iter().position(|bound| us <= bound * 1_000) {
            self.buckets[at].fetch_add(1, Relaxed);
        }
    }

    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
    }

    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Relaxed);
    }

    pub fn fault(&self, code: &'static str) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub fn carried(&self) -> Carried {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        Carried {
            classes: self.classes.each_ref().map(|n| n.load(Relaxed)),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            open: self.open.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            time_us: self.time_us.load(Relaxed),
            buckets: self.buckets.each_ref().map(|n| n.load(Relaxed)),
            faults: faults.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
        }
    }
}

/// The tallies of one sort by name. One that is still known is taken again by the next table.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<HashMap<String, Weak<Tally>>>);

impl Ledger {
    pub fn get(&self, name: &str, of: &str) -> Arc<Tally> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = known.get(name).and_then(Weak::upgrade).filter(|tally| tally.of == of) {
            return tally;
        }
        let tally = Arc::new(Tally { of: of.to_owned(), ..Tally::default() });
        known.insert(name.to_owned(), Arc::downgrade(&tally));
        tally
    }

    pub fn forget_dead(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, weak| weak.strong_count() > 0);
    }

    /// Requests that wait for a node.
    pub fn waiting(&self) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(Weak::upgrade).map(|tally| tally.waiting()).sum()
    }

    /// Those that carried something, the busiest first; and how many there was no room for.
    pub fn series(&self) -> (Vec<Series>, u64) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let living = known.iter().filter_map(|(name, weak)| Some((name.clone(), weak.upgrade()?)));
        let series = |(name, tally): (String, Arc<Tally>)| Series {
            name,
            of: tally.of.clone(),
            carried: tally.carried(),
        };
        let mut all: Vec<Series> = living.map(series).filter(|s| s.carried != Carried::default()).collect();
        all.sort_by(|a, b| {
            (Reverse(a.carried.answers()), &a.name).cmp(&(Reverse(b.carried.answers()), &b.name))
        });
        let left_out = all.len().saturating_sub(SERIES_MAX);
        all.truncate(SERIES_MAX);
        (all, left_out as u64)
    }
}

/// All books of a door.
#[derive(Default)]
pub(crate) struct Books {
    pub routes: Ledger,
    pub families: Ledger,
    pub nodes: Ledger,
    /// What belongs to no route.
    pub stray: Arc<Tally>,
}

impl Books {
    pub fn forget_dead(&self) {
        [&self.routes, &self.families, &self.nodes].into_iter().for_each(Ledger::forget_dead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fall_into_classes_and_buckets() {
        let tally = Tally::default();
        for (status, ms) in [(200, 1), (204, 7), (302, 10), (404, 11), (503, 60_000)] {
            tally.answered(StatusCode::from_u16(status).expect("a status"), Duration::from_millis(ms));
        }
        tally.fault("timeout");
        let carried = tally.carried();
        assert_eq!(carried.classes, [0, 2, 1, 1, 1]);
        assert_eq!(carried.buckets[..4], [1, 0, 2, 1]);
        assert_eq!(carried.buckets.iter().sum::<u64>(), 4, "the last took longer than any bound");
        assert_eq!(carried.time_us, 60_029_000);
        assert_eq!(carried.faults["timeout"], 1);
    }

    #[test]
    fn there_are_as_many_series_as_names_and_no_more_than_fit() {
        let ledger = Ledger::default();
        let held: Vec<_> = (0..SERIES_MAX + 3).map(|n| ledger.get(&n.to_string(), "shop/web")).collect();
        held.iter().for_each(|tally| tally.received(1));
        held[7].answered(StatusCode::OK, Duration::ZERO);
        let (series, left_out) = ledger.series();
        assert_eq!((series.len(), left_out, series[0].name.as_str()), (SERIES_MAX, 3, "7"));
        assert!(Arc::ptr_eq(&held[7], &ledger.get("7", "shop/web")), "a new table goes on with the numbers");
        drop(held);
        ledger.forget_dead();
        assert_eq!(ledger.series(), (Vec::new(), 0));
    }
}
