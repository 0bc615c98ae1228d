//! The binary: picks a role. Roles are composed in [`role`]; everything a person types is in [`command`].

mod command;
mod role;

use command::RoleCommands;
use std::process::ExitCode;

fn main() -> ExitCode {
    // PID 1 of a node is entered before anything else: it stays small, and has no runtime.
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    match words.next().as_deref() {
        Some("pid1") => lace_machine::pid1::main(&words.collect::<Vec<_>>()),
        // Git, for whoever pushes a release.
        Some("confined") => {
            std::process::exit(lace_machine::confined::main(std::env::args_os().skip(2).collect()))
        }
        // What PID 1 runs beside the process of a node that votes.
        Some("copy") => return lace_agent::copy_main(&words.collect::<Vec<_>>()),
        _ => {}
    }
    command::main(
        std::env::args_os(),
        &RoleCommands {
            server: role::server::main,
            agent: role::agent::main,
            net: role::net::main,
            pid1: |_| ExitCode::from(2),
            sim: role::sim::main,
            up: role::up::main,
            down: role::down::main,
            demo: role::demo::main,
            doctor: role::doctor::main,
            restore: role::restore::main,
        },
    )
}
