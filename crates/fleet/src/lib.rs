//! The hosts that are there now: sessions of agents, signs of life, usage, open streams, documents on their way.
//!
//! Nothing in this room is stored, and nothing is decided: what hosts say goes to the engine as [`FleetEvent`]s, what
//! the engine publishes goes to hosts as deltas.

mod document;
mod drain;
mod flow;
mod link;
mod liveness;
mod rights;
mod session;
mod streams;
mod usage;

pub use document::Documents;
pub use link::FleetLink;
pub use liveness::UsageNow;
pub use session::{Fleet, FleetEvent, HEARD_WITHIN_MS, Hello};

use bytes::Bytes;
use futures::future::BoxFuture;
use lace_model::{Digest, Problem};
use lace_wire::link::frame::{JoinReply, JoinRequest};

/// What fleet needs from the rest of the controller.
pub trait Support: Send + Sync + 'static {
    /// Checks a join token, names the host, signs its certificate.
    fn join(&self, request: JoinRequest) -> BoxFuture<'static, Result<JoinReply, Problem>>;
    /// The content of a blob.
    fn blob(&self, digest: Digest) -> BoxFuture<'static, Result<Bytes, Problem>>;
    /// The value of a secret, by application, name and version.
    fn secret(&self, app: &str, name: &str, version: u64) -> Result<Bytes, Problem>;
    /// The controller's epoch.
    fn epoch(&self) -> u64;
    /// In adopt mode, what the controller does not know is kept.
    fn adopting(&self) -> bool;
    /// A host's blocks of addresses; an error for a host that was removed.
    fn blocks(&self, host: lace_model::HostId) -> Result<Vec<lace_model::host::Block>, Problem>;
    /// A node of a host speaks to the witness of its family's votes: the answer, if there is one.
    fn witness(
        &self,
        host: lace_model::HostId,
        node: (lace_model::NodeId, &lace_model::FamilyPath),
        message: lace_vote::Message,
    ) -> Option<lace_vote::Message>;
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> lace_model::Millis;
}
