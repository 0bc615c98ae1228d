//! What Lace keeps: objects with revisions, the feed of their changes, events, the audit log, sealed secrets,
//! blobs.
//!
//! This is the only room that knows SQL. It keeps the ids that it is given, owns the transaction, and decides
//! nothing. Heartbeats, metrics and logs never come in here.
//!
//! - One writer thread takes all waiting batches, runs each in its own savepoint of one transaction, and syncs the
//!   disk once for all of them ([`Store::commit`]). In memory the same code runs inline, without a thread.
//! - Revisions come from one counter inside the transaction: the order of commits is the order of revisions.
//! - A batch is written as a whole or not at all; what it expects of other rows is checked in the same transaction.
//! - Readers have connections of their own and never wait for the writer.
//! - Everything has a bound; the bounds and their reasons are in [`limits`].

mod apply;
mod audit;
mod backup;
mod batch;
mod blob;
mod clock;
mod compact;
#[cfg(feature = "conformance")]
pub mod conformance;
mod disk;
mod error;
mod event;
mod heads;
mod key;
pub mod limits;
mod meta;
mod object;
mod open;
mod reader;
mod reserve;
mod schema;
mod scribe;
mod secret;
mod segment;
mod store;
mod text;
mod writer;

pub use audit::{AuditReport, AuditRow};
pub use backup::Copied;
pub use batch::{Batch, Committed, Expect};
pub use blob::{Blobs, Collected};
pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{DiskGauge, DiskUsage, FixedGauge, StatvfsGauge};
pub use error::{Result, StoreError};
pub use key::MasterKey;
pub use limits::Limits;
pub use meta::Meta;
pub use object::{ChangeRow, Rev, Row};
pub use open::Options;
pub use reader::View;
pub use secret::SecretValue;
pub use segment::AuditSegment;
pub use store::Store;
