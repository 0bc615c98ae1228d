//! Servers that are reached over SSH.
//!
//! The story: [`Connection::open`] (the server is known by its key, then we are let in), [`look`] (is it fit?),
//! [`Connection::copy`] (our binary, by its digest), [`Connection::join`] (a ticket on stdin), and
//! [`Connection::clear`], which leaves nothing of all that. Each step may be repeated.
//!
//! Source: RFC 4251 to 4254 by `russh`; the scripts are for the shell of POSIX and a Linux userland.

mod address;
mod binary;
mod connection;
mod install;
mod keys;
mod known;
mod look;
mod run;

pub use address::Server;
pub use binary::Binary;
pub use connection::{Connection, Welcome};
pub use install::UNIT;
pub use keys::{Login, read_key, usual_keys};
pub use known::KnownHosts;
pub use look::{Facts, look};
pub use run::Said;

/// Where our binaries lie on a server, each in a directory named by its digest.
pub const PLACE: &str = "/usr/local/lib/lace";
/// Where the state of a host lies on a server.
pub const STATE: &str = "/var/lib/lace";
