//! What both ends of a connection can do.
//!
//! Source: "Distribution Protocol" in the ERTS User's Guide. Not set, on purpose: PUBLISHED (we are hidden), the atom
//! cache and fragments (every message comes whole and by itself).

const EXTENDED_REFERENCES: u64 = 1 << 2;
const DIST_MONITOR: u64 = 1 << 3;
const FUN_TAGS: u64 = 1 << 4;
const DIST_MONITOR_NAME: u64 = 1 << 5;
const NEW_FUN_TAGS: u64 = 1 << 7;
const EXTENDED_PIDS_PORTS: u64 = 1 << 8;
const EXPORT_PTR_TAG: u64 = 1 << 9;
const BIT_BINARIES: u64 = 1 << 10;
const NEW_FLOATS: u64 = 1 << 11;
const UTF8_ATOMS: u64 = 1 << 16;
const MAP_TAG: u64 = 1 << 17;
const BIG_CREATION: u64 = 1 << 18;
const EXIT_PAYLOAD: u64 = 1 << 22;
const HANDSHAKE_23: u64 = 1 << 24;
const UNLINK_ID: u64 = 1 << 25;
const MANDATORY_25_DIGEST: u64 = 1 << 36;
const V4_NC: u64 = 1 << 34;
const ALIAS: u64 = 1 << 35;

/// The peer must spawn for us.
pub(super) const SPAWN: u64 = 1 << 32;

/// What is said of us. OTP 25 wants the first lines, 26 and later also UNLINK_ID and V4_NC.
pub(super) const OURS: u64 = EXTENDED_REFERENCES
    | DIST_MONITOR
    | FUN_TAGS
    | DIST_MONITOR_NAME
    | NEW_FUN_TAGS
    | EXTENDED_PIDS_PORTS
    | EXPORT_PTR_TAG
    | BIT_BINARIES
    | NEW_FLOATS
    | UTF8_ATOMS
    | MAP_TAG
    | BIG_CREATION
    | EXIT_PAYLOAD
    | HANDSHAKE_23
    | UNLINK_ID
    | SPAWN
    | V4_NC
    | ALIAS
    | MANDATORY_25_DIGEST;

/// What the peer must be able to do: OTP 23 and later are.
pub(super) const NEEDED: u64 = BIG_CREATION | HANDSHAKE_23 | SPAWN;
