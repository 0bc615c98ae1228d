//! What every store must do, whatever lies under it: functions over an open store, run by each backend's
//! tests.
//!
//! A new backend (PostgreSQL) writes one [`Make`] and walks [`CASES`]; a failed case panics with what it saw.

mod blobs;
mod feeds;
mod objects;
mod secrets;

use crate::{Batch, FixedGauge, Limits, ManualClock, Store};
use lace_model::Object;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A fresh, empty store with the clock and the disk that it looks at.
pub struct Fixture {
    /// The store.
    pub store: Store,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its disk.
    pub gauge: Arc<FixedGauge>,
}

/// Makes a fresh store with such bounds.
pub type Make<'a> = &'a dyn Fn(Limits) -> Fixture;

/// One case: its name, and what it does.
pub type Case = (&'static str, fn(Make<'_>));

/// Every case.
pub const CASES: &[Case] = &[
    ("objects are found by key and by prefix", objects::found),
    ("a batch expects what it says", objects::expectations),
    ("what is the same takes no revision", objects::same),
    ("a batch is whole or not at all", objects::whole),
    ("a batch sees its own steps", objects::own_steps),
    ("a view stands still", objects::view),
    ("writers at once lose nothing", objects::at_once),
    ("what is too large is refused", objects::too_large),
    ("a newer schema is not touched", objects::newer_schema),
    ("the feed has every change in order", feeds::changes),
    ("the feed is bounded, and says so", feeds::compaction),
    ("events have numbers without gaps", feeds::events),
    ("events are bounded in rows and bytes", feeds::events_bounded),
    ("the audit log is chained and moves to blobs", feeds::audit),
    ("followers are woken", feeds::watch),
    ("a full disk refuses new work only", feeds::full_disk),
    ("the state says what it is", feeds::meta),
    ("secrets have versions", secrets::versions),
    ("a removed secret's numbers do not come back", secrets::removed),
    ("old versions of secrets go", secrets::trimmed),
    ("secrets are copied with their versions", secrets::copied),
    ("blobs are kept by digest", blobs::kept),
    ("blobs that nothing names go when they are old", blobs::collected),
];

/// Runs every case against stores that `make` makes.
pub fn run(make: Make<'_>) {
    for (name, case) in CASES {
        // Shown where a case panics.
        eprintln!("case: {name}");
        case(make);
    }
}

/// An object for tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its key.
    pub key: String,
    /// Its content.
    pub text: String,
}

impl Note {
    /// A note.
    pub fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { key: key.into(), text: text.into() }
    }
}

impl Object for Note {
    const KIND: &'static str = "note";
    fn key(&self) -> String {
        self.key.clone()
    }
}

/// A batch made by `fill`.
pub fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new(None);
    fill(&mut batch);
    batch
}
