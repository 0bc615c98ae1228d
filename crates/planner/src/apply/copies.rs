//! One copy of a distributed application, and two revisions at once: not both.

use lace_model::family::Family;
use lace_model::revision::RevisionSpec;
use lace_model::rollout::Strategy;
use lace_model::{Code, Problem};

/// Why a distributed application cannot roll as these families do: blue-green makes each revision a cluster of its own, and
/// in both OTP would start the application.
pub(crate) fn refuse_beside(spec: &RevisionSpec, families: &[Family]) -> Result<(), Problem> {
    let Some(application) = spec.beam.as_ref().and_then(|beam| beam.failover.as_ref()) else { return Ok(()) };
    let beside = |family: &&Family| family.rollout.strategy == Strategy::BlueGreen;
    let Some(family) = families.iter().find(beside) else { return Ok(()) };
    let text = format!(
        "{}: beam.failover and rollout.strategy = \"blue-green\" contradict each other: both revisions would be a cluster of \
         their own, and {application} would run in each",
        family.path
    );
    Err(Problem::new(Code::Usage, text).hint(
        "use rollout = { strategy = \"rolling\" } (or \"canary\", or \"hot\" with a relup): the nodes stay one cluster, and the \
         application moves; or leave out failover",
    ))
}
