//! `lace down`: ends controller, agent and net of this machine, and the nodes unless they shall stay.

use super::Failure;
use super::ended;
use super::paths::State;
use super::process::Record;
use super::up::Settings;
use crate::command::DownArgs;
use lace_machine::{Machine, MachineConfig};
use std::process::ExitCode;
use std::time::Duration;

/// A role has this long to end by itself.
const GRACE: Duration = Duration::from_secs(15);

/// Runs the command.
pub fn main(args: DownArgs) -> ExitCode {
    let state = State::new(args.state.as_deref());
    ended("down", down(&state, args.keep_nodes))
}

/// Ends everything; safe to repeat.
pub fn down(state: &State, keep_nodes: bool) -> Result<(), Failure> {
    for role in ["up", "agent", "net", "server"] {
        if let Some(record) = Record::read(&state.run(), role) {
            record.stop(GRACE);
        }
    }
    if keep_nodes {
        eprintln!("controller and agent ended; nodes go on running");
        return Ok(());
    }
    let Some(settings) = Settings::read(state) else {
        eprintln!("lace was never up in {}", state.dir().display());
        return Ok(());
    };
    let ended = end_nodes(state, &settings)?;
    eprintln!(
        "ended, {ended} nodes with it; what was applied stays in {} and comes back with `lace up`",
        state.dir().display()
    );
    Ok(())
}

/// Removes every node of this installation from this machine, and its network.
fn end_nodes(state: &State, settings: &Settings) -> Result<usize, Failure> {
    let space: lace_machine::Cidr = settings.space.parse()?;
    let block = lace_machine::Cidr::new(space.address(), 24)?;
    let machine =
        Machine::open(MachineConfig::new(state.agent().join("machine"), &settings.label, space, block))?;
    let ended = machine.sweep(&[])?.len();
    machine.close_all()?;
    Ok(ended)
}
