//! The roles' commands: parsed here, done by functions that the composition hands in.

use super::line::{Command, ServerVerb};
use clap::Args;
use lace_model::Name;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// What `main.rs` fills in: one function for each role.
pub struct RoleCommands {
    /// `lace server ...`: the controller.
    pub server: fn(Vec<String>) -> ExitCode,
    /// `lace agent ...`: the hands on one host.
    pub agent: fn(Vec<String>) -> ExitCode,
    /// `lace net ...`: node DNS and proxy of a host.
    pub net: fn(Vec<String>) -> ExitCode,
    /// `lace pid1 ...`: PID 1 of a node.
    pub pid1: fn(Vec<String>) -> ExitCode,
    /// `lace sim ...`: a simulated account.
    pub sim: fn(Vec<String>) -> ExitCode,
    /// `lace up`.
    pub up: fn(UpArgs) -> ExitCode,
    /// `lace down`.
    pub down: fn(DownArgs) -> ExitCode,
    /// `lace demo`.
    pub demo: fn(DemoArgs) -> ExitCode,
    /// `lace doctor`.
    pub doctor: fn(DoctorArgs) -> ExitCode,
    /// `lace server restore FILE`.
    pub restore: fn(RestoreArgs) -> ExitCode,
}

/// Words that a role reads by itself.
#[derive(Args, Debug, Clone, Default)]
pub struct RoleArgs {
    /// The role's own words
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<String>,
}

/// `lace up`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "Example:\n  lace up --detach")]
pub struct UpArgs {
    /// Where the state lives
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// Where the API listens; as the last time, or 127.0.0.1:7440
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Where agents dial; as the last time, or the port after the API's
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub link: Option<SocketAddr>,
    /// The private space that nodes get their addresses from; 10.192.0.0/10 where not said
    #[arg(long, value_name = "CIDR", value_parser = space)]
    pub space: Option<String>,
    /// Where requests from outside come in, `off` for nowhere; as the last time, or 127.0.0.1:7480
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = door)]
    pub door: Option<Door>,
    /// Where encrypted ones come in, `off` for nowhere; as the last time, or port 7443 beside 7480, 443 beside 80
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = door)]
    pub door_tls: Option<Door>,
    /// Where releases are pushed to by git, `off` for nowhere; as the last time, or port 7442 beside 7440
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = door)]
    pub git: Option<Door>,
    /// Make this machine a host of the controller elsewhere that gave this ticket (`lace host add NAME`)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "link", "space", "git"])]
    pub join: Option<PathBuf>,
    /// What this host is called, with --join; its host name where not said
    #[arg(long, requires = "join")]
    pub name: Option<Name>,
    /// This host's address for other hosts, with --join; where the controller is reached from where not said
    #[arg(long, requires = "join")]
    pub address: Option<Ipv4Addr>,
    /// Go to the background once it answers
    #[arg(long)]
    pub detach: bool,
    /// Print a unit of systemd that does this at every boot, and do nothing
    #[arg(long, conflicts_with_all = ["detach", "join"])]
    pub unit: bool,
    /// This is the background
    #[arg(long, hide = true)]
    pub background: bool,
}

/// Where the door is: nowhere, or at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door(pub Option<SocketAddr>);

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

fn door(text: &str) -> Result<Door, String> {
    match text {
        "off" => Ok(Door(None)),
        text => address(text).map(|at| Door(Some(at))).map_err(|why| format!("{why}, or off")),
    }
}

/// An address that others can be told: a port of the kernel's choice would be nobody's.
fn address(text: &str) -> Result<SocketAddr, String> {
    let at: SocketAddr = text.parse().map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:7440".to_owned())?;
    if at.port() == 0 {
        return Err(
            "port 0 is none that anybody could be told: write ADDRESS:PORT with a port above 0".into()
        );
    }
    Ok(at)
}

/// Reads a private space: IPv4, from /8 to /24, so that it holds at least one block of a host.
pub fn space(text: &str) -> Result<String, String> {
    let parsed = text.split_once('/').and_then(|(base, length)| {
        Some((base.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok().filter(|l| *l <= 32)?))
    });
    let (base, length) = parsed.ok_or("write ADDRESS/LENGTH, for example 10.192.0.0/10")?;
    if !(8..=24).contains(&length) {
        return Err(format!("/{length} does not do: a host takes a /24, so from /8 to /24"));
    }
    let first = Ipv4Addr::from(u32::from(base) & (u32::MAX << (32 - length)));
    if first != base {
        return Err(format!("{base} lies within it; its first address is {first}/{length}"));
    }
    Ok(text.to_owned())
}

