//! Distribution over TLS: what a release has to carry for it, and when it may come and go.

use super::LiveService;
use lace_model::beam::{Beam, BeamNames, TLS_APPLICATIONS};
use lace_model::family::{Family, StateKind};
use lace_model::release::Release;
use lace_model::revision::RevisionSpec;
use lace_model::rollout::Strategy;
use lace_model::{Code, Problem};

/// Why nodes of this release cannot speak TLS to one another. Nothing where it is not known what it carries.
pub(crate) fn missing(release: &Release, beam: &Beam) -> Option<Problem> {
    let carried = &release.needs.applications;
    let missing: Vec<_> =
        TLS_APPLICATIONS.into_iter().filter(|app| carried.iter().all(|a| a != app)).collect();
    if !beam.tls || carried.is_empty() || missing.is_empty() {
        return None;
    }
    let text = format!(
        "beam.tls: release {}@{} does not carry {}",
        release.name,
        release.version,
        missing.join(", ")
    );
    Some(Problem::new(Code::Preflight, text).hint(
        "add `ssl` to the applications of the release (rebar.config: the list of its relx `release`; mix.exs: \
         extra_applications), build it again under a new version, and deploy that",
    ))
}

/// Do the two revisions never have to be one cluster: nobody of the old is left, or the new are a mesh of their own?
fn is_apart(family: &Family, to: &RevisionSpec) -> bool {
    match family.rollout.strategy {
        Strategy::AllAtOnce => true,
        Strategy::BlueGreen => to.volumes.is_empty() && family.state == StateKind::Replaceable,
        _ => false,
    }
}

fn on_host(beam: &Beam) -> bool {
    beam.names == BeamNames::Indexed
}

/// Why nodes cannot change from one revision to the other as these families roll: those with TLS and those without are
/// no cluster together, nor those with other names or other global groups.
pub(crate) fn refuse_switch(
    live: &LiveService,
    to: &RevisionSpec,
    families: &[&Family],
) -> Result<(), Problem> {
    let wanted = live.wanted();
    let from = wanted.and_then(|wanted| wanted.spec.beam.as_ref());
    let differs = |before: &Beam, then: &Beam| {
        before.tls != then.tls || on_host(before) != on_host(then) || !before.shares_groups(then)
    };
    let Some((before, then)) = from.zip(to.beam.as_ref()).filter(|(before, then)| differs(before, then))
    else {
        return Ok(());
    };
    let there = |family: &Family| {
        live.families.get(&family.path.family).is_some_and(|f| f.running && f.count > 0 && !f.deleting)
    };
    let rolls = |family: &&&Family| there(family) && !is_apart(family, to);
    let Some(family) = families.iter().find(rolls) else { return Ok(()) };
    let path = &live.service.path;
    let carrier = |beam: &Beam| if beam.tls { "TLS" } else { "plain TCP" };
    let naming = |beam: &Beam| if on_host(beam) { "as nodes on hosts" } else { "as nodes with borders" };
    let how = if before.tls != then.tls {
        format!("speak {} to one another now, and {} then", carrier(before), carrier(then))
    } else if on_host(before) != on_host(then) {
        format!("have their names {} now, and {} then", naming(before), naming(then))
    } else {
        "know other global groups then than now".to_owned()
    };
    let text = format!(
        "{}: its nodes {how}: they cannot be one cluster while they change over one after the other",
        family.path
    );
    Err(Problem::new(Code::Conflict, text).hint(format!(
        "let them change over side by side (rollout = {{ strategy = \"blue-green\" }}: two clusters until the doors switch; not \
         with volumes), or all at once (\"all-at-once\": the cluster is away meanwhile), or `lace stop {path}` first"
    )))
}
