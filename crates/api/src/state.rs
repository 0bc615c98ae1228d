//! What the door is handed: the store, and narrow views of everything else.

use crate::action::Turns;
use crate::adopted::AdoptedHandle;
use crate::id::IdSource;
use crate::live::LivenessView;
use crate::people::Passwords;
use lace_model::{Digest, Millis};
use lace_store::{Clock, Store};
use lace_wire::stream::StreamOpener;
use std::path::PathBuf;
use std::sync::Arc;

/// What the door says of the controller, and how it is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// It listens on loopback only, without TLS: session cookies go without `Secure` there.
    pub loopback_http: bool,
    /// Where people reach it: `http://127.0.0.1:7440`.
    pub public_url: String,
    /// Version of the binary.
    pub version: String,
    /// Where requests from outside come in, on the controller's machine.
    pub door: Option<std::net::SocketAddr>,
    /// Where encrypted ones do.
    pub door_tls: Option<std::net::SocketAddr>,
    /// Where releases are pushed to, if anywhere.
    pub pushes: Option<PushDoor>,
    /// Where agents dial.
    pub agent_address: String,
    /// The authority that agents know controllers by (PEM).
    pub authority: String,
    /// Where backups are put together before they are sent.
    pub scratch: PathBuf,
}

/// Where releases are pushed to.
#[derive(Clone, Debug)]
pub struct PushDoor {
    /// `ssh://git@HOST:PORT`.
    pub url: String,
    /// The fingerprint of the key that the server shows.
    pub host_key: String,
}

/// Everything that handlers may use. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// What is kept.
    pub store: Store,
    /// What fleet knows of the moment.
    pub liveness: Arc<dyn LivenessView>,
    /// The power to open streams to nodes.
    pub streams: Arc<dyn StreamOpener>,
    /// Who speaks with adopted nodes.
    pub adopted: AdoptedHandle,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub ids: Arc<dyn IdSource>,
    /// About the controller.
    pub config: Arc<Config>,
    /// Those who come with passwords.
    pub passwords: Passwords,
    /// Whose nodes are being asked whether an action may begin.
    pub turns: Turns,
}

impl ApiState {
    /// Now.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now_ms()
    }

    /// The installation's planning seed, as the engine has it.
    pub(crate) fn seed(&self) -> [u8; 32] {
        Digest::of(self.store.installation().0.as_bytes()).0
    }
}
