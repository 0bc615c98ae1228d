//! The binary: picks a role. Roles are composed in [`role`]; everything a person types is in [`command`].

mod command;
mod role;

use command::RoleCommands;
use std::process::ExitCode;

fn main() -> ExitCode {
    // PID 1 of a node is entered before anything else: it stays small, and has no runtime.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == "pid1") {
        let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
        lace_machine::pid1::main(&words);
    }
    command::main(
        std::env::args_os(),
        &RoleCommands {
            server: role::server::main,
            agent: role::agent::main,
            net: role::net::main,
            pid1: |_| ExitCode::from(2),
            up: role::up::main,
            down: role::down::main,
            demo: role::demo::main,
            doctor: role::doctor::main,
            restore: role::restore::main,
        },
    )
}
