//! The hands on one host (role `agent`): does what the host's document says, and says what is there.
//!
//! The controller states what shall be; this room makes it so and reports. It decides nothing about placement or
//! numbers. It goes on without a controller: entries, topics and sealed secrets are kept on disk, so that after a
//! restart, or a reboot of the host, the nodes run again by themselves. The nodes are no children of the agent: they
//! live on while it is away.

mod beam;
mod clock;
mod config;
mod context;
mod doors;
mod excess;
mod facts;
mod figures;
mod hands;
mod held;
mod identity;
mod images;
mod job;
mod names;
mod node;
mod notify;
mod outbox;
mod refresh;
mod roster;
mod script;
mod secret;
mod session;
mod simulated;
mod spec;
mod stream;
mod task;
mod traffic;
mod tree;
mod underlay;
mod volume;
mod wall;

pub use beam::copy::main as copy_main;
pub use beam::over;
pub use beam::tls::{Credentials, link as link_to};
pub use config::{AgentConfig, AgentError};
pub use facts::gather as host_facts;
pub use simulated::simulate;

use std::future::Future;
use std::sync::Arc;

/// Runs the agent of this host until `shutdown` completes. The nodes stay.
///
/// # Errors
/// The state directory cannot be used, the host cannot run nodes, or the controller refuses the join.
pub async fn run(config: AgentConfig, shutdown: impl Future) -> Result<(), AgentError> {
    lace_wire::install_crypto();
    tokio::select! {
        ended = work(Arc::new(config)) => ended,
        _ = shutdown => Ok(()),
    }
}

async fn work(config: Arc<AgentConfig>) -> Result<(), AgentError> {
    let capacity = config.capacity.clone().unwrap_or_else(facts::capacity);
    let mut facts = facts::gather(capacity);
    facts.attributes.extend(config.door.clone().map(|door| (lace_model::host::DOOR.to_owned(), door)));
    facts.underlay = underlay::find(&config).await;
    let identity = identity::obtain(&config, &facts).await?;
    let hands = hands::Hands::open(&config, &identity).await?;
    hands.moved(facts.underlay.as_ref().map(|underlay| underlay.address));
    let roster = Arc::new(roster::Roster::new(hands.clone()));
    roster.recall();
    let _wall = hands.wall.clone().keep(hands.clone());
    let _names = names::keep(config.net_socket.clone(), hands.topics.subscribe(), hands.held.clone());
    let _traffic = traffic::keep(hands.clone());
    let _told = refresh::keep(hands.clone());
    let _measured = excess::keep(hands.clone());
    let _disk = held::keep_synced(hands.held.clone());
    session::keep(&config, &identity, facts, hands, roster).await
}
