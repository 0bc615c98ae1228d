//! What can go wrong on a machine, in words that say what to change.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::cidr::Cidr;
use crate::sys::step::StepError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of a specification is wrong.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process has this machine's state directory open.
    #[error("state directory {0} is in use by another process")]
    Busy(PathBuf),
    /// Addresses of a block are on this host already.
    #[error(
        "{block} is taken: interface {interface} has {address}. Is it of another installation, end that one; \
        did one leave it behind, `ip link del {interface}`; else choose another private space"
    )]
    Taken {
        /// The block that was wanted.
        block: Cidr,
        /// Who has an address in it.
        interface: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// There is no such node.
    #[error("no node {0} on this machine")]
    Unknown(String),
    /// A node of this id runs already.
    #[error("node {0} runs already")]
    Exists(String),
    /// Starting a node failed at one step.
    #[error("starting node {id} failed at: {cause}")]
    Start {
        /// The node.
        id: String,
        /// The step and the errno.
        cause: StepError,
    },
    /// A step outside of a node failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// PID 1 of a node refused a request.
    #[error("node {id}: {message}")]
    Refused {
        /// The node.
        id: String,
        /// Its words.
        message: String,
    },
    /// PID 1 of a node does not answer.
    #[error("node {id}: control socket: {cause}")]
    Control {
        /// The node.
        id: String,
        /// The cause.
        cause: io::Error,
    },
    /// `nft` refused a batch.
    #[error("nft: {0}")]
    Firewall(String),
    /// Debian packages could not be laid out.
    #[error("Debian packages {packages}: {reason}")]
    Packages {
        /// Which.
        packages: String,
        /// Why.
        reason: String,
    },
    /// A wait took too long.
    #[error("{0} took longer than {1} ms")]
    Timeout(&'static str, u64),
    /// All ranges of user ids are taken.
    #[error("no free range of user ids: {0} nodes at most on one machine")]
    NoUidRange(u32),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Error::Invalid { field, reason: reason.into() }
    }

    /// The errno by name with which a program could not be executed; nothing where something else failed.
    pub fn exec_errno(&self) -> Option<&str> {
        let Error::Refused { message, .. } = self else { return None };
        let (_, errno) = message.strip_prefix("exec ")?.rsplit_once(": ")?;
        Some(errno)
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
