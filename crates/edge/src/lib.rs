//! The edge of a host: role `net`, a process of its own beside the agent.
//!
//! What is here: the DNS of the nodes and the door. They answer `lace.internal`, and requests from outside, out of
//! the last topics that the agent handed over, keep those on disk, and go on alone while agent and controller are
//! away. What is asked outside the zone is forwarded. What is not here: placement, health checks, firewall sets, and
//! any wish of its own; this process believes the newest topic and nothing else.
//!
//! All names resolve for all clients, whatever application they belong to: a name is no secret, and the
//! firewall of the machine, not the lack of a name, keeps applications apart.

pub mod config;
pub mod control;
mod descriptors;
pub mod dns;
pub mod names;
mod news;
mod proxy;
mod seal;
mod serve;
mod sockets;
mod upstream;

pub use config::{NetConfig, NetError, NetLimits, Network};
pub use control::{ClientError, NetClient, Put};
pub use proxy::{CertificateError, GivenCertificate, ProxyConfig, ProxyLimits};
pub use seal::Seal;
pub use serve::{serve, serve_until};
pub use sockets::{Keeper, Store};
pub use upstream::nameservers;
