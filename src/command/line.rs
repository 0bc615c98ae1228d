//! The words of the command line: the tree that clap parses, and what is said where it does not parse.

use super::world::World;
use super::{
    account, app, apply, audit, authority, backup, beam, ccl, completion, context, cp, deploy, errors,
    events, exec, export, family, firewall, forward, history, host, init, job, key, login, logs, maintenance,
    metrics, node, op, open, output, package, people, plan, pool, provider, release, roles, rollback,
    rollout, route, run, scale, schema, secret, server, service, shell, status, token, top, verb, volume,
    wait, why,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use lace_model::{Code, Problem, Span};
use std::io::Write;

pub use super::server::ServerVerb;

const HELP: &str = "\
Example:
  lace up --detach
  lace deploy
  lace status

Exit status: 0 done, 1 error, 2 usage, 3 failed and reverted, 4 still watching, 5 cannot be placed,
6 not allowed, 7 not found, 8 conflict, 9 budget, 10 controller unreachable, 11 changes pending,
12 failed and not reverted. `lace errors` explains each failure.";

/// Turns machines from anywhere into one place to run applications
#[derive(Parser, Debug)]
#[command(
    name = "lace",
    version,
    after_help = HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// For all commands.
    #[command(flatten)]
    pub global: Global,
    /// Which command.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be said to every command.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "For all commands")]
pub struct Global {
    /// How answers are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub format: output::Format,
    /// Which controller (LACE_CONTEXT; LACE_URL and LACE_TOKEN win)
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// How long to wait: 30s, 5m
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// Say nothing beyond the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Yes to every question
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Command {
    /// Start controller and agent on this machine
    Up(roles::UpArgs),
    /// Stop what `lace up` started
    Down(roles::DownArgs),
    /// Tell the whole story on this machine
    Demo(roles::DemoArgs),
    /// Say what this machine lacks
    Doctor(roles::DoctorArgs),
    /// Write a lace.toml for a project
    Init(init::InitArgs),
    /// Build, upload, roll, wait, print the URL
    Deploy(deploy::DeployArgs),
    /// Make it as a manifest or a saved plan says
    Apply(apply::ApplyArgs),
    /// Show what apply would do
    Plan(plan::PlanArgs),
    /// Write a manifest that makes an application again
    Export(export::ExportArgs),
    /// Show how everything is
    Status(status::StatusArgs),
    /// Wait until something is so
    Wait(wait::WaitArgs),
    /// Explain why something is as it is
    Why(why::WhyArgs),
    /// Show the revisions of a service
    History(history::HistoryArgs),
    /// Go back to a revision
    Rollback(rollback::RollbackArgs),
    /// Steer a rollout
    Rollout(rollout::RolloutArgs),
    /// Change the number of nodes
    Scale(scale::ScaleArgs),
    /// Start what was stopped
    Start(verb::TargetArgs),
    /// Stop it and keep its settings
    Stop(verb::StopArgs),
    /// Restart nodes one after the other
    Restart(verb::RestartArgs),
    /// Delete it
    Delete(verb::DeleteArgs),
    /// Make a new node at the same place
    Replace(verb::ReplaceArgs),
    /// Run a command in nodes
    Exec(exec::ExecArgs),
    /// Run a job
    Run(run::RunArgs),
    /// Open a shell in a node
    Shell(shell::ShellArgs),
    /// Copy files to and from a node
    Cp(cp::CpArgs),
    /// Carry a local port to a node
    Forward(forward::ForwardArgs),
    /// Show what nodes use
    Top(top::TopArgs),
    /// Show what nodes say of themselves in numbers
    Metrics(metrics::MetricsArgs),
    /// Show what processes wrote
    Logs(logs::LogsArgs),
    /// Show what happened
    Events(events::EventsArgs),
    /// Long pieces of work
    Op(op::OpArgs),
    /// Uploaded versions of code
    Release(release::ReleaseArgs),
    /// How to run a kind of service
    Package(package::PackageArgs),
    /// What services of packages can do
    Service(service::ServiceArgs),
    /// Applications
    App(app::AppArgs),
    /// Families of like nodes
    Family(family::FamilyArgs),
    /// Nodes
    Node(node::NodeArgs),
    /// Accounts at infrastructures
    Provider(provider::ProviderArgs),
    /// Where hosts can be had
    #[command(alias = "domain")]
    Pool(pool::PoolArgs),
    /// What hosts cost, and who pays
    Account(account::AccountArgs),
    /// Machines with our agent
    Host(host::HostArgs),
    /// What outlives nodes
    Volume(volume::VolumeArgs),
    /// Copies of what services hold
    Backup(backup::BackupArgs),
    /// Erlang and Elixir nodes by their own words
    Beam(beam::BeamArgs),
    /// What CCL did, from its own file
    Ccl(ccl::CclArgs),
    /// Openings of the firewall
    Firewall(firewall::FirewallArgs),
    /// Ways in from outside
    Route(route::RouteArgs),
    /// Where their certificates come from
    Authority(authority::AuthorityArgs),
    /// Say where it is reached
    Open(open::OpenArgs),
    /// Show a page instead, while a service is under repair
    Maintenance(maintenance::MaintenanceArgs),
    /// SSH keys that may push releases by git
    Key(key::KeyArgs),
    /// Sealed values
    Secret(secret::SecretArgs),
    /// Work that ends
    Job(job::JobArgs),
    /// API tokens
    Token(token::TokenArgs),
    /// People who log in by name
    User(people::user::UserArgs),
    /// Users who are granted the same
    Team(people::team::TeamArgs),
    /// What users and teams may do
    Grant(people::grant::GrantArgs),
    /// Who did what
    Audit(audit::AuditArgs),
    /// Controllers that this command line knows
    Context(context::ContextArgs),
    /// Log in to a controller
    Login(login::LoginArgs),
    /// The controller itself
    Server(server::ServerArgs),
    /// Print the schema of the manifest
    Schema(schema::SchemaArgs),
    /// Print a completion script
    Completion(completion::CompletionArgs),
    /// Explain a failure
    #[command(visible_alias = "explain")]
    Errors(errors::ErrorsArgs),
    /// The hands on one host
    #[command(hide = true, disable_help_flag = true)]
    Agent(roles::RoleArgs),
    /// Node DNS and proxy of one host
    #[command(hide = true, disable_help_flag = true)]
    Net(roles::RoleArgs),
    /// PID 1 of a node
    #[command(hide = true, disable_help_flag = true)]
    Pid1(roles::RoleArgs),
    /// A simulated account
    #[command(hide = true, disable_help_flag = true)]
    Sim(roles::RoleArgs),
}

impl Command {
    /// Commands that pass on another command's status say their own failures with this one.
    pub fn status_of_lace_itself(&self) -> Option<u8> {
        let passes_on = match self {
            Self::Exec(_) | Self::Shell(_) => true,
            Self::Beam(args) => matches!(args.verb, beam::BeamVerb::Shell(_)),
            Self::Ccl(args) => matches!(args.verb, ccl::CclVerb::Execute(_)),
            Self::Run(args) => !args.detach,
            _ => false,
        };
        passes_on.then_some(exec::STATUS_OF_LACE_ITSELF)
    }
}

/// What is promised and not built yet: known, so that the refusal can say so.
const LATER: [&str; 10] =
    ["import", "promote", "notify", "logdrain", "image", "farm", "ci", "autoscale", "sync", "profile"];

/// Says why the words do not parse (or the help that was asked for); gives the exit status.
pub fn refuse(error: &clap::Error, world: &mut World) -> u8 {
    if let Some(word) = later(error) {
        let problem = Problem::new(Code::Usage, format!("`lace {word}` is not built yet"))
            .hint("it comes later; `lace help` lists what there is");
        let _ = write!(world.err, "{}", output::problem_text(&problem, false));
        return Code::Usage.exit_status();
    }
    if error.use_stderr() {
        let _ = write!(world.err, "{}", error.render());
        return Code::Usage.exit_status();
    }
    let _ = write!(world.out, "{}", error.render());
    let _ = world.out.flush();
    0
}

fn later(error: &clap::Error) -> Option<&str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if LATER.contains(&word.as_str()) => Some(word),
        _ => None,
    }
}
