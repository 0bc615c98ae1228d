//! The roles, put together: which crate gets which narrow handle of which other.
//!
//! Only this room knows all crates. Nothing is decided here.

mod accounts;
mod addresses;
mod adopted;
pub mod agent;
mod boot;
pub mod demo;
pub mod doctor;
mod doors;
pub mod down;
mod end;
mod guests;
mod hosts;
mod join;
mod link;
pub mod net;
mod paths;
mod process;
mod program;
mod pushes;
mod register;
pub mod restore;
pub mod server;
mod settings;
pub mod sim;
mod story;
mod sudo;
mod supervise;
mod support;
mod tls;
mod unit;
pub mod up;
mod visitor;

use std::process::ExitCode;

/// What ends a role with an error.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A word of the command that cannot be meant: exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Runs an async role on the number of threads that it needs.
fn block_on<F: Future<Output = Result<(), Failure>>>(threads: usize, role: &str, future: F) -> ExitCode {
    lace_wire::install_crypto();
    log_to_stderr();
    usual_umask();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(future);
            runtime.shutdown_background();
            outcome
        }
        Err(e) => Err(e.into()),
    };
    ended(role, outcome)
}

/// What nodes are made of is read by users that nobody outside is. What is secret is written so, whatever the umask.
fn usual_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

/// Writes a line for the person who typed the command; one who has gone away is no failure.
fn out(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Says how a role ended.
fn ended(role: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: lace {role}: {error}");
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LACE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Resolves when the role is asked to end (SIGTERM or SIGINT).
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
