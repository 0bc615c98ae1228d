//! Services made of packages: what the package says where the manifest says nothing, and what the two cannot be together.

use crate::apply::{doer, facts, game, live, request, store};
use crate::make::name;
use lace_model::application::{FamilySpec, ServiceSpec};
use lace_model::check::Probe;
use lace_model::package::{PackageRef, StoredPackage, parse};
use lace_model::revision::{Isolation, RevisionSpec};
use lace_model::rollout::{RolloutPolicy, Strategy};
use lace_model::{ByteSize, Code, Digest, Problem};
use lace_planner::{ApplyFacts, ApplyOutcome, LiveApplication, verb};
use std::collections::BTreeMap;

const CACHE: &str = r#"
[package]
name = "cache"
version = "1"
state = "single-writer"
[role.primary]
min = 1
max = 1
memory = "64MiB"
[role.replica]
count = 0
max = 5
[setting.size]
type = "size"
default = "1MiB"
max = "1GiB"
[setting.port]
type = "whole"
default = 6379
[port.main]
number = 6379
setting = "port"
[check]
tcp = "main"
[volume.data]
size = "1GiB"
at = "/data"
[template]
"/etc/cache.conf" = "templates/cache.conf.j2"
[script]
init = "scripts/init.sh"
start = "scripts/start.sh"
stop = "scripts/stop.sh"
notify = "scripts/notify.sh"
"#;

pub fn stored(text: &str, uploaded_at: u64) -> StoredPackage {
    let spec = parse(text).expect("a good package");
    StoredPackage { spec, tree: Digest::of(text.as_bytes()), bytes: 1, built_in: false, uploaded_at }
}

fn world() -> LiveApplication {
    LiveApplication { packages: vec![stored(CACHE, 1)], ..live() }
}

fn cache(settings: &[(&str, &str)]) -> ServiceSpec {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ServiceSpec {
        package: PackageRef::of("cache"),
        settings: Some(settings.collect()),
        ..ServiceSpec::default()
    }
}

fn take(live: &mut LiveApplication, spec: ServiceSpec) -> Result<ApplyOutcome, Problem> {
    take_as(live, spec, false)
}

fn take_as(
    live: &mut LiveApplication,
    spec: ServiceSpec,
    may_isolate: bool,
) -> Result<ApplyOutcome, Problem> {
    let facts = ApplyFacts { may_isolate, ..facts() };
    let outcome = lace_planner::apply(live, &request(&[("game", spec)]), &facts)?;
    store(live, &outcome.edit);
    Ok(outcome)
}

fn wanted(live: &LiveApplication) -> RevisionSpec {
    live.services[&name("game")].wanted().expect("a revision").spec.clone()
}

fn families(live: &LiveApplication) -> Vec<(String, u32)> {
    let families = &live.services[&name("game")].families;
    families.values().map(|family| (family.path.family.to_string(), family.count)).collect()
}

#[test]
fn what_the_manifest_leaves_out_is_the_packages() {
    let mut live = world();
    take(&mut live, cache(&[("size", "2MiB"), ("port", "7000")])).unwrap();
    assert_eq!(families(&live), [("primary".to_owned(), 1), ("replica".to_owned(), 0)]);
    let spec = wanted(&live);
    let package = spec.package.as_ref().expect("pinned");
    assert_eq!((package.key(), package.tree), ("cache@1".to_owned(), Digest::of(CACHE.as_bytes())));
    assert_eq!(package.settings["size"], 2 << 20);
    assert_eq!(package.ports[&name("main")], 7000);
    assert!(matches!(&spec.check.as_ref().expect("a check").probe, Probe::Tcp { port: 7000 }));
    assert_eq!(spec.limits_of(&name("primary")).memory, ByteSize::mib(64));
    assert_eq!(spec.volumes[0].at, "/data");
    assert_eq!(spec.stop_command.as_ref().expect("a command")[2], "/package/scripts/stop.sh");
    assert!(
        spec.start[2].ends_with("exec 'env' 'LACE_VERB=start' '/package/scripts/start.sh'"),
        "{:?}",
        spec.start
    );
    let family = &live.services[&name("game")].families[&name("primary")];
    assert_eq!(family.state, lace_model::family::StateKind::SingleWriter);
}

#[test]
fn a_changed_setting_is_a_revision_and_the_same_again_is_none() {
    let mut live = world();
    take(&mut live, cache(&[])).unwrap();
    assert!(take(&mut live, cache(&[])).unwrap().plan.is_empty());
    let outcome = take(&mut live, cache(&[("size", "4MiB")])).unwrap();
    let fields: Vec<_> = outcome.plan.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["settings.size"]);
    assert_eq!(outcome.plan.changes[0].effect.as_deref(), Some("rolls 1 node"));
    // Left out, settings stay; a package that comes later is taken where the manifest is applied again.
    let silent = ServiceSpec { package: None, settings: None, ..cache(&[]) };
    live.packages.push(stored(&CACHE.replace("\"1\"", "\"2\""), 2));
    assert!(take(&mut live, silent).unwrap().plan.is_empty());
    take(&mut live, cache(&[("size", "4MiB")])).unwrap();
    assert_eq!(wanted(&live).package.expect("pinned").key(), "cache@2");
}

