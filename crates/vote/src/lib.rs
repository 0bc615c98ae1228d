//! Who of a family may run its one copy: leases given by a majority of votes.
//!
//! An [`Elector`] is the part of one node, voter and candidate in one. It knows no clock, no socket and no process: it is
//! told the time in milliseconds of `CLOCK_BOOTTIME`, and what others said, and answers with what to send and what
//! to do. Its rules are those of PaxosLease (Trencseni, Gazso, Reinhardt, 2012) with one promise in the place of ballots: a
//! voter promises its vote to one candidate for longer than a candidate's lease lasts, and forgets nothing
//! before that time, for who forgets (a restart) votes for nobody for as long. No two candidates can therefore hold
//! majorities of one set at the same moment, whatever is lost, late, doubled or reordered on the way; nor of two sets
//! that differ by one member. The proof and the bounds are in `decisions/0010-failover-votes.md`; the tests explore it.
//!
//! Not here: sockets and processes (`machine`), what an application is (`agent`), who shall be a member (`planner`).

mod candidate;
mod elector;
mod message;
mod packet;
mod set;
mod voter;

pub use elector::{Elector, Output, Standing};
pub use message::{Body, Message};
pub use packet::{Key, PACKET_BYTES, key_of, open, seal};
pub use set::{Settled, VoteSet, next_set};

use serde::{Deserialize, Serialize};

/// A member of a vote set: the node's index in its family.
pub type Seat = u32;

/// The times of the protocol, milliseconds, the same at all members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// A holder stops its copy so long after it sent the newest question that a majority said yes to.
    pub lease_ms: u64,
    /// A voter keeps its promise for so long after it was asked: the lease and a margin for the difference of two
    /// clocks' rates and for the stop itself.
    pub promise_ms: u64,
    /// Between two questions of a candidate.
    pub ask_ms: u64,
}

impl Terms {
    /// The times in use. They are constants of the protocol: a voter that forgot what it promised knows how long it
    /// can have been.
    pub const USUAL: Self = Self { lease_ms: 4_000, promise_ms: 5_000, ask_ms: 400 };
}
