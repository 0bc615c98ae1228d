//! Role `net`: node DNS of one host (the proxy comes later).

use super::paths::State;
use super::{Failure, block_on};
use clap::Parser;
use lace_edge::{NetConfig, Network};
use std::net::SocketAddr;
use std::process::ExitCode;

/// The role's words.
#[derive(Parser, Debug, Clone)]
#[command(name = "lace net")]
pub struct NetArgs {
    /// Where the state lives
    #[arg(long)]
    pub state: Option<String>,
    /// Where DNS is served: the gateway address of the host's nodes
    #[arg(long, required = true)]
    pub listen: Vec<SocketAddr>,
    /// The private space, whose nodes are served
    #[arg(long, default_value = "10.192.0.0/10", value_parser = crate::command::space)]
    pub space: String,
}

/// Runs the role.
pub fn main(words: Vec<String>) -> ExitCode {
    let args = NetArgs::parse_from(std::iter::once("lace net".into()).chain(words));
    block_on(2, "net", serve(args))
}

async fn serve(args: NetArgs) -> Result<(), Failure> {
    let state = State::new(args.state.as_deref());
    let space: Network = args.space.parse()?;
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut config = NetConfig::new(state.net(), args.listen);
    config.control = state.net_socket();
    config.clients.push(space);
    config.space = vec![space];
    config.upstreams = lace_edge::nameservers(&resolvers, &config.dns_listen);
    Ok(lace_edge::serve(config).await?)
}
