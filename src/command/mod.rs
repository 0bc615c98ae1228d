//! The command line: one file for each command or noun.
//!
//! This room turns words into calls of the API and answers into text. It uses the model's words, the client and the
//! packing of releases, nothing else: the command line can do nothing that the API cannot. What the roles do
//! (`lace up`, `lace agent`, ...) is handed in as [`RoleCommands`].

mod account;
mod app;
mod apply;
mod audit;
mod authority;
mod backup;
mod beam;
mod build;
mod ccl;
mod certificate;
mod completion;
pub mod confirm;
mod conpaas;
pub mod context;
mod cp;
mod deploy;
mod errors;
mod events;
mod exec;
mod export;
mod family;
mod firewall;
mod forward;
mod history;
mod host;
mod init;
mod job;
mod key;
pub mod line;
mod login;
mod logs;
mod maintenance;
mod manifest;
pub mod manual;
mod metrics;
mod node;
mod op;
mod open;
pub mod output;
mod package;
mod people;
mod plan;
mod pool;
mod provider;
mod release;
mod roles;
mod rollback;
mod rollout;
mod route;
mod run;
mod scale;
mod schema;
mod secret;
mod server;
mod service;
mod session;
mod shell;
mod source;
mod status;
mod token;
mod top;
mod upload;
mod verb;
mod volume;
mod wait;
mod watch;
mod why;
mod world;

pub use context::{LOCAL, forget_local, save_local};
pub use roles::{DemoArgs, DoctorArgs, DownArgs, RestoreArgs, RoleCommands, UpArgs, space};
pub use session::Session;
pub use world::World;

use clap::Parser;
use lace_model::{Code, Problem};
use line::{Cli, Command};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command that did not fail ends: its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All went well.
    pub const DONE: Self = Self(0);
}

/// How a command ends.
pub type Outcome = Result<Exit, Problem>;

/// Runs one command line in the real world. `args` begins with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>, roles: &RoleCommands) -> ExitCode {
    ExitCode::from(run(args, World::real(), roles))
}

/// Runs one command line in a given world and says its exit status.
pub fn run(args: impl IntoIterator<Item = OsString>, mut world: World, roles: &RoleCommands) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return line::refuse(&error, &mut world),
    };
    match roles::role_of(cli.command) {
        Ok(role) => role.run(roles),
        Err(command) => run_command(*command, Session::new(cli.global, world)),
    }
}

fn run_command(command: Command, mut session: Session) -> u8 {
    let lace_itself = command.status_of_lace_itself();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(command, &mut session));
            // A thread that waits for the terminal must not hold up the end.
            runtime.shutdown_background();
            outcome
        }
        Err(e) => Err(Problem::new(Code::Error, format!("cannot start: {e}"))),
    };
    match outcome {
        Ok(exit) => exit.0,
        Err(problem) => {
            session.out.problem(&problem);
            lace_itself.unwrap_or_else(|| problem.code.exit_status())
        }
    }
}

async fn dispatch(command: Command, s: &mut Session) -> Outcome {
    match command {
        Command::Init(args) => init::run(args, s).await,
        Command::Ccl(args) => ccl::run(args, s).await,
        Command::Metrics(args) => metrics::run(args, s).await,
        Command::Backup(args) => backup::run(args, s).await,
        Command::Beam(args) => beam::run(args, s).await,
        Command::Deploy(args) => deploy::run(args, s).await,
        Command::Apply(args) => apply::run(args, s).await,
        Command::Plan(args) => plan::run(args, s).await,
        Command::Export(args) => export::run(args, s).await,
        Command::Status(args) => status::run(args, s).await,
        Command::Wait(args) => wait::run(args, s).await,
        Command::Why(args) => why::run(args, s).await,
        Command::History(args) => history::run(args, s).await,
        Command::Rollback(args) => rollback::run(args, s).await,
        Command::Rollout(args) => rollout::run(args, s).await,
        Command::Scale(args) => scale::run(args, s).await,
        Command::Start(args) => verb::start(args, s).await,
        Command::Stop(args) => verb::stop(args, s).await,
        Command::Restart(args) => verb::restart(args, s).await,
        Command::Delete(args) => verb::delete(args, s).await,
        Command::Replace(args) => verb::replace(args, s).await,
        Command::Exec(args) => exec::run(args, s).await,
        Command::Run(args) => run::run(args, s).await,
        Command::Shell(args) => shell::run(args, s).await,
        Command::Cp(args) => cp::run(args, s).await,
        Command::Forward(args) => forward::run(args, s).await,
        Command::Top(args) => top::run(args, s).await,
        Command::Logs(args) => logs::run(args, s).await,
        Command::Events(args) => events::run(args, s).await,
        Command::Op(args) => op::run(args, s).await,
        Command::Release(args) => release::run(args, s).await,
        Command::Package(args) => package::run(args, s).await,
        Command::Service(args) => service::run(args, s).await,
        Command::App(args) => app::run(args, s).await,
        Command::Family(args) => family::run(args, s).await,
        Command::Node(args) => node::run(args, s).await,
        Command::Provider(args) => provider::run(args, s).await,
        Command::Account(args) => account::run(args, s).await,
        Command::Pool(args) => pool::run(args, s).await,
        Command::Host(args) => host::run(args, s).await,
        Command::Volume(args) => volume::run(args, s).await,
        Command::Firewall(args) => firewall::run(args, s).await,
        Command::Route(args) => route::run(args, s).await,
        Command::Authority(args) => authority::run(args, s).await,
        Command::Open(args) => open::run(args, s).await,
        Command::Maintenance(args) => maintenance::run(args, s).await,
        Command::Secret(args) => secret::run(args, s).await,
        Command::Job(args) => job::run(args, s).await,
        Command::Key(args) => key::run(args, s).await,
        Command::Token(args) => token::run(args, s).await,
        Command::User(args) => people::user::run(args, s).await,
        Command::Team(args) => people::team::run(args, s).await,
        Command::Grant(args) => people::grant::run(args, s).await,
        Command::Audit(args) => audit::run(args, s).await,
        Command::Context(args) => context::run(args, s),
        Command::Login(args) => login::run(args, s).await,
        Command::Server(args) => server::run(args, s).await,
        Command::Schema(args) => schema::run(args, s),
        Command::Completion(args) => completion::run(args, s),
        Command::Errors(args) => errors::run(args, s),
        _ => Err(Problem::new(Code::Usage, "this is a role, not a command")),
    }
}