/// `lace down`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "Example:\n  lace down --keep-nodes")]
pub struct DownArgs {
    /// Where the state lives
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// Leave the nodes running
    #[arg(long)]
    pub keep_nodes: bool,
    /// Leave nothing of a host that joined a controller elsewhere, its state included
    #[arg(long, conflicts_with = "keep_nodes")]
    pub erase: bool,
}

/// `lace demo`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "Example:\n  lace demo --exit")]
pub struct DemoArgs {
    /// End and clean up when the story is told
    #[arg(long)]
    pub exit: bool,
    /// Nodes of the cluster
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub nodes: u32,
}

/// `lace doctor`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "Example:\n  lace doctor")]
pub struct DoctorArgs {
    /// Where the state lives
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
}

/// `lace server restore`.
#[derive(Args, Debug, Clone)]
#[command(after_help = "Example:\n  lace server restore monday.lace --state /var/lib/lace")]
pub struct RestoreArgs {
    /// The backup
    pub file: String,
    /// Where the state shall live
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
}

/// A role with its words.
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Role {
    /// The controller.
    Server(Vec<String>),
    /// The agent.
    Agent(Vec<String>),
    /// DNS and proxy.
    Net(Vec<String>),
    /// PID 1.
    Pid1(Vec<String>),
    /// A simulated account.
    Sim(Vec<String>),
    /// Controller and agent of this machine.
    Up(UpArgs),
    /// The end of that.
    Down(DownArgs),
    /// The story.
    Demo(DemoArgs),
    /// What the machine lacks.
    Doctor(DoctorArgs),
    /// From a backup.
    Restore(RestoreArgs),
}

impl Role {
    /// Hands over.
    pub fn run(self, roles: &RoleCommands) -> u8 {
        let code = match self {
            Self::Server(words) => (roles.server)(words),
            Self::Agent(words) => (roles.agent)(words),
            Self::Net(words) => (roles.net)(words),
            Self::Pid1(words) => (roles.pid1)(words),
            Self::Sim(words) => (roles.sim)(words),
            Self::Up(args) => (roles.up)(args),
            Self::Down(args) => (roles.down)(args),
            Self::Demo(args) => (roles.demo)(args),
            Self::Doctor(args) => (roles.doctor)(args),
            Self::Restore(args) => (roles.restore)(args),
        };
        status_of(code)
    }
}

/// The number in an exit code, which the standard library hides: of the few that occur.
fn status_of(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|n| ExitCode::from(*n) == code).unwrap_or(1)
}

/// The role in a command, or the command.
pub fn role_of(command: Command) -> Result<Role, Box<Command>> {
    Ok(match command {
        Command::Agent(args) => Role::Agent(args.words),
        Command::Net(args) => Role::Net(args.words),
        Command::Pid1(args) => Role::Pid1(args.words),
        Command::Sim(args) => Role::Sim(args.words),
        Command::Up(args) => Role::Up(args),
        Command::Down(args) => Role::Down(args),
        Command::Demo(args) => Role::Demo(args),
        Command::Doctor(args) => Role::Doctor(args),
        Command::Server(args) => match args.verb {
            None => Role::Server(args.words),
            Some(ServerVerb::Restore(args)) => Role::Restore(args),
            verb => return Err(Box::new(Command::Server(super::server::ServerArgs { verb, ..args }))),
        },
        command => return Err(Box::new(command)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        assert!(address("127.0.0.1:7440").is_ok() && address("[::1]:1").is_ok() && door("off").is_ok());
        for bad in ["127.0.0.1:0", ":0", ":7440", "127.0.0.1", "localhost:7440", "127.0.0.1:65536"] {
            assert!(address(bad).is_err() && door(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spaces_hold_at_least_a_block() {
        for good in ["10.192.0.0/10", "10.0.0.0/8", "10.1.2.0/24", "192.168.0.0/16"] {
            assert_eq!(space(good).as_deref(), Ok(good));
        }
        for bad in
            ["banana", "10.1.2.0/28", "10.1.2.0/7", "10.1.2.0/33", "10.1.2.3/24", "::/64", "10.0.0.0", "/8"]
        {
            assert!(space(bad).is_err(), "{bad}");
        }
    }
}
