//! What must be so before a node of a revision starts.

use super::draft::Draft;
use super::input::JobGate;
use lace_model::Reason;

/// Is the way free for nodes of this revision? Otherwise: what they wait for.
pub(super) fn check(draft: &Draft, revision: u64) -> Result<(), Reason> {
    let Some(known) = draft.revision(revision) else {
        return Err(Reason::Other { text: format!("revision {revision} is not known") });
    };
    let first_start = draft.good.is_none() && draft.running().next().is_none();
    if let (true, Err(family)) = (first_start, &draft.input.gates.needs_met) {
        return Err(Reason::WaitsForFamily { family: family.clone() });
    }
    match draft.input.gates.before_done.get(&revision) {
        Some(JobGate::Done) => Ok(()),
        Some(JobGate::Waiting(command)) => {
            Err(Reason::WaitsForJob { command: command.clone(), no_room_since: None })
        }
        Some(JobGate::NoRoom { command, since }) => {
            Err(Reason::WaitsForJob { command: command.clone(), no_room_since: Some(*since) })
        }
        Some(JobGate::Failed { cause, .. }) => Err(Reason::RevisionFailed { revision, cause: cause.clone() }),
        None => match known.spec.before.first() {
            Some(command) if draft.good != Some(revision) => {
                Err(Reason::WaitsForJob { command: command.join(" "), no_room_since: None })
            }
            _ => Ok(()),
        },
    }
}
