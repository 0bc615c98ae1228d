//! What a service must be for its nodes to have the host's network and files, and who may say so.

use super::{Making, Work};
use lace_model::beam::{Beam, BeamNames};
use lace_model::revision::{Isolation, OWN_PLACE, RevisionSpec};
use lace_model::{Code, Problem};
use std::path::Path;

/// Every reason why the nodes of a service cannot run so.
pub(super) fn check(work: &Work, making: &Making, spec: &RevisionSpec) -> Vec<Problem> {
    if !spec.isolation.is_on_host() {
        return Vec::new();
    }
    let path = format!("{}/{}", making.app, making.name);
    let mut problems = Vec::new();
    // Whoever was once allowed decided for the service: releases and settings of it may roll without a further word.
    let before = making.base.map(|base| base.isolation).unwrap_or_default();
    if before != spec.isolation && !work.facts.may_isolate {
        problems.push(refused(&path, spec.isolation));
    }
    problems.extend(places(&path, spec));
    if spec.beam.as_ref().is_some_and(|beam| beam.epmd) {
        let text =
            format!("{path}: beam.epmd: nodes with isolation `host` would share the host's port of epmd");
        problems.push(Problem::new(Code::Usage, text).hint("leave epmd out: none is needed"));
    }
    problems
}

/// That a caller may not have nodes on the host itself.
fn refused(path: &str, isolation: Isolation) -> Problem {
    let whose = if isolation == Isolation::HostRoot { "as its root" } else { "as a user of theirs" };
    let text =
        format!("{path}: isolation: its nodes would be on their hosts' own network and files, {whose}");
    Problem::new(Code::NotAllowed, text)
        .hint("an admin has to apply this once; later revisions need no admin")
}

/// What is put elsewhere would lie on the host, for all to see, and stay there.
fn places<'a>(path: &'a str, spec: &'a RevisionSpec) -> impl Iterator<Item = Problem> + 'a {
    let files = spec.files.keys().map(|file| ("files", file));
    let volumes = spec.volumes.iter().map(|volume| ("volumes", &volume.at));
    let templates = spec.package.iter().flat_map(|package| package.templates.keys());
    let templates = templates.map(|path| ("templates of its package", path));
    let elsewhere = |at: &str| !Path::new(at).starts_with(OWN_PLACE) || Path::new(at) == Path::new(OWN_PLACE);
    files.chain(volumes).chain(templates).filter(move |(_, at)| elsewhere(at)).map(move |(what, at)| {
        let text =
            format!("{path}: {what}: {at} is the host's: nodes with isolation `host` own {OWN_PLACE} alone");
        Problem::new(Code::Usage, text).hint(format!("write a path below {OWN_PLACE}"))
    })
}

/// Nodes on one host have names of their own before the @, too, and need no resolver to find one another.
pub(super) fn name(beam: &mut Beam, isolation: Isolation, said: Option<BeamNames>) {
    match isolation.is_on_host() {
        true => beam.names = BeamNames::Indexed,
        // As it was before the service had been on hosts.
        false if beam.names == BeamNames::Indexed => beam.names = said.unwrap_or_default(),
        false => {}
    }
}
