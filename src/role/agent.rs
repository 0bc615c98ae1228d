//! Role `agent`: the hands on one host.

use super::paths::State;
use super::{Failure, asked_to_end, block_on, join};
use clap::Parser;
use lace_agent::{AgentConfig, AgentError};
use lace_model::Name;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

/// The role's words.
#[derive(Parser, Debug, Clone)]
#[command(name = "lace agent")]
pub struct AgentArgs {
    /// Where the state lives
    #[arg(long)]
    pub state: Option<String>,
    /// The controller's link
    #[arg(long, default_value = "127.0.0.1:7441")]
    pub controller: Vec<String>,
    /// File with the authority's certificate
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// File with the one-time join token
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Name of this host
    #[arg(long)]
    pub name: Name,
    /// Short name of the installation, for interfaces, cgroups and tables
    #[arg(long)]
    pub label: String,
    /// The private space
    #[arg(long, default_value = "10.192.0.0/10", value_parser = crate::command::space)]
    pub space: String,
    /// This host's address in the network between hosts
    #[arg(long)]
    pub address: Option<Ipv4Addr>,
    /// Where requests from outside come in on this host
    #[arg(long)]
    pub door: Option<String>,
}

/// Runs the role.
pub fn main(words: Vec<String>) -> ExitCode {
    let args = AgentArgs::parse_from(std::iter::once("lace agent".into()).chain(words));
    block_on(2, "agent", serve(args))
}

async fn serve(args: AgentArgs) -> Result<(), Failure> {
    let state = State::new(args.state.as_deref());
    state.prepare()?;
    let read = |path: &PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let config = AgentConfig {
        state_dir: state.agent(),
        controllers: args.controller,
        ca_pem: args.ca.as_ref().and_then(read),
        join_token: args.token_file.as_ref().and_then(read),
        name: args.name,
        exe: super::process::executable(),
        installation_label: args.label,
        capacity: None,
        net_socket: state.net_socket(),
        space: args.space,
        address: args.address,
        door: args.door,
    };
    match lace_agent::run(config, asked_to_end()).await {
        Err(AgentError::Dismissed) => {
            tracing::info!("this host was removed from its installation");
            join::leave(&state)?;
            // What was started ends this process with everything else; it listens, or it would be waited for in vain.
            asked_to_end().await;
            Ok(())
        }
        ended => Ok(ended?),
    }
}
