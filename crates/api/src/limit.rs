//! The bounds of the door, each with its reason.

use std::time::Duration;

/// Largest JSON body: a manifest with its files.
pub const JSON_BODY_MAX: usize = 1 << 20;

/// Largest chunk of a release, with some room for a last chunk that a chunker makes longer.
pub const CHUNK_BODY_MAX: usize = lace_model::release::CHUNK_BYTES_MAX as usize + 4096;

/// Largest tree as JSON: 200,000 entries have about 50 MB; also the store's largest blob.
pub const TREE_BODY_MAX: usize = 64 << 20;

/// Largest secret on its way in: one byte more than is allowed, so that the refusal can name the limit.
pub const SECRET_BODY_MAX: usize = lace_model::secret::SECRET_BYTES_MAX + 1;

/// Largest archive of a release; larger ones travel in chunks, from the command line.
pub const ARCHIVE_BODY_MAX: usize = 2 << 30;

/// How long an archive may take: at its largest, over a line of 10 Mbit/s.
pub const ARCHIVE_WITHIN: Duration = Duration::from_secs(1800);

/// Longest path and query, in bytes: a stream's request holds a command and its environment. Just below the 65,534
/// that crate `http` takes, so that the refusal is ours.
pub const URL_BYTES_MAX: usize = 60_000;

/// How long an usual answer may take, the slow arrival of its body included.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Longest time that a client may wait for an operation or a job: proxies in between close silent connections.
pub const WAIT_MS_MAX: u64 = 60_000;

/// How long an answer may take where the client waits: its longest wait and the usual time.
pub const WAIT_WITHIN: Duration = Duration::from_secs(90);

/// Usual requests at a time; more wait outside. Each may hold a body of [`JSON_BODY_MAX`].
pub const USUAL_AT_ONCE: usize = 128;

/// Requests that wait for something at a time; more are refused. Each holds a few kilobytes.
pub const WAITS_AT_ONCE: usize = 4096;

/// Event and node streams at a time; more are refused. Each may hold frames of 4 MiB when both ends are slow.
pub const OPEN_AT_ONCE: usize = 1024;

/// How long a tree may take: at its largest, over a line of 2 Mbit/s.
pub const TREE_WITHIN: Duration = Duration::from_secs(300);

/// Trees at a time; more wait outside. Each may hold [`TREE_BODY_MAX`] several times over while it is read.
pub const TREES_AT_ONCE: usize = 4;

/// Rows of one list of events or audit rows.
pub const PAGE_ROWS_MAX: usize = 1000;

/// Between two comments on a silent event stream: below the silence that proxies close after.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// A follower of events that takes none for so long is dropped.
pub const FOLLOWER_SLOW: Duration = Duration::from_secs(30);

/// Longest life of a token that a person asks for with an end.
pub const TOKEN_DAYS_MAX: u64 = 3650;

/// Life of a session in a browser or of `lace login`, in milliseconds.
pub const SESSION_MS: u64 = 12 * 3_600_000;

/// Life of a login link, in milliseconds.
pub const LOGIN_MS: u64 = 15 * 60_000;

/// Life of a link to choose a password, in milliseconds: it is sent to somebody.
pub const LINK_MS: u64 = 24 * 3_600_000;

/// Life of a join token, in milliseconds.
pub const JOIN_MS: u64 = 24 * 3_600_000;
