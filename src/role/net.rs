//! Role `net`: node DNS and door of one host.

use super::paths::State;
use super::{Failure, block_on};
use clap::Parser;
use lace_edge::{Keeper, NetConfig, Network};
use std::net::SocketAddr;
use std::os::fd::AsFd;
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
    /// Where the door listens (plain HTTP)
    #[arg(long)]
    pub door: Vec<SocketAddr>,
    /// Where the door listens for TLS
    #[arg(long)]
    pub door_tls: Vec<SocketAddr>,
    /// Standard input is the channel to a keeper of listening sockets
    #[arg(long)]
    pub kept: bool,
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
    config.proxy.listen = args.door;
    config.proxy.listen_tls = args.door_tls;
    config.upstreams = lace_edge::nameservers(&resolvers, &config.dns_listen);
    let keeper = match args.kept {
        true => Keeper::open(std::io::stdin().as_fd().try_clone_to_owned()?)?,
        false => Keeper::default(),
    };
    Ok(lace_edge::serve(config, keeper).await?)
}
