//! The edge of a host: role `net`, a process of its own beside the agent.
//!
//! What is here: the DNS of the nodes. It answers `lace.internal` out of the last topics that the agent handed
//! over, keeps those on disk, and goes on alone while agent and controller are away. Everything outside the
//! zone is forwarded. What is not here: placement, health checks, firewall sets, and any wish of its own; this
//! process believes the newest topic and nothing else. The proxy will live beside [`dns`].
//!
//! All names resolve for all clients, whatever application they belong to: a name is no secret, and the
//! firewall of the machine, not the lack of a name, keeps applications apart.

pub mod config;
pub mod control;
pub mod dns;
pub mod names;
mod serve;
mod upstream;

pub use config::{NetConfig, NetError, NetLimits, Network};
pub use control::{ClientError, NetClient, Put};
pub use serve::{serve, serve_until};
pub use upstream::nameservers;
