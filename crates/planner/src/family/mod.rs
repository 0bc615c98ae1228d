//! One family: its wanted state and what is observed, to its next target.

mod input;

pub use input::{AWAY_AFTER, FamilyInput, FamilyOutcome, Gates, HostView, JobGate, Used};

/// The next target of a family, or the statement that the present one stays.
pub fn plan(input: &FamilyInput) -> FamilyOutcome {
    let _ = input;
    FamilyOutcome::default()
}
