//! The bounds of the store, each with its reason.

/// Longest key, in bytes: a node path of three names of 39 characters and an index fits four times.
pub const KEY_BYTES_MAX: usize = 512;

/// Largest object, in bytes of JSON: a target of 20,000 nodes has about 5 MB.
pub const OBJECT_BYTES_MAX: usize = 8 << 20;

/// Most steps of one batch: a longer one holds up every other writer for more than about 100 ms.
pub const BATCH_STEPS_MAX: usize = 10_000;

/// Most bytes of one batch: what a small controller can hold a few times over.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// Most batches in one transaction: beyond this the sync is a small share of the work, and the first waits
/// too long.
pub const GROUP_BATCHES_MAX: usize = 256;

/// Most batches that wait through [`crate::Store::commit_async`]; more wait outside, without a place in the
/// queue. Callers of the blocking form are bounded by their threads.
pub const QUEUE_BATCHES_MAX: usize = 1024;

/// Read connections at a time; more readers wait. Each may hold 2 MB of pages (SQLite's default cache).
pub const READERS_MAX: usize = 8;

/// Rows of the change feed that are kept. A follower that is further behind lists again, which costs less
/// than replaying as many changes. With keys of at most 512 bytes they take at most about 55 MB, usually 6
/// MB.
pub const CHANGES_ROWS_MAX: u64 = 100_000;

/// Events that are kept: some weeks of a busy installation.
pub const EVENTS_ROWS_MAX: u64 = 200_000;

/// Bytes of events that are kept.
pub const EVENTS_BYTES_MAX: u64 = 64 << 20;

/// Longest message of an event or audit row, in bytes; a longer one is cut. It is one sentence for people.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Compaction waits until so many rows are over the bound, so that it is one delete of a range in many
/// commits.
pub const COMPACT_STEP_ROWS: u64 = 1000;

/// Most rows that one call of a feed answers: about 10 ms of reading. Callers ask again from the last row.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// Versions of one secret that are kept: more than any rollback goes back.
pub const SECRET_VERSIONS_MAX: u64 = 64;

/// Audit rows in the database; beyond it the oldest are moved, as one sealed segment, to a blob.
pub const AUDIT_ROWS_MAX: u64 = 100_000;

/// Largest blob, in bytes: the JSON of a tree with 200,000 entries has about 50 MB; chunks of files have 1
/// MiB.
pub const BLOB_BYTES_MAX: usize = 64 << 20;

/// Most digests in one question "which of these are missing".
pub const BLOBS_ASKED_MAX: usize = 100_000;

/// From this share of used/(used + available) on, in thousandths, new work is refused. Deleting still works.
pub const DISK_USED_PERMILLE_MAX: u32 = 900;

/// Pages in the write-ahead log before they are moved into the database: 16 MiB, a checkpoint of some ten
/// milliseconds every few thousand commits instead of one of some milliseconds every few hundred.
pub const WAL_PAGES: u32 = 4096;

/// Bytes that the write-ahead log's file keeps after a checkpoint; a burst of large batches is given back.
pub const WAL_FILE_BYTES_MAX: u64 = 64 << 20;

/// The bounds that tests make smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// [`CHANGES_ROWS_MAX`].
    pub changes_rows: u64,
    /// [`EVENTS_ROWS_MAX`].
    pub events_rows: u64,
    /// [`EVENTS_BYTES_MAX`].
    pub events_bytes: u64,
    /// [`COMPACT_STEP_ROWS`].
    pub compact_step: u64,
    /// [`AUDIT_ROWS_MAX`].
    pub audit_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            changes_rows: CHANGES_ROWS_MAX,
            events_rows: EVENTS_ROWS_MAX,
            events_bytes: EVENTS_BYTES_MAX,
            compact_step: COMPACT_STEP_ROWS,
            audit_rows: AUDIT_ROWS_MAX,
        }
    }
}
