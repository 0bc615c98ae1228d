//! One copy of a distributed application, and two revisions at once: not both.

use lace_model::beam::BeamNames;
use lace_model::family::Family;
use lace_model::revision::RevisionSpec;
use lace_model::rollout::Strategy;
use lace_model::{Code, Problem};

/// Why a distributed application cannot roll as these families do: blue-green makes each revision a cluster of its own, and
/// in both OTP would start the application.
pub(crate) fn refuse_beside(spec: &RevisionSpec, families: &[Family]) -> Result<(), Problem> {
    if let Some(beam) = spec
        .beam
        .as_ref()
        .filter(|beam| (beam.global_groups || !beam.groups.is_empty()) && beam.names != BeamNames::Dns)
    {
        let text = format!(
            "beam.global_groups: nodes named by {} are not known before they are there",
            if beam.names == BeamNames::Indexed {
                "their host (isolation \"host\")"
            } else {
                "their address"
            }
        );
        return Err(
            Problem::new(Code::Usage, text).hint("leave out global_groups, or what names the nodes so")
        );
    }
    let beside = |family: &&Family| family.rollout.strategy == Strategy::BlueGreen;
    let (Some(beam), Some(family)) = (&spec.beam, families.iter().find(beside)) else { return Ok(()) };
    if !beam.groups.is_empty() {
        let text = format!(
            "{}: beam.global_groups and rollout.strategy = \"blue-green\" contradict each other: the new nodes have indexes of \
             their own, which are in no group",
            family.path
        );
        return Err(
            Problem::new(Code::Usage, text).hint("use rollout = { strategy = \"rolling\" } or \"canary\"")
        );
    }
    let Some(application) = &beam.failover else { return Ok(()) };
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
