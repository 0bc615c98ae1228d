//! What the agent is told when it starts, and why it may refuse to start.

use lace_model::Name;
use lace_model::host::Capacity;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Everything that role `agent` needs to know.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Everything about this host is kept here.
    pub state_dir: PathBuf,
    /// The controllers' links, `host:port`, in order of preference.
    pub controllers: Vec<String>,
    /// The CA that a controller's certificate must come from (PEM), for the join; later the pinned one holds.
    pub ca_pem: Option<String>,
    /// The one-time token, used when no identity is there yet.
    pub join_token: Option<String>,
    /// The name that this host would like to have.
    pub name: Name,
    /// The executable with the `pid1` role.
    pub exe: PathBuf,
    /// Names what is made on this host (veths, cgroups, the nft table): `[a-z0-9-]`, 1 to 20 bytes.
    pub installation_label: String,
    /// What the host may carry. Measured where absent: four times its processors (most nodes idle), nine tenths of
    /// its memory, 2,000 nodes.
    pub capacity: Option<Capacity>,
    /// The control socket of `lace net`.
    pub net_socket: PathBuf,
    /// The private space in CIDR form, where the join does not say one.
    pub space: String,
    /// Its address in the network between hosts; found out where absent.
    pub address: Option<Ipv4Addr>,
    /// Where requests from outside come in on this host, if anywhere.
    pub door: Option<String>,
}

/// Why the agent did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A file of the state directory.
    #[error("cannot {what} {path}: {source}")]
    State {
        /// What was tried.
        what: &'static str,
        /// Which path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the state directory holds something else.
    #[error("{path} is damaged ({cause}): move it away and join again with a new token")]
    Damaged {
        /// Which path.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Nothing to join with.
    #[error("this host has not joined yet: give {0}")]
    NotJoined(&'static str),
    /// The controller said no.
    #[error("the controller refuses this host: {0}")]
    Refused(String),
    /// The key or the request could not be made.
    #[error("cannot make this host's key: {0}")]
    Key(String),
    /// The join's answer cannot be used.
    #[error("the controller's answer cannot be used: {0}")]
    Answer(String),
    /// The host cannot run nodes.
    #[error(transparent)]
    Machine(#[from] lace_machine::Error),
    /// It is no host any more.
    #[error("this host was removed from its installation")]
    Dismissed,
    /// A part ended that never should.
    #[error("{0} stopped by itself")]
    Stopped(&'static str),
}

impl AgentError {
    pub(crate) fn state(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> AgentError {
        let path = path.into();
        move |source| AgentError::State { what, path, source }
    }
}
