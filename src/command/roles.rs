//! The roles' commands: parsed here, done by functions that the composition hands in.

use super::line::{Command, ServerVerb};
use clap::Args;
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
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7440")]
    pub listen: String,
    /// Where agents dial; the port after the API's where not said
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub link: Option<String>,
    /// The private space that nodes get their addresses from
    #[arg(long, value_name = "CIDR", default_value = "10.192.0.0/10")]
    pub space: String,
    /// Go to the background once it answers
    #[arg(long)]
    pub detach: bool,
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
pub enum Role {
    /// The controller.
    Server(Vec<String>),
    /// The agent.
    Agent(Vec<String>),
    /// DNS and proxy.
    Net(Vec<String>),
    /// PID 1.
    Pid1(Vec<String>),
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
