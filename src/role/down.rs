//! `lace down`: ends controller, agent and net of this machine, and the nodes unless they shall stay.

use super::Failure;
use super::ended;
use super::join::{self, Joined};
use super::paths::State;
use super::process::Record;
use super::settings::Settings;
use super::sudo::Person;
use crate::command::DownArgs;
use lace_machine::{Machine, MachineConfig};
use std::process::ExitCode;
use std::time::Duration;

/// A role has this long to end by itself.
const GRACE: Duration = Duration::from_secs(15);

/// Runs the command.
pub fn main(args: DownArgs) -> ExitCode {
    let state = State::new(args.state.as_deref());
    if !rustix::process::geteuid().is_root() {
        eprintln!("error: lace down ends processes and namespaces of root, so it needs root");
        eprintln!("  hint: type `sudo lace down`");
        return ExitCode::FAILURE;
    }
    let done = down(&state, args.keep_nodes).and_then(|()| if args.erase { erase(&state) } else { Ok(()) });
    ended("down", done)
}

/// Leaves nothing of a host that was removed.
fn erase(state: &State) -> Result<(), Failure> {
    if Joined::read(state).is_none() || state.settings().exists() {
        return Err(
            format!("{} is no host's of a controller elsewhere: it stays", state.dir().display()).into()
        );
    }
    Ok(std::fs::remove_dir_all(state.dir())?)
}

fn down(state: &State, keep_nodes: bool) -> Result<(), Failure> {
    end_roles(state);
    if let Some(settings) = Settings::read(state) {
        let context = settings.context(state);
        crate::command::forget_local(&context)?;
        if let Some(person) = Person::who_asks() {
            person.forget(&context);
        }
    }
    if keep_nodes {
        eprintln!("controller and agent ended; nodes go on running");
        return Ok(());
    }
    match end_all(state)? {
        None => eprintln!("lace was never up in {}", state.dir().display()),
        Some(ended) => eprintln!(
            "ended, {ended} nodes with it; what was applied stays in {} and comes back with `lace up`",
            state.dir().display()
        ),
    }
    Ok(())
}

/// Ends roles and nodes, and says how many nodes; nothing where lace was never up. Safe to repeat.
pub fn end_all(state: &State) -> Result<Option<usize>, Failure> {
    end_roles(state);
    let up = Settings::read(state).map(|settings| (settings.label, settings.space));
    let host = || Some((Joined::read(state)?.label, join::identity(state)?.space));
    up.or_else(host).map(|(label, space)| end_nodes(state, &label, &space)).transpose()
}

fn end_roles(state: &State) {
    for role in ["up", "agent", "net", "server"] {
        if let Some(record) = Record::read(&state.run(), role) {
            record.stop(GRACE);
        }
        for record in Record::leaving(&state.run(), role) {
            record.stop(Duration::ZERO);
        }
    }
    lace_push::forget_groups(&state.repositories());
}

/// Removes every node of this installation from this machine, and its network.
fn end_nodes(state: &State, label: &str, space: &str) -> Result<usize, Failure> {
    let space: lace_machine::Cidr = space.parse()?;
    let block = lace_machine::Cidr::new(space.address(), 24)?;
    let machine = Machine::open(MachineConfig::new(state.agent().join("machine"), label, space, block))?;
    let ended = machine.sweep(&[])?.len();
    machine.close_all()?;
    Ok(ended)
}
