//! Manifests: every mistake at once, plans that are pinned, deploys with their outcomes.

use crate::fake::Fake;
use crate::samples::{self, accepted, operation, uuid};
use lace_model::application::ApplyRequest;
use lace_model::change::{Action, Change, Plan};
use lace_model::operation::OperationState;
use lace_model::{Code, Digest, Problem};

const GOOD: &str = "\
[application]
name = \"shop\"

[vars]
port = { default = 80, help = \"where it listens\" }

[service.game]
release = \"game\"
count = 3
env = { PORT = \"{{vars.port}}\" }
";

const BAD: &str = "\
[application]
name = \"Shop\"

[service.game]
release = \"game\"
cuont = 3
memory = \"much\"
check = { http = 80 }
restart = { backoff = \"soon\" }
";

fn with(manifest: &str) -> Fake {
    let fake = Fake::start();
    std::fs::write(fake.dir().join("lace.toml"), manifest).expect("written");
    fake
}

#[test]
fn five_mistakes_are_told_at_once_and_change_nothing() {
    let fake = with(BAD);
    for command in ["apply", "plan", "deploy"] {
        let ran = fake.lace(&[command]);
        assert_eq!(ran.exit, 2, "{command}: {ran:?}");
        for line in [2, 6, 7, 8, 9] {
            assert!(ran.err.contains(&format!("line {line}")), "{command}: line {line}: {}", ran.err);
        }
        assert!(ran.err.contains("count"), "the nearest key is named: {}", ran.err);
    }
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[test]
fn variables_and_switches_reach_the_controller() {
    let fake = with(GOOD);
    fake.on("POST /v1/apps/shop/apply", accepted());
    done(&fake);
    let ran = fake.lace(&["apply", "--var", "port=8080", "--prune"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let request = request(&fake);
    let game = &request.spec.services[&"game".parse().expect("name")];
    assert_eq!(game.env.as_ref().expect("env")["PORT"], "8080");
    assert!(request.prune && !request.delete_data && request.plan.is_none());
}

fn done(fake: &Fake) {
    let line = format!("GET /v1/operations/{}", uuid(1));
    fake.on(&line, operation(OperationState::Done, None, "all nodes run revision 4"));
}

fn request(fake: &Fake) -> ApplyRequest {
    let called = fake.called();
    let applied = called.iter().find(|called| called.line.ends_with("/apply")).expect("applied");
    serde_json::from_slice(&applied.body).expect("a request")
}

fn plan() -> Plan {
    let change = Change {
        service: None,
        action: Action::Create,
        field: String::new(),
        from: None,
        to: None,
        effect: None,
    };
    let (app, digest) = ("shop".parse().expect("name"), Digest::of(b"pinned"));
    Plan { app, changes: vec![change], digest, cost: None }
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let fake = with(GOOD);
    fake.on("POST /v1/apps/shop/plan", plan());
    assert_eq!(fake.lace(&["plan", "--out", "monday.plan"]).exit, 0);
    std::fs::write(fake.dir().join("lace.toml"), "nonsense").expect("written");
    fake.refuse("POST /v1/apps/shop/apply", &Problem::new(Code::Conflict, "it changed meanwhile"));
    fake.on("POST /v1/apps/shop/apply", accepted());
    done(&fake);
    assert_eq!(fake.lace(&["apply", "monday.plan"]).exit, 8);
    assert_eq!(fake.lace(&["apply", "monday.plan"]).exit, 0);
    assert_eq!(request(&fake).plan, Some(Digest::of(b"pinned")));
}

#[test]
fn nothing_to_do_is_no_change() {
    let fake = with(GOOD);
    fake.on("POST /v1/apps/shop/plan", Plan { changes: Vec::new(), ..plan() });
    let ran = fake.lace(&["plan", "--exit-code"]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "shop: nothing to do\n"));
}

#[test]
fn a_deploy_ends_with_its_outcome() {
    for (code, exit) in [
        (Code::FailedReverted, 3),
        (Code::FailedNotReverted, 12),
        (Code::CannotPlace, 5),
        (Code::Conflict, 8),
    ] {
        let fake = with(GOOD);
        fake.on("POST /v1/apps/shop/apply", accepted());
        let mut failed = operation(OperationState::Failed, Some(code), "exit status 1 after 0.2s");
        failed.details = vec!["| boom".into()];
        fake.on(&format!("GET /v1/operations/{}", uuid(1)), failed);
        let ran = fake.lace(&["deploy"]);
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(ran.err.contains("exit status 1") && ran.err.contains("| boom"), "{ran:?}");
    }
}

#[test]
fn a_deploy_shows_where_it_is() {
    let fake = with(GOOD);
    fake.on("POST /v1/apps/shop/apply", accepted()).on("GET /v1/status", samples::game());
    done(&fake);
    let ran = fake.lace(&["deploy", "shop/game"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("10.192.0.11"), "{ran:?}");
    assert_eq!(fake.lace(&["deploy", "blog"]).exit, 2, "the manifest is of another application");
    assert_eq!(fake.lace(&["deploy", "shop/other"]).exit, 7);
}

#[test]
fn build_steps_are_words_and_their_failure_is_shown() {
    let manifest = "\
[application]
name = \"shop\"
[service.game]
release = { path = \".\", build = [[\"sh\", \"-c\", \"echo cannot compile; exit 3\"]] }
";
    let fake = with(manifest);
    let ran = fake.lace(&["apply"]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.err.contains("cannot compile"), "{ran:?}");
    assert_eq!(fake.lines(), Vec::<String>::new());
}

#[test]
fn no_manifest_is_a_mistake_of_use() {
    let fake = Fake::start();
    let ran = fake.lace(&["apply"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.err.contains("lace init"), "{ran:?}");
    let ran = fake.lace(&["deploy"]);
    assert_eq!(ran.exit, 2, "nobody can be asked: {ran:?}");
}

#[test]
fn init_writes_what_parses_and_keeps_what_is_there() {
    let fake = Fake::start();
    std::fs::write(fake.dir().join("Procfile"), "web: bin/run --port 80\n").expect("written");
    assert_eq!(fake.lace(&["init"]).exit, 0);
    let text = std::fs::read_to_string(fake.dir().join("lace.toml")).expect("written");
    lace_model::manifest::parse(&text, &Default::default()).expect("it parses");
    assert_eq!(fake.lace(&["init"]).exit, 8);
    assert_eq!(fake.lace(&["init", "--force"]).exit, 0);
}

#[test]
fn an_export_makes_it_again() {
    let fake = Fake::start();
    let parsed = lace_model::manifest::parse(GOOD, &Default::default()).expect("parses");
    fake.on("GET /v1/apps/shop/export", &parsed.spec);
    let ran = fake.lace(&["export", "shop"]);
    let again = lace_model::manifest::parse(&ran.out, &Default::default()).expect("parses");
    assert_eq!(again.spec, parsed.spec);
}

#[test]
fn families_and_firewalls_are_partial_statements() {
    let fake = Fake::start();
    fake.refuse("GET /v1/apps/shop/export", &Problem::not_found("application shop"));
    fake.refuse("POST /v1/apps/shop/apply", &Problem::not_found("release riak@3"));
    let refused = fake.lace(&["family", "create", "shop/riak", "--release", "riak@3"]);
    assert_eq!(refused.exit, 7, "{refused:?}");
    assert!(!refused.err.contains("is made"), "{refused:?}");
    assert_eq!(
        fake.lines(),
        ["GET /v1/apps/shop/export", "POST /v1/apps/shop/apply"],
        "nothing else is made"
    );
    let fake = Fake::start();
    fake.refuse("GET /v1/apps/shop/export", &Problem::not_found("application shop"));
    fake.on("POST /v1/apps/shop/apply", accepted());
    done(&fake);
    let ran = fake.lace(&[
        "family",
        "create",
        "shop/riak",
        "--release",
        "riak@3",
        "--count",
        "0",
        "--select",
        "random",
        "--bootstrap",
        "cmd:bin/bootstrap --all",
    ]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.err.contains("application shop is made"), "{ran:?}");
    assert!(ran.err.contains("service shop/riak is made"), "{ran:?}");
    let request = request(&fake);
    let riak = &request.spec.services[&"riak".parse().expect("name")];
    assert_eq!(riak.bootstrap, Some(vec!["bin/bootstrap".to_owned(), "--all".into()]));
    assert_eq!(riak.families[&"riak".parse().expect("name")].count, Some(0));
    assert!(riak.env.is_none() && riak.firewall.is_none(), "what is not said is left alone");
}
