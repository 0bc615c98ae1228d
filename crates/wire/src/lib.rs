//! What travels: the agent link, the HTTP API's types, and the client that command line and tests use.
//!
//! Only types and their transport. Nothing here decides anything.

pub mod api;
pub mod authority;
pub mod beam;
pub mod client;
pub mod flow;
pub mod link;
pub mod route;
pub mod stream;

/// The version of the agent link and of the API. A controller serves agents two versions back.
pub const WIRE_VERSION: u32 = 2;
/// From this version on both sides know [`link::frame::ToAgent::Drain`].
pub const DRAINS_SINCE: u32 = 2;

/// Chooses the one TLS back end of this binary. Call it first in `main` and in test helpers; calling it twice is fine.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
