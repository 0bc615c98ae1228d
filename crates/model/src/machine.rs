//! Machines: ordered from pools; each becomes a host, or is given up.

use crate::pool::Price;
use crate::{HostId, Millis, Name, Span};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A machine that has not joined so long after it was ordered is given up, and paid for no longer.
pub const BOOT_WITHIN: Span = Span::secs(15 * 60);
/// After a pool gave no machine, it is asked again so much later.
pub const ASK_AGAIN_AFTER: Span = Span::secs(5 * 60);

/// How far a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// It shall be made.
    Ordered,
    /// The provider made it; it boots, and joins by its ticket.
    Made,
    /// It is a host.
    Joined,
    /// It shall be there no longer.
    Leaving,
    /// It came to nothing, and nothing of it is left. Its row says for a while why.
    GivenUp,
}

/// A machine as stored: key = its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Chosen before it is made: its key at the provider, and its host's id.
    pub id: HostId,
    /// What its host is called.
    pub name: Name,
    /// Where it comes from.
    pub pool: Name,
    /// Whose pool that is.
    pub provider: Name,
    /// The provider's region, as it was when this was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How far it is.
    pub state: MachineState,
    /// Its id at the provider, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The network that it is made in ([`crate::pool::Pool::network`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Its zone, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its kind at the provider, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its address inside, where the provider says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The controller's epoch when it was ordered, which it bears as a tag: after a restore, that tells what was ordered since
    /// the backup from what nobody ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What an hour of it cost when it was ordered, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Since when its provider has it no longer, though nobody here gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Millis>,
    /// When it was ordered.
    pub ordered_at: Millis,
    /// Since when it is in this state.
    pub since: Millis,
    /// Why it is not further, or came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Machine {
    /// The same in another state.
    #[must_use]
    pub fn now(self, state: MachineState, at: Millis) -> Self {
        let since = if self.state == state { self.since } else { at };
        Self { state, since, ..self }
    }

    /// Is it on its way to become a host?
    pub fn is_coming(&self) -> bool {
        matches!(self.state, MachineState::Ordered | MachineState::Made)
    }

    /// Is it a host?
    pub fn is_host(&self) -> bool {
        self.state == MachineState::Joined
    }

    /// Is it there, or coming, so that it counts?
    pub fn counts(&self) -> bool {
        self.state != MachineState::GivenUp
    }
}
