//! The command line without roles: for its makers, until main.rs hands the roles in.

#[path = "../command/mod.rs"]
pub mod command;

use std::process::ExitCode;

fn absent<T>(_: T) -> ExitCode {
    ExitCode::from(1)
}

fn main() -> ExitCode {
    let roles = command::RoleCommands {
        server: absent,
        agent: absent,
        net: absent,
        pid1: absent,
        up: absent,
        down: absent,
        demo: absent,
        doctor: absent,
        restore: absent,
    };
    command::main(std::env::args_os(), &roles)
}
