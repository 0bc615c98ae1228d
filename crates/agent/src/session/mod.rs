//! The session with a controller: dialled by us, opened again whenever it breaks.

mod beat;
mod hold;

use crate::clock::{Backoff, jitter};
use crate::config::{AgentConfig, AgentError};
use crate::hands::Hands;
use crate::identity::Identity;
use crate::roster::Roster;
use crate::underlay;
use hold::Ended;
pub use hold::send;
use lace_wire::link::dial::Link;
use lace_wire::link::frame::HostFacts;
use std::sync::Arc;
use std::time::Duration;

/// Between tries at most; the first comes at once.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Holds sessions, one after the other, for ever.
pub async fn keep(
    config: &AgentConfig,
    identity: &Identity,
    mut facts: HostFacts,
    hands: Arc<Hands>,
    roster: Arc<Roster>,
) -> Result<(), AgentError> {
    let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
    loop {
        for address in &config.controllers {
            // A lease may have ended meanwhile, a cable may be in another socket.
            facts.underlay = underlay::find(config).await;
            hands.moved(facts.underlay.as_ref().map(|underlay| underlay.address));
            let dialled = Link::dial(address, &identity.ca, Some(&identity.shown())).await;
            let ended = match dialled {
                Ok(link) => hold::hold(config, link, facts.clone(), &hands, &roster).await,
                Err(error) => Err(words(&error)),
            };
            hands.link.send_replace(None);
            hands.session.send_replace(None);
            match ended {
                Ok(Ended::Broke) => backoff.reset(),
                Ok(Ended::Dismissed) => return Err(AgentError::Dismissed),
                Err(cause) => tracing::warn!(address, cause, "no session"),
            }
        }
        tokio::time::sleep(jitter(backoff.wait())).await;
    }
}

/// An error with its causes in one line.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
