//! Manifests against what lives, and the verbs.

use crate::make::name;
use lace_model::application::{ApplicationSpec, ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::beam::Beam;
use lace_model::change::Action;
use lace_model::family::Family;
use lace_model::host::Capacity;
use lace_model::release::{Release, ReleaseKind, ReleaseRef};
use lace_model::rollout::Share;
use lace_model::route::RouteSpec;
use lace_model::{ByteSize, Code, CpuMillis, Digest, Problem, Span};
use lace_planner::{ApplyFacts, ApplyOutcome, Choice, Doer, Edit, LiveApplication, LiveService, apply, verb};
use std::collections::BTreeMap;

fn release(version: &str, kind: ReleaseKind) -> Release {
    Release {
        name: name("game"),
        version: version.into(),
        tree: Digest::of(version.as_bytes()),
        kind,
        start: vec!["bin/game".into(), "foreground".into()],
        stop: None,
        templates: Vec::new(),
        needs: lace_model::release::Needs::default(),
        bytes: 1,
        uploaded_at: version.len() as u64 + u64::from(version.as_bytes()[0]),
        pushed: None,
    }
}

pub fn live() -> LiveApplication {
    let releases = [release("1", ReleaseKind::Generic), release("2", ReleaseKind::Relx)];
    let releases = releases.into_iter().map(|r| ((r.name.clone(), r.version.clone()), r)).collect();
    LiveApplication { releases, secrets: BTreeMap::from([("KEY".into(), 3)]), ..LiveApplication::default() }
}

pub fn game(version: &str) -> ServiceSpec {
    ServiceSpec {
        release: Some(ReleaseRef { name: name("game"), version: Some(version.into()) }),
        env: Some(BTreeMap::from([("A".into(), "1".into())])),
        secrets: Some(vec!["KEY".into()]),
        families: BTreeMap::from([(name("game"), FamilySpec { count: Some(3), ..FamilySpec::default() })]),
        ..ServiceSpec::default()
    }
}

pub fn request(services: &[(&str, ServiceSpec)]) -> ApplyRequest {
    let services = services.iter().map(|(n, s)| (name(n), s.clone())).collect();
    ApplyRequest {
        app: name("shop"),
        spec: ApplicationSpec { services },
        prune: false,
        delete_data: false,
        plan: None,
    }
}

pub fn facts() -> ApplyFacts {
    let host = Capacity { cpu: CpuMillis(2000), memory: ByteSize::mib(1024), slots: 100 };
    ApplyFacts { now: 5, actor: "ada".into(), seed: [1; 32], hosts: vec![host], ..Default::default() }
}

fn applied(live: &LiveApplication, request: &ApplyRequest) -> ApplyOutcome {
    apply(live, request, &facts()).unwrap()
}

pub fn refused(live: &LiveApplication, request: &ApplyRequest) -> Problem {
    apply(live, request, &facts()).unwrap_err()
}

/// What the store does with an edit.
pub fn store(live: &mut LiveApplication, edit: &Edit) {
    live.app = edit.application.clone().or(live.app.take());
    for service in &edit.services {
        let entry = live.services.entry(service.path.service.clone()).or_insert_with(|| LiveService {
            service: service.clone(),
            families: BTreeMap::new(),
            revisions: BTreeMap::new(),
        });
        entry.service = service.clone();
    }
    for family in &edit.families {
        let service = live.services.get_mut(&family.path.service).unwrap();
        service.families.insert(family.path.family.clone(), family.clone());
    }
    for revision in &edit.revisions {
        let service = live.services.get_mut(&revision.service.service).unwrap();
        service.revisions.insert(revision.number, revision.clone());
    }
}

/// An application that was applied once.
fn with(services: &[(&str, ServiceSpec)]) -> LiveApplication {
    let mut live = live();
    let outcome = applied(&live, &request(services));
    store(&mut live, &outcome.edit);
    live
}

fn lines(outcome: &ApplyOutcome) -> Vec<String> {
    let line = |c: &lace_model::change::Change| {
        let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
        let subject = c.service.as_ref().map(ToString::to_string).unwrap_or_default();
        format!(
            "{:?} {subject} {}: {} > {}; {}",
            c.action,
            c.field,
            text(&c.from),
            text(&c.to),
            text(&c.effect)
        )
    };
    outcome.plan.changes.iter().map(line).collect()
}

pub fn doer() -> Doer {
    Doer { actor: "ada".into(), now: 9 }
}

fn the_family(live: &LiveApplication) -> &Family {
    &live.services[&name("game")].families[&name("game")]
}

#[test]
fn a_new_application_is_created() {
    let outcome = applied(&live(), &request(&[("game", game("1"))]));
    assert_eq!(lines(&outcome), ["Create  : - > shop; -", "Create game : - > game@1; starts 3 nodes"]);
    assert_eq!(outcome.edit.families[0].count, 3);
    assert_eq!(outcome.edit.revisions[0].spec.secrets, BTreeMap::from([("KEY".into(), 3)]));
    assert_eq!((outcome.edit.goals[0].revision, outcome.edit.goals[0].ready), (Some(1), 3));
}

#[test]
fn the_same_again_changes_nothing() {
    for version in ["1", "2"] {
        let mut live = with(&[("game", game(version))]);
        live.secrets.insert("LACE_COOKIE_game".into(), 1);
        let outcome = applied(&live, &request(&[("game", game(version))]));
        assert!(outcome.plan.is_empty() && outcome.edit.is_empty(), "{:?}", lines(&outcome));
        assert_eq!(outcome.edit.goals.len(), 1, "it is still waited for");
    }
}

#[test]
fn what_nodes_run_rolls_and_what_a_family_is_does_not() {
    let live = with(&[("game", game("1"))]);
    let mut spec = game("1");
    spec.env = Some(BTreeMap::from([("B".into(), "2".into())]));
    let outcome = applied(&live, &request(&[("game", spec)]));
    assert_eq!(lines(&outcome), ["Update game env.B: - > 2; rolls 3 nodes", "Update game env.A: 1 > -; -"]);
    assert_eq!(outcome.edit.families[0].revision, 2);
    let mut spec = game("1");
    spec.families.get_mut(&name("game")).unwrap().count = Some(5);
    spec.rollout =
        Some(lace_model::rollout::RolloutPolicy { max_unavailable: Share::Count(2), ..Default::default() });
    let outcome = applied(&live, &request(&[("game", spec)]));
    assert!(outcome.edit.revisions.is_empty());
    assert_eq!(lines(&outcome)[0], "Update game family.game.count: 3 > 5; starts 2 nodes");
    assert_eq!(outcome.edit.families[0].rollout.max_unavailable, Share::Count(2));
}

#[test]
fn a_beam_release_gets_its_settings_and_a_cookie() {
    let outcome = applied(&live(), &request(&[("game-x", game("2"))]));
    assert_eq!(outcome.generate_secrets, ["LACE_COOKIE_game_x"]);
    let spec = &outcome.edit.revisions[0].spec;
    assert!(spec.beam.is_some());
    assert_eq!(spec.secrets.get("LACE_COOKIE_game_x"), Some(&1));
}

#[test]
fn the_newest_release_is_meant_where_no_version_is_said() {
    let mut spec = game("1");
    spec.release.as_mut().unwrap().version = None;
    let outcome = applied(&live(), &request(&[("game", spec)]));
    assert_eq!(outcome.edit.revisions[0].spec.release, "game@2");
}

#[test]
fn what_the_file_leaves_out_stays_and_is_shown_as_drift() {
    let mut live = with(&[("game", game("1"))]);
    let scaled = verb::scale(&live.services[&name("game")], the_family(&live), 7, false, &doer()).unwrap();
    store(&mut live, &scaled);
    let silent = ServiceSpec::default();
    let outcome = applied(&live, &request(&[("game", silent)]));
    assert_eq!(lines(&outcome), ["Drift game family.game.count: 3 > 7; -"]);
    assert!(outcome.plan.is_empty() && outcome.edit.is_empty());
    let outcome = applied(&live, &request(&[("game", game("1"))]));
    assert_eq!(lines(&outcome), ["Update game family.game.count: 7 > 3; stops 4 nodes"]);
    let saved = verb::scale(&live.services[&name("game")], the_family(&live), 7, true, &doer()).unwrap();
    store(&mut live, &saved);
    assert!(lines(&applied(&live, &request(&[("game", ServiceSpec::default())]))).is_empty());
}

#[test]
fn a_release_that_was_pushed_is_never_meant_without_its_version() {
    let mut live = live();
    let commit = serde_json::json!({
        "service": "shop/game", "branch": "main", "commit": "0123", "subject": "Mend it", "key": "ada",
    });
    let pushed = Release {
        pushed: Some(serde_json::from_value(commit).unwrap()),
        ..release("git-0123", ReleaseKind::Generic)
    };
    assert!(pushed.uploaded_at > release("2", ReleaseKind::Relx).uploaded_at, "the newest");
    live.releases.insert((pushed.name.clone(), pushed.version.clone()), pushed);
    let mut spec = game("1");
    spec.release.as_mut().unwrap().version = None;
    let outcome = applied(&live, &request(&[("game", spec)]));
    assert_eq!(outcome.edit.revisions[0].spec.release, "game@2");
    let outcome = applied(&live, &request(&[("game", game("git-0123"))]));
    assert_eq!(outcome.edit.revisions[0].spec.release, "game@git-0123");
}

#[test]
fn a_release_activated_by_hand_is_drift_until_the_file_speaks() {
    let mut live = with(&[("game", game("1"))]);
    let other = release("3", ReleaseKind::Generic);
    live.releases.insert((other.name.clone(), other.version.clone()), other.clone());
    let edit = verb::release_activate(&live.services[&name("game")], &other, false, &doer()).unwrap();
    store(&mut live, &edit);
    let outcome = applied(&live, &request(&[("game", ServiceSpec::default())]));
    assert_eq!(lines(&outcome), ["Drift game release: game@1 > game@3; -"]);
    let outcome = applied(&live, &request(&[("game", game("1"))]));
    assert_eq!(lines(&outcome), ["Update game release: game@3 > game@1; rolls 3 nodes"]);
}

#[test]
fn prune_deletes_what_the_file_does_not_name() {
    let live = with(&[("game", game("1")), ("chat", game("1"))]);
    let mut asked = request(&[("game", game("1"))]);
    assert!(applied(&live, &asked).plan.is_empty());
    asked.prune = true;
    let outcome = applied(&live, &asked);
    assert_eq!(lines(&outcome), ["Delete chat : - > -; stops 3 nodes"]);
    assert!(outcome.edit.families[0].deleting && outcome.edit.services[0].deleting);
    assert!(outcome.edit.goals.iter().any(|g| g.revision.is_none()));
}

#[test]
fn a_way_in_belongs_to_one_service() {
    let at = |host: &str| RouteSpec { host: Some(host.into()), ..RouteSpec::new(80) };
    let with_routes = |routes: Vec<RouteSpec>| ServiceSpec { routes: Some(routes), ..game("1") };
    let live = with(&[("game", with_routes(vec![at("a.example.com")])), ("chat", game("1"))]);
    let others =
        ApplyFacts { doors: [("b.example.com/".to_owned(), "other/web".parse().unwrap())].into(), ..facts() };
    let table: [(&str, Vec<RouteSpec>, Result<(), &str>); 6] = [
        ("game", vec![at("a.example.com"), at("c.example.com")], Ok(())),
        ("chat", vec![at("a.example.com")], Err("a.example.com/ belongs to shop/game")),
        ("chat", vec![at("b.example.com")], Err("b.example.com/ belongs to other/web")),
        ("chat", vec![RouteSpec::new(80), RouteSpec::new(81)], Err("said twice")),
        ("chat", vec![at("B.example.com")], Err("small letters")),
        ("chat", vec![RouteSpec { listen: Some(5432), ..RouteSpec::new(5432) }], Ok(())),
    ];
    for (service, routes, expected) in table {
        let asked = request(&[(service, with_routes(routes.clone()))]);
        match (apply(&live, &asked, &others), expected) {
            (Ok(_), Ok(())) => {}
            (Err(problem), Err(words)) => assert!(problem.message.contains(words), "{problem:?}"),
            (given, _) => panic!("{routes:?}: {given:?}"),
        }
    }
    // Nothing rolls, and a door may change hands within one file.
    let moved = request(&[("game", with_routes(vec![])), ("chat", with_routes(vec![at("a.example.com")]))]);
    let outcome = applied(&live, &moved);
    assert_eq!(
        lines(&outcome),
        [
            "Update chat routes: - > a.example.com/ to :80; -",
            "Update game routes: a.example.com/ to :80 > ; -"
        ]
    );
    assert!(outcome.edit.revisions.is_empty());
}

#[test]
fn a_pinned_plan_is_done_exactly_or_refused() {
    let mut live = with(&[("game", game("1"))]);
    let mut asked = request(&[("game", game("2"))]);
    asked.plan = Some(applied(&live, &asked).plan.digest);
    assert!(apply(&live, &asked, &ApplyFacts { now: 77, ..facts() }).is_ok(), "time alone does not matter");
    let scaled = verb::scale(&live.services[&name("game")], the_family(&live), 4, false, &doer()).unwrap();
    store(&mut live, &scaled);
    assert_eq!(refused(&live, &asked).code, Code::Conflict);
}

#[test]
fn a_failed_revision_is_tried_again_by_applying_it_again() {
    let mut live = with(&[("game", game("1"))]);
    let service = live.services.get_mut(&name("game")).unwrap();
    service.revisions.get_mut(&1).unwrap().bad = Some("exit status 1".into());
    let outcome = applied(&live, &request(&[("game", game("1"))]));
    assert_eq!(lines(&outcome), ["Update game revision: 1 (exit status 1) > 1; is tried again"]);
    assert_eq!(outcome.edit.revisions[0].bad, None);
}

fn check_refused(change: impl Fn(&mut ServiceSpec), code: Code, hint: &str) {
    let mut spec = game("1");
    change(&mut spec);
    let problem = refused(&live(), &request(&[("game", spec)]));
    assert_eq!(problem.code, code, "{problem:?}");
    assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{problem:?}");
}

#[test]
fn each_family_has_limits_of_its_own() {
    let sized = |memory| FamilySpec { memory: Some(ByteSize::mib(memory)), ..FamilySpec::default() };
    let mut spec = game("1");
    spec.families = BTreeMap::from([(name("large"), sized(512)), (name("small"), sized(64))]);
    let mut live = with(&[("game", spec.clone())]);
    let of = |live: &LiveApplication, family: &str| {
        let revision = live.services[&name("game")].revisions.values().next_back().unwrap();
        (revision.number, revision.spec.limits_of(&name(family)).memory)
    };
    assert_eq!(of(&live, "large"), (1, ByteSize::mib(512)));
    assert_eq!(of(&live, "small"), (1, ByteSize::mib(64)));

    // Only what is said changes; the plan names the family.
    let says =
        ServiceSpec { families: BTreeMap::from([(name("small"), sized(96))]), ..ServiceSpec::default() };
    let outcome = applied(&live, &request(&[("game", says)]));
    assert_eq!(lines(&outcome), ["Update game family.small.memory: 64MiB > 96MiB; rolls 2 nodes"]);
    store(&mut live, &outcome.edit);
    assert_eq!(of(&live, "large"), (2, ByteSize::mib(512)));
    assert_eq!(of(&live, "small"), (2, ByteSize::mib(96)));

    // Much cpu for one and much memory for the other: each finds its host.
    spec.families.get_mut(&name("large")).unwrap().memory = Some(ByteSize::mib(1024));
    spec.families.get_mut(&name("small")).unwrap().cpu = Some(CpuMillis(2000));
    assert!(apply(&live, &request(&[("game", spec.clone())]), &facts()).is_ok());
    spec.families.get_mut(&name("small")).unwrap().cpu = Some(CpuMillis(2001));
    assert_eq!(refused(&live, &request(&[("game", spec)])).code, Code::CannotPlace);
}

#[test]
fn mistakes_are_refused_with_a_hint() {
    let memory = |spec: &mut ServiceSpec| {
        spec.families.get_mut(&name("game")).unwrap().memory = Some(ByteSize::mib(4096));
    };
    check_refused(memory, Code::CannotPlace, "the largest host has 1 GiB");
    check_refused(
        |s| s.release = Some(ReleaseRef { name: name("nope"), version: None }),
        Code::NotFound,
        "lace release upload nope",
    );
    check_refused(|s| s.secrets = Some(vec!["NO".into()]), Code::NotFound, "lace secret set shop NO");
    check_refused(|s| s.release = None, Code::Usage, "give it a release");
    check_refused(|s| s.needs = Some(vec![name("db")]), Code::NotFound, "`needs`");
    check_refused(|s| s.needs = Some(vec![name("game")]), Code::Usage, "`needs`");
    let count = |spec: &mut ServiceSpec| {
        spec.families.get_mut(&name("game")).unwrap().count = Some(1_000_000);
    };
    check_refused(count, Code::Usage, "");
    let of_relx = |spec: &mut ServiceSpec, more: ServiceSpec| {
        *spec = ServiceSpec { env: more.env, start: more.start, ..game("2") }
    };
    let start = |verb: &str| Some(vec!["bin/game".into(), verb.into()]);
    let background =
        |s: &mut ServiceSpec| of_relx(s, ServiceSpec { start: start("daemon"), ..ServiceSpec::default() });
    check_refused(background, Code::Usage, "`bin/game foreground`");
    let heart = |s: &mut ServiceSpec| {
        let env = Some(BTreeMap::from([("ERL_FLAGS".into(), "-heart".into())]));
        of_relx(s, ServiceSpec { env, start: start("foreground"), ..ServiceSpec::default() });
    };
    check_refused(heart, Code::Usage, "PID 1 starts its process again");
}

#[test]
fn all_mistakes_come_at_once() {
    let mut spec = game("9");
    spec.secrets = Some(vec!["NO".into()]);
    spec.needs = Some(vec![name("db")]);
    assert_eq!(refused(&live(), &request(&[("game", spec)])).details.len(), 3);
}

#[test]
fn verbs_write_what_they_say() {
    let mut live = with(&[("game", game("1"))]);
    let service = live.services[&name("game")].clone();
    let family = the_family(&live).clone();
    assert!(!verb::stop(&family, &doer()).unwrap().families[0].running);
    assert_eq!(verb::stop(&family, &doer()).unwrap().goals[0].ready, 0);
    assert_eq!(verb::restart(&family, &doer()).unwrap().goals[0].restart, 1);
    assert_eq!(verb::rollback(&service, None, false, &doer()).unwrap_err().code, Code::NotFound);
    assert_eq!(verb::abort(&family, None, &doer()).unwrap_err().code, Code::Conflict);
    assert_eq!(
        verb::replace(&family, None, "00000000-0000-8000-8000-0000000000aa".parse().unwrap(), &doer())
            .unwrap_err()
            .code,
        Code::NotFound
    );
    let changed = verb::secret_changed(&[service], "KEY", 4, &doer());
    assert_eq!(changed.revisions[0].spec.secrets.get("KEY"), Some(&4));
    store(&mut live, &changed);
    let service = &live.services[&name("game")];
    let back = verb::rollback(service, None, false, &doer()).unwrap();
    assert_eq!((back.families[0].revision, back.services[0].revision_last), (1, 2));
    assert_eq!(verb::rollback(service, None, true, &doer()).unwrap_err().code, Code::Conflict);
    let mut erlang = service.clone();
    let spec = &mut erlang.revisions.get_mut(&1).unwrap().spec;
    (spec.kind, spec.beam) = (ReleaseKind::Relx, Some(Beam::default()));
    let hot = |hot| verb::rollback(&erlang, None, hot, &doer()).unwrap().families[0].hot;
    assert_eq!((hot(true), hot(false)), (Some(1), None));
    let gone = verb::delete_application(live.app.as_ref().unwrap(), std::slice::from_ref(service), &doer());
    assert!(gone.application.unwrap().deleting && gone.families[0].deleting && gone.services[0].deleting);
}

#[test]
fn what_is_being_deleted_is_not_applied() {
    let mut live = with(&[("game", game("1"))]);
    let edit = verb::delete_service(&live.services[&name("game")], &doer());
    store(&mut live, &edit);
    assert_eq!(refused(&live, &request(&[("game", game("1"))])).code, Code::Conflict);
    assert!(
        lines(&applied(&live, &request(&[])))
            .iter()
            .all(|l| !l.starts_with(&format!("{:?}", Action::Create)))
    );
}

/// The manifest of the command line's promises; what comes later is refused before anything is planned, so it is left out.
#[test]
fn the_promised_manifest_is_planned_as_far_as_it_is_built() {
    let text = include_str!("../../../model/tests/it/promised.toml");
    let options = lace_model::manifest::Options { stage: Some("production".into()), ..Default::default() };
    let manifest = lace_model::manifest::parse(text, &options).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert!(!manifest.later.is_empty());
    let mut game = manifest.spec.services[&name("game")].clone();
    game.release = Some(ReleaseRef { name: name("game"), version: Some("2".into()) });
    let mut web = manifest.spec.services[&name("web")].clone();
    web.release = game.release.clone();
    web.needs = None;
    let mut live = live();
    live.secrets.insert("SECRET_KEY_BASE".into(), 1);
    let php = "[package]\nname = \"php\"\nversion = \"1\"\nrelease = \"required\"\n[role.backend]\n\
               [consumes.db]\ninterface = \"mysql\"\n[setting.max_upload]\ntype = \"size\"\ndefault = \"8MiB\"\n[script]\nstart = \"start.sh\"\n";
    let mysql = "[package]\nname = \"mysql\"\nversion = \"1\"\n[role.database]\n[port.mysql]\nnumber = 3306\n\
                 [provides.mysql]\nport = \"mysql\"\npassword = true\n[script]\nstart = \"start.sh\"\n";
    live.packages = vec![crate::packages::stored(php, 1), crate::packages::stored(mysql, 1)];
    let db = manifest.spec.services[&name("db")].clone();
    let mut facts = facts();
    facts.hosts[0].memory = ByteSize::mib(8192);
    let planned = apply(&live, &request(&[("db", db), ("game", game), ("web", web)]), &facts).unwrap();
    let families = &planned.edit.families;
    let counts: Vec<_> = families.iter().map(|f| (f.path.to_string(), f.count)).collect();
    let expected = [("shop/db/database", 3), ("shop/game/game", 3), ("shop/web/backend", 2)];
    assert_eq!(counts, expected.map(|(path, count)| (path.to_owned(), count)));
    let rollout = &families[1].rollout;
    assert_eq!((rollout.healthy_for, rollout.max_unavailable), (Span::secs(5), Share::Count(1)));
    let spec = &planned.edit.revisions[1].spec;
    assert_eq!((spec.links["db"].port, spec.secrets["LACE_PASSWORD_db"]), (3306, 1));
    assert_eq!((spec.before.len(), spec.volumes.len(), spec.secrets["SECRET_KEY_BASE"]), (1, 1, 1));
}

#[test]
fn what_is_said_of_hosts_is_checked_where_it_is_said() {
    let check = |pools: &[&str], condition: &str, expected: &[&str]| {
        let mut service = game("1");
        let family = service.families.get_mut(&name("game")).unwrap();
        family.pools = Some(pools.iter().map(|pool| name(pool)).collect());
        family.condition = Some(condition.into());
        let facts = ApplyFacts {
            choice: Some(Choice {
                pools: [name("private")].into(),
                attributes: ["region".to_owned(), "disk".to_owned()].into(),
            }),
            ..facts()
        };
        let told = match apply(&live(), &request(&[("game", service)]), &facts) {
            Ok(_) => Vec::new(),
            Err(problem) => {
                let all = std::iter::once(problem.message.clone()).chain(problem.hint.clone());
                all.chain(problem.details.clone()).collect::<Vec<String>>()
            }
        };
        assert_eq!(told.is_empty(), expected.is_empty(), "{told:?}");
        for part in expected {
            assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:?}");
        }
    };
    check(&["private"], "region == \"eu\" && memory >= 4*GiB", &[]);
    check(&["privat"], "", &["no pool privat", "did you mean \"private\"?"]);
    check(&[], "regoin == \"eu\"", &["no pool has an attribute regoin", "did you mean \"region\"?"]);
    check(&[], "region = \"eu\"", &["where `region = ", "write CEL"]);
}