#[test]
fn what_does_not_fit_is_refused() {
    let family = |name: &str, count| {
        let family = FamilySpec { count: Some(count), ..FamilySpec::default() };
        ServiceSpec { families: BTreeMap::from([(crate::make::name(name), family)]), ..cache(&[]) }
    };
    let table = [
        (cache(&[("sise", "1MiB")]), Code::Usage, "there is no setting \"sise\" (did you mean \"size\"?)"),
        (cache(&[("size", "2GiB")]), Code::Usage, "is more than 1GiB"),
        (ServiceSpec { package: PackageRef::of("cash"), ..cache(&[]) }, Code::NotFound, "package cash"),
        (ServiceSpec { package: PackageRef::of("cache@9"), ..cache(&[]) }, Code::NotFound, "package cache@9"),
        (ServiceSpec { package: None, ..cache(&[]) }, Code::Usage, "no package that they could be of"),
        (family("primry", 1), Code::Usage, "no role primry"),
        (family("primary", 2), Code::Usage, "has always 1"),
        (family("replica", 6), Code::Usage, "has 0 to 5"),
        (ServiceSpec { package: PackageRef::of("cache"), ..game("2") }, Code::Usage, "takes no release"),
        (
            ServiceSpec {
                rollout: Some(RolloutPolicy { strategy: Strategy::BlueGreen, ..RolloutPolicy::default() }),
                ..cache(&[])
            },
            Code::Usage,
            "has both revisions at once",
        ),
    ];
    for (spec, code, part) in table {
        let problem = take(&mut world(), spec).unwrap_err();
        let all = format!("{} {:?}", problem.message, problem.details);
        assert!(problem.code == code && all.contains(part), "{part}: {problem:?}");
    }
    let on_host = ServiceSpec { isolation: Some(Isolation::Host), ..cache(&[]) };
    let problem = take_as(&mut world(), on_host, true).unwrap_err();
    assert!(problem.details.iter().any(|line| line.contains("/etc/cache.conf")), "{problem:?}");
}

#[test]
fn a_service_stays_what_it_is_made_of() {
    let mut packaged = world();
    take(&mut packaged, cache(&[])).unwrap();
    let command = ServiceSpec { start: Some(vec!["true".into()]), ..ServiceSpec::default() };
    assert!(take(&mut packaged, command).unwrap_err().message.contains("has a command"));
    let other = CACHE.replace("\"cache\"", "\"other\"");
    packaged.packages.push(stored(&other, 2));
    let other = ServiceSpec { package: PackageRef::of("other"), ..cache(&[]) };
    assert_eq!(take(&mut packaged, other).unwrap_err().code, Code::Conflict);
    let service = &packaged.services[&name("game")];
    let scaled = |family: &str, count| {
        verb::scale(service, &service.families[&name(family)], count, false, &doer()).map(drop)
    };
    assert!(scaled("primary", 2).unwrap_err().message.contains("always 1"));
    assert!(scaled("replica", 6).is_err() && scaled("replica", 5).is_ok());
    let mut bare = world();
    take(&mut bare, game("2")).unwrap();
    assert_eq!(
        take(&mut bare, ServiceSpec { release: None, ..cache(&[]) }).unwrap_err().code,
        Code::Conflict
    );
}

#[test]
fn who_links_a_service_gets_its_port_and_its_password() {
    let text = CACHE.replace(
        "[check]",
        "[provides.cache]\nport = \"main\"\nroles = [\"primary\"]\npassword = true\n[check]",
    );
    let mut live = LiveApplication { packages: vec![stored(&text, 1)], ..live() };
    let linked = |service: &str| ServiceSpec {
        links: Some(BTreeMap::from([("store".to_owned(), name(service))])),
        ..game("2")
    };
    let take = |live: &mut LiveApplication, services: &[(&str, ServiceSpec)]| {
        let outcome = lace_planner::apply(live, &request(services), &facts())?;
        live.secrets.extend(outcome.generate_secrets.iter().map(|name| (name.clone(), 1)));
        store(live, &outcome.edit);
        Ok::<_, Problem>(outcome)
    };
    let both = [("game", linked("store")), ("store", cache(&[("port", "7000")]))];
    let made = take(&mut live, &both).unwrap().generate_secrets;
    assert_eq!(made.iter().filter(|name| *name == "LACE_PASSWORD_store").count(), 1, "{made:?}");
    let spec = wanted(&live);
    let link = &spec.links["store"];
    assert_eq!((link.port, link.interface.as_str()), (7000, "cache"));
    assert!(link.families.contains(&name("primary")) && link.families.len() == 1);
    assert_eq!(spec.secrets["LACE_PASSWORD_store"], 1);
    assert!(take(&mut live, &both).unwrap().plan.is_empty());
    // Another port of the one is another revision of the other; left out, the link stays; taken away, its password goes.
    let moved = [("game", linked("store")), ("store", cache(&[("port", "7001")]))];
    let outcome = take(&mut live, &moved).unwrap();
    let told: Vec<_> = outcome.plan.changes.iter().map(|change| change.field.as_str()).collect();
    assert!(told.contains(&"links.store"), "{told:?}");
    take(&mut live, &[("game", game("2"))]).unwrap();
    assert_eq!(wanted(&live).links["store"].port, 7001);
    take(&mut live, &[("game", ServiceSpec { links: Some(BTreeMap::new()), ..game("2") })]).unwrap();
    assert!(wanted(&live).links.is_empty());
    assert!(!wanted(&live).secrets.contains_key("LACE_PASSWORD_store"));
    let problem = take(&mut live, &[("game", linked("nowhere"))]).unwrap_err();
    assert_eq!(problem.code, Code::NotFound, "{problem:?}");
}
