//! The agent link: gRPC over HTTP/2 with mTLS, dialled by the agent, frames in CBOR (RFC 8949).
//!
//! The service is written by hand on tonic's generic parts, so there is no generated code and no build script; the
//! frames are the serde types of [`frame`], which ignore what they do not know.

pub mod codec;
pub mod dial;
pub mod frame;
pub mod serve;

/// DNS name in every controller's certificate: the agent checks it, whatever address it dialled.
pub const CONTROLLER_NAME: &str = "controller.lace.internal";

/// What a host's certificate is called: `<host id>.host.lace.internal`.
pub fn host_certificate_name(host: lace_model::HostId) -> String {
    format!("{host}.host.lace.internal")
}

/// The host that a certificate name belongs to.
pub fn host_of_certificate_name(name: &str) -> Option<lace_model::HostId> {
    name.strip_suffix(".host.lace.internal")?.parse().ok()
}
