//! `lace server restore`: a controller's state from a backup, in a new epoch and in adopt mode.

use super::paths::State;
use super::process::Record;
use super::{Failure, ended};
use crate::command::RestoreArgs;
use lace_store::{MasterKey, Store, SystemClock};
use std::path::{Path, PathBuf};
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
    let unpacked = unpack(Path::new(&args.file), &state)?;
    let restored = Store::restore(&unpacked, &state.server(), key, Arc::new(SystemClock));
    let _ = std::fs::remove_dir_all(unpacked);
    let store = restored?;
    eprintln!(
        "restored into {}: epoch {}, adopt mode. Nothing that runs is touched; `lace up`, look at `lace status`, \
         then `lace server adopted` ends adopt mode",
        state.server().display(),
        store.epoch()
    );
    Ok(())
}

/// A backup is a tar archive of a directory; it is unpacked beside the state.
fn unpack(file: &Path, state: &State) -> Result<PathBuf, Failure> {
    let to = state.run().join("restoring");
    let _ = std::fs::remove_dir_all(&to);
    std::fs::create_dir_all(&to)?;
    let archive = std::fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_permissions(false);
    archive.unpack(&to).map_err(|e| format!("{} is not a backup: {e}", file.display()))?;
    Ok(to)
}
