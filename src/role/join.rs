//! This machine as a host of a controller elsewhere: `lace up --join TICKET`.
//!
//! A ticket says where controllers listen, by which authority they are known, and holds a one-time token. What is needed
//! later is kept in the state; the token is used up by the join.

use super::paths::State;
use super::process::executable;
use super::server::write_private;
use super::up::host_name;
use super::{Failure, Usage};
use crate::command::UpArgs;
use lace_model::host::{Block, JoinTicket};
use lace_model::{Digest, Name};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

/// How this machine joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Where controllers listen for agents.
    pub controllers: Vec<String>,
    /// What this host is called.
    pub name: Name,
    /// Its address for other hosts, where it was said.
    pub address: Option<Ipv4Addr>,
    /// Short name of the installation on this machine.
    pub label: String,
    /// Where requests from outside come in.
    pub door: Option<SocketAddr>,
    /// Where encrypted ones do.
    pub door_tls: Option<SocketAddr>,
}

/// The part of the agent's identity that other roles need.
#[derive(Deserialize)]
pub struct Identity {
    /// The private space.
    pub space: String,
    blocks: Vec<Block>,
}

impl Identity {
    /// Where nodes find their name server.
    pub fn gateway(&self) -> Result<Ipv4Addr, Failure> {
        Ok(self.blocks.first().ok_or("the controller gave this host no block of addresses")?.gateway())
    }
}

/// Who the agent became by joining; nothing before that.
pub fn identity(state: &State) -> Option<Identity> {
    let bytes = std::fs::read(state.agent().join("identity").join("host.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Joined {
    /// With a ticket: what it says, written down. Without one: as the last time, if this machine ever joined.
    pub fn of(args: &UpArgs, state: &State) -> Result<Option<Self>, Failure> {
        let last = Self::read(state);
        let Some(file) = &args.join else { return Ok(last) };
        if state.settings().exists() {
            let text = format!("{} holds a controller; join with another --state", state.dir().display());
            return Err(Usage(text).into());
        }
        if identity(state).is_some() {
            let text = format!(
                "this machine has joined already ({}): `lace up` without --join picks it up, another --state joins anew",
                state.dir().display()
            );
            return Err(Usage(text).into());
        }
        let ticket = read_ticket(file)?;
        let name = args.name.clone().or(ticket.name).map_or_else(host_name, Ok)?;
        let joined = Self {
            controllers: ticket.controllers,
            label: label(state, &name),
            name,
            address: args.address,
            door: args.door.and_then(|door| door.0),
            door_tls: args.door_tls.and_then(|door| door.0),
        };
        state.prepare()?;
        write_private(&state.pinned(), &ticket.ca)?;
        write_private(&state.join_token(), &ticket.token)?;
        write_private(&state.joined(), &serde_json::to_string_pretty(&joined)?)?;
        Ok(Some(joined))
    }

    /// As the join wrote it.
    pub fn read(state: &State) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state.joined()).ok()?).ok()
    }

    /// The agent's words.
    pub fn agent_words(&self, state: &State) -> Vec<(&'static str, String)> {
        let mut words: Vec<_> = self.controllers.iter().map(|c| ("--controller", c.clone())).collect();
        words.extend([
            ("--ca", state.pinned().display().to_string()),
            ("--token-file", state.join_token().display().to_string()),
            ("--name", self.name.to_string()),
            ("--label", self.label.clone()),
        ]);
        words.extend(self.address.map(|address| ("--address", address.to_string())));
        words.extend(self.door.or(self.door_tls).map(|door| ("--door", door.to_string())));
        words
    }

    /// Where requests from outside come in.
    pub fn doors(&self) -> [Option<SocketAddr>; 2] {
        [self.door, self.door_tls]
    }
}

/// Hosts that are containers of one machine may share its cgroups: the same state directory in each is not enough.
fn label(state: &State, name: &Name) -> String {
    let both = [state.dir().as_os_str().as_encoded_bytes(), b"\0", name.as_str().as_bytes()].concat();
    Digest::of(&both).short()[..6].to_owned()
}

/// Takes everything of this host away: by a process of its own, since this one is to end too.
///
/// # Errors
/// The machine of a controller stays, whoever is removed.
pub fn leave(state: &State) -> Result<(), Failure> {
    if Joined::read(state).is_none() || state.settings().exists() {
        return Err("this machine is a controller's: `lace down` ends it".into());
    }
    let mut command = std::process::Command::new(executable());
    command.args(["down", "--erase", "--state"]).arg(state.dir()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(())
}

fn read_ticket(file: &Path) -> Result<JoinTicket, Failure> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        _ => std::fs::read_to_string(file).map_err(|e| Usage(format!("--join {}: {e}", file.display())))?,
    };
    text.parse().map_err(|e| Usage(format!("--join {}: {e}", file.display())).into())
}
