//! `lace server restore`: a controller's state from a backup, in a new epoch and in adopt mode.

use super::paths::State;
use super::process::Record;
use super::{Failure, ended};
use crate::command::RestoreArgs;
use lace_store::{MasterKey, Store, SystemClock};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the command.
pub fn main(args: RestoreArgs) -> ExitCode {
    ended("server restore", restore(&args))
}

fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let state = State::new(args.state.as_deref());
    for role in ["up", "server"] {
        if let Some(record) = Record::read(&state.run(), role) {
            let pid = record.pid;
            return Err(format!("`lace {role}` runs (pid {pid}): type `lace down --keep-nodes` first").into());
        }
    }
    let key = MasterKey::load_or_create(&state.master_key())?;
    let store = Store::restore(Path::new(&args.file), &state.server(), key, Arc::new(SystemClock))?;
    eprintln!(
        "restored into {}: epoch {}, adopt mode. Nothing that runs is touched; `lace up`, look at `lace status`, \
         then `lace server adopted` ends adopt mode",
        state.server().display(),
        store.epoch()
    );
    Ok(())
}
