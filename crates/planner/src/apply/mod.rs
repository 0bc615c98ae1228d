//! The one diff of `lace plan` and `lace apply`.

mod live;

pub use live::{ApplyFacts, ApplyOutcome, LiveApplication, LiveService};

use lace_model::application::ApplyRequest;
use lace_model::{Code, Problem};

/// What a manifest changes: the plan to show, and the objects to write.
pub fn apply(
    live: &LiveApplication,
    request: &ApplyRequest,
    facts: &ApplyFacts,
) -> Result<ApplyOutcome, Problem> {
    let _ = (live, request, facts);
    Err(Problem::new(Code::Error, "not written yet"))
}
