//! PID 1 of a node: keeps one process running, executes commands beside it, reaps, logs.
//!
//! A single thread around poll(2), entered before any runtime starts. It outlives agents: it
//! holds its control socket and log directory by descriptor, takes no order from inside the
//! node, and can replace its own executable while the children live on.

mod ballot;
mod copy;
pub(crate) mod launch;
mod log;
mod oom;
mod process;
mod put;
mod reexec;
mod rights;
pub(crate) mod seccomp;
mod serve;
mod session;
mod supervisor;
mod users;

pub(crate) use ballot::Ballot;
pub use log::CURRENT as LOG_CURRENT;
pub(crate) use session::set_size;
pub(crate) use supervisor::{Seat, Supervisor};
pub(crate) use users::resolve as resolve_user;

/// Does once what every PID 1 would have to do: those that are forked afterwards find it done.
pub(crate) fn warm() {
    let _ = seccomp::Filter::new();
}

/// The entry of the role: the words after `pid1` on the command line. Never returns.
///
/// `nursery` forks the helpers that build nodes; `resume <fd>` goes on after a re-exec.
pub fn main(args: &[String]) -> ! {
    match args.first().map(String::as_str) {
        Some("nursery") => crate::boot::nursery::main(),
        Some("resume") => reexec::resume(args.get(1).map_or("", String::as_str)),
        _ => {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"lace pid1 is started by the agent, not by hand\n",
            );
            std::process::exit(64)
        }
    }
}
