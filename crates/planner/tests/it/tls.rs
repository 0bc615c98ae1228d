//! Distribution over TLS: its authority, what a release has to carry, and changing over to it.

use crate::apply::{doer, game, live, refused, request, store};
use crate::make::name;
use crate::world::{Conduct, World};
use lace_model::application::ServiceSpec;
use lace_model::beam::{Beam, TLS_APPLICATIONS};
use lace_model::family::StateKind;
use lace_model::rollout::{Phase, RolloutPolicy, Strategy};
use lace_model::{Code, Problem};
use lace_planner::{ApplyOutcome, LiveApplication, verb};

fn over(tls: bool, strategy: Strategy) -> ServiceSpec {
    ServiceSpec {
        beam: Some(Beam { tls, ..Beam::default() }),
        rollout: Some(RolloutPolicy { strategy, ..RolloutPolicy::default() }),
        ..game("2")
    }
}

/// Release 2 carries these applications.
fn carrying(names: &[&str]) -> LiveApplication {
    let mut live = live();
    let release = live.releases.get_mut(&(name("game"), "2".into())).unwrap();
    release.needs.applications = names.iter().map(|name| (*name).to_owned()).collect();
    live
}

fn running(tls: bool) -> LiveApplication {
    let mut live = carrying(&TLS_APPLICATIONS);
    take(&mut live, over(tls, Strategy::Rolling)).unwrap();
    live
}

fn take(live: &mut LiveApplication, spec: ServiceSpec) -> Result<ApplyOutcome, Problem> {
    let outcome = lace_planner::apply(live, &request(&[("game", spec)]), &crate::apply::facts())?;
    live.secrets.extend(outcome.generate_secrets.iter().map(|name| (name.clone(), 1)));
    store(live, &outcome.edit);
    Ok(outcome)
}

#[test]
fn a_cluster_has_an_authority_of_its_own_as_long_as_it_wants_one() {
    let mut live = carrying(&TLS_APPLICATIONS);
    let outcome = take(&mut live, over(true, Strategy::AllAtOnce)).unwrap();
    assert_eq!(outcome.generate_secrets, ["LACE_COOKIE_game", "LACE_CA_game"]);
    assert_eq!(outcome.edit.revisions[0].spec.secrets.get("LACE_CA_game"), Some(&1));
    let again = take(&mut live, over(true, Strategy::AllAtOnce)).unwrap();
    assert!(again.generate_secrets.is_empty() && again.edit.is_empty());
    let outcome = take(&mut live, over(false, Strategy::AllAtOnce)).unwrap();
    assert_eq!(outcome.edit.revisions[0].spec.secrets.get("LACE_CA_game"), None);
}

#[test]
fn a_release_without_ssl_is_refused_before_anything_is_placed() {
    let lacking = carrying(&["kernel", "stdlib", "crypto"]);
    let problem = refused(&lacking, &request(&[("game", over(true, Strategy::Rolling))]));
    assert_eq!(problem.code, Code::Preflight);
    assert_eq!(problem.message, "beam.tls: release game@2 does not carry public_key, ssl");
    assert!(problem.hint.unwrap().contains("extra_applications"));
    // Where the release is not named again it is the one that runs.
    let mut live = running(false);
    live.releases.values_mut().for_each(|r| r.needs.applications = vec!["kernel".into()]);
    let unsaid = ServiceSpec { release: None, ..over(true, Strategy::AllAtOnce) };
    assert_eq!(refused(&live, &request(&[("game", unsaid)])).code, Code::Preflight);
    // What an older one was uploaded with says nothing.
    take(&mut carrying(&[]), over(true, Strategy::Rolling)).unwrap();
    // By hand as well.
    let service = &running(true).services[&name("game")];
    let release = lacking.releases.values().find(|r| r.version == "2").unwrap();
    let problem = verb::release_activate(service, release, false, &doer()).unwrap_err();
    assert_eq!(problem.code, Code::Preflight);
}

#[test]
fn nodes_with_and_without_do_not_change_over_one_after_the_other() {
    for tls in [false, true] {
        for strategy in [Strategy::Rolling, Strategy::Canary, Strategy::Hot] {
            let problem = take(&mut running(tls), over(!tls, strategy)).unwrap_err();
            assert_eq!(problem.code, Code::Conflict);
            assert!(problem.message.contains("they cannot be one cluster"), "{}", problem.message);
            assert!(problem.hint.unwrap().contains("all-at-once"));
        }
        take(&mut running(tls), over(!tls, Strategy::AllAtOnce)).unwrap();
        // Two meshes side by side.
        take(&mut running(tls), over(!tls, Strategy::BlueGreen)).unwrap();
        let kept = ServiceSpec { state: Some(StateKind::Pinned), ..over(!tls, Strategy::BlueGreen) };
        assert_eq!(take(&mut running(tls), kept).unwrap_err().code, Code::Conflict);
    }
    // Nobody is there who could be cut off.
    let mut live = running(false);
    for family in live.services.get_mut(&name("game")).unwrap().families.values_mut() {
        family.running = false;
    }
    take(&mut live, over(true, Strategy::Rolling)).unwrap();
}

#[test]
fn going_back_by_hand_is_no_way_around_it() {
    let mut live = running(false);
    take(&mut live, over(true, Strategy::AllAtOnce)).unwrap();
    take(&mut live, over(true, Strategy::Rolling)).unwrap();
    let problem = verb::rollback(&live.services[&name("game")], Some(1), false, &doer()).unwrap_err();
    assert_eq!(problem.code, Code::Conflict);
    take(&mut live, over(true, Strategy::AllAtOnce)).unwrap();
    verb::rollback(&live.services[&name("game")], Some(1), false, &doer()).unwrap();
}

#[test]
fn whatever_the_rules_say_they_change_over_together() {
    let mut world = World::new(3, 2, 7);
    world.revisions.get_mut(&1).unwrap().spec.beam = Some(Beam { join: false, ..Beam::default() });
    world.settle();
    assert_eq!((world.revisions_running(), world.ready()), (vec![1, 1, 1], 3));
    // As good as rolling; for that one the world watches how many serve.
    world.family.rollout.strategy = Strategy::Canary;
    world.roll_out(Conduct::Good);
    world.revisions.get_mut(&2).unwrap().spec.beam = Some(Beam { tls: true, ..Beam::default() });
    while world.target.as_ref().unwrap().rollout.as_ref().unwrap().to != 2 {
        world.tick();
    }
    assert_eq!(world.revisions_running(), [2, 2, 2]);
    world.settle();
    assert_eq!((world.phase(), world.ready()), (Phase::Done, 3));
}
