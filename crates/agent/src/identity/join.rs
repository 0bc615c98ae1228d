//! Joining: a key made here, a certificate for it, paid with a one-time token.

use super::Identity;
use crate::clock::{Backoff, jitter};
use crate::config::AgentError;
use lace_model::Name;
use lace_wire::link::dial::Link;
use lace_wire::link::frame::{HostFacts, JoinReply, JoinRequest};
use std::time::Duration;
use tonic::Code;

/// Whom is asked, and with what.
pub struct Asking<'a> {
    /// The controllers' links.
    pub controllers: &'a [String],
    /// The authority that they are known by (PEM).
    pub ca: &'a str,
    /// The one-time token.
    pub token: &'a str,
    /// The name that the host would like to have.
    pub name: &'a Name,
}

/// Asks the controllers in turn until one answers.
pub async fn join(asking: &Asking<'_>, facts: &HostFacts) -> Result<Identity, AgentError> {
    let (key, csr) = request()?;
    let (token, name) = (asking.token.to_owned(), asking.name.clone());
    let request = JoinRequest { token, csr, name, facts: facts.clone() };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        for address in asking.controllers {
            match ask(address, asking.ca, &request).await {
                Ok(reply) => return Ok(identity(reply, key)),
                Err(Asked::Refused(words)) => return Err(AgentError::Refused(words)),
                Err(Asked::Away(cause)) => tracing::warn!(address, cause, "cannot join yet"),
            }
        }
        tokio::time::sleep(jitter(backoff.wait())).await;
    }
}

enum Asked {
    Refused(String),
    Away(String),
}

async fn ask(address: &str, ca: &str, request: &JoinRequest) -> Result<JoinReply, Asked> {
    let away = |e: tonic::transport::Error| Asked::Away(crate::session::words(&e));
    let link = Link::dial(address, ca, None).await.map_err(away)?;
    link.join(request.clone()).await.map_err(|status| match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Asked::Away(status.to_string())
        }
        _ => Asked::Refused(status.message().to_owned()),
    })
}

fn request() -> Result<(String, String), AgentError> {
    let bad = |e: rcgen::Error| AgentError::Key(e.to_string());
    let key = rcgen::KeyPair::generate().map_err(bad)?;
    let params = rcgen::CertificateParams::new(Vec::new()).map_err(bad)?;
    let csr = params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(bad)?;
    Ok((key.serialize_pem(), csr))
}

fn identity(reply: JoinReply, key: String) -> Identity {
    Identity {
        host: reply.host,
        installation: reply.installation,
        certificate: reply.certificate,
        key,
        ca: reply.ca,
        space: reply.space,
        blocks: reply.blocks,
    }
}
