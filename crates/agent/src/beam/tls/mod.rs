//! Distribution over TLS (`beam = { tls = true }`): what lies in a node for it, new certificates in time, and our own
//! connections.
//!
//! Every host of the cluster has the cluster's authority, as it has its cookie: each issues for its own nodes, and needs
//! no controller for that. In a node are its own certificate and key, the authority's certificate, and the file that
//! OTP reads it by; all on tmpfs, for root only, and nothing of it on a command line but the path.

mod authority;
mod client;
mod renew;

pub use authority::Authority;
pub use client::{Credentials, link};
pub use renew::keep;

use super::{base_name, node_name};
use crate::clock::now;
use crate::context::Context;
use crate::spec::{Secrets, Subject, private};
use lace_machine::FileSpec;
use lace_model::beam::Beam;

/// A node's certificate and key.
pub const NODE: &str = "/run/lace/tls/node.pem";
/// Whom it trusts.
pub const TRUSTED: &str = "/run/lace/tls/ca.pem";
/// Where OTP reads that.
pub const OPTIONS: &str = "/run/lace/tls/ssl_dist.conf";

/// The host part of a node's name.
pub fn host_of(node: &str) -> &str {
    node.split_once('@').map_or(node, |(_, host)| host)
}

/// The authority among a revision's secrets.
pub fn authority(secrets: &Secrets) -> Result<Authority, String> {
    Authority::of(&secrets.authority().ok_or("its cluster has no authority for TLS")?)
}

/// A certificate for a host of the cluster.
pub fn issue(authority: &Authority, host: &str, beam: &Beam) -> Result<String, String> {
    authority.issue(host, now(), beam.tls_lifetime)
}

/// What we show and trust when we connect from here to a node of the cluster; nothing where it is without TLS.
pub fn credentials(secrets: &Secrets, beam: &Beam, our_name: &str) -> Result<Option<Credentials>, String> {
    if !beam.tls {
        return Ok(None);
    }
    let authority = authority(secrets)?;
    let own = issue(&authority, host_of(our_name), beam)?;
    Credentials::of(authority.certificate(), Some(&own)).map(Some)
}

/// The same from within a node, by what lies in it.
pub fn credentials_here() -> Result<Credentials, String> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    Credentials::of(&read(TRUSTED)?, Some(&read(NODE)?))
}

/// The files of a node or a job.
pub fn files(subject: &Subject, context: &Context, secrets: &Secrets) -> Result<Vec<FileSpec>, String> {
    let (Some(beam), Some(service)) = (&subject.spec.beam, subject.kin.service()) else {
        return Ok(Vec::new());
    };
    if !beam.tls {
        return Ok(Vec::new());
    }
    let authority = authority(secrets)?;
    let name = node_name(&base_name(beam, &service), beam.names, context.me());
    // A job is nobody that others connect to.
    let host = if subject.index == 0 { &subject.hostname } else { host_of(&name) };
    Ok(vec![
        private(NODE, issue(&authority, host, beam)?.into_bytes()),
        private(TRUSTED, authority.certificate().as_bytes().to_vec()),
        private(OPTIONS, options().into_bytes()),
    ])
}

/// The file of `-ssl_dist_optfile`. Which versions of TLS are spoken is OTP's own choice.
fn options() -> String {
    let path = |path: &str| format!("\"{path}\"");
    let (node, trusted) = (path(NODE), path(TRUSTED));
    // Without sessions that are taken up again each connection shows what is good now.
    let both = format!(
        "{{certfile,{node}}},{{keyfile,{node}}},{{cacertfile,{trusted}}},{{verify,verify_peer}},\
         {{secure_renegotiate,true}},{{reuse_sessions,false}}"
    );
    format!("[{{server,[{both},{{fail_if_no_peer_cert,true}}]}},\n {{client,[{both}]}}].\n")
}

#[cfg(test)]
mod tests;
