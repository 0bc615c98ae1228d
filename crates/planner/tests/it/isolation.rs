//! Services whose nodes have the host's network and files: who may say so, and what they must be.

use crate::apply::{facts, game, live, request, store};
use crate::make::name;
use lace_model::application::ServiceSpec;
use lace_model::beam::{Beam, BeamNames};
use lace_model::revision::{FileSpec, Isolation, VolumeSpec};
use lace_model::rollout::{RolloutPolicy, Strategy};
use lace_model::{ByteSize, Code, Problem};
use lace_planner::{ApplyFacts, ApplyOutcome, LiveApplication};
use std::collections::BTreeMap;

fn on(isolation: Isolation) -> ServiceSpec {
    ServiceSpec { isolation: Some(isolation), ..game("2") }
}

fn take(live: &mut LiveApplication, spec: ServiceSpec, may_isolate: bool) -> Result<ApplyOutcome, Problem> {
    let facts = ApplyFacts { may_isolate, ..facts() };
    let outcome = lace_planner::apply(live, &request(&[("game", spec)]), &facts)?;
    live.secrets.extend(outcome.generate_secrets.iter().map(|name| (name.clone(), 1)));
    store(live, &outcome.edit);
    Ok(outcome)
}

#[test]
fn an_admin_gives_it_to_a_service_once() {
    let mut live = live();
    let problem = take(&mut live, on(Isolation::Host), false).unwrap_err();
    assert_eq!(problem.code, Code::NotAllowed);
    assert!(problem.message.contains("as a user of theirs"), "{}", problem.message);
    take(&mut live, on(Isolation::Host), true).unwrap();
    // What is not said stays, and what stays needs nobody.
    let env = Some(BTreeMap::from([("A".into(), "2".into())]));
    let outcome = take(&mut live, ServiceSpec { env: env.clone(), ..game("2") }, false).unwrap();
    assert_eq!(outcome.edit.revisions[0].spec.isolation, Isolation::Host);
    let problem = take(&mut live, on(Isolation::HostRoot), false).unwrap_err();
    assert!(problem.message.contains("as its root"), "{}", problem.message);
    let rollout = Some(RolloutPolicy { strategy: Strategy::AllAtOnce, ..RolloutPolicy::default() });
    take(&mut live, ServiceSpec { rollout, ..on(Isolation::Border) }, false).unwrap();
    assert_eq!(take(&mut live, on(Isolation::Host), false).unwrap_err().code, Code::NotAllowed);
}

#[test]
fn what_would_stay_on_the_host_is_refused() {
    let file =
        |path: &str| (path.to_owned(), FileSpec { content: String::new(), mode: 0o644, verbatim: false });
    let volume = |at: &str| VolumeSpec {
        name: name("data"),
        size: ByteSize::mib(64),
        at: at.into(),
        backup: None,
        keep: None,
    };
    let of = |path: &str, at: &str| ServiceSpec {
        files: Some(BTreeMap::from([file(path)])),
        volumes: Some(vec![volume(at)]),
        ..on(Isolation::Host)
    };
    take(&mut live(), of("/app/etc/x", "/app/data"), true).unwrap();
    let problem = take(&mut live(), of("/etc/x", "/app"), true).unwrap_err();
    assert_eq!(problem.code, Code::Usage);
    let said = format!("{problem} {:?}", problem.details);
    assert!(
        said.contains("files: /etc/x is the host's") && said.contains("volumes: /app is the host's"),
        "{said}"
    );
    take(&mut live(), ServiceSpec { isolation: None, ..of("/etc/x", "/srv") }, true).unwrap();
}

#[test]
fn erlang_nodes_on_one_host_have_names_of_their_own() {
    let beam = |beam: Beam| ServiceSpec { beam: Some(beam), ..on(Isolation::Host) };
    let mut live = live();
    let outcome = take(&mut live, beam(Beam::default()), true).unwrap();
    let names = |outcome: &ApplyOutcome| outcome.edit.revisions[0].spec.beam.as_ref().unwrap().names;
    assert_eq!(names(&outcome), BeamNames::Indexed);
    assert!(take(&mut live, beam(Beam::default()), false).unwrap().edit.is_empty(), "nothing changes");
    let problem = take(&mut live, beam(Beam { epmd: true, ..Beam::default() }), true).unwrap_err();
    assert!(problem.message.contains("beam.epmd"), "{}", problem.message);
    // Nodes of both kinds are no cluster: they change over all at once, and have their former names then.
    let problem = take(&mut live, on(Isolation::Border), true).unwrap_err();
    assert_eq!(problem.code, Code::Conflict);
    assert!(problem.message.contains("have their names as nodes on hosts now"), "{}", problem.message);
    let rollout = Some(RolloutPolicy { strategy: Strategy::AllAtOnce, ..RolloutPolicy::default() });
    let outcome = take(&mut live, ServiceSpec { rollout, ..on(Isolation::Border) }, true).unwrap();
    assert_eq!(names(&outcome), BeamNames::Dns);
}
