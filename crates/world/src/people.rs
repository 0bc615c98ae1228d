//! What people ask for: requests to the API, drawn from numbers.

use crate::plan::{APPS, Act};
use lace_model::application::{ApplicationSpec, ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::revision::VolumeSpec;
use lace_model::rollout::{RolloutPolicy, Strategy};
use lace_model::{ByteSize, CpuMillis, Name, Span};
use serde_json::json;

/// The word of a start command that ends at once.
pub const BAD: &str = "bad";
/// Services of an application; each has one family of its own name.
const SERVICES: [&str; 2] = ["web", "data"];

/// A request: method, path, body.
pub type Request = (&'static str, String, String);

fn name(text: &str) -> Name {
    Name::new(text).expect("the world's names are names")
}

/// What an act asks for; nothing where it is no person's.
pub fn request(act: &Act) -> Option<Request> {
    let verb = |body: serde_json::Value| Some(("POST", "/v1/verbs".to_owned(), body.to_string()));
    match act {
        Act::Apply { app, shape } => {
            let app = APPS[*app];
            let body = json!(ApplyRequest {
                app: name(app),
                spec: spec(*shape),
                prune: shape % 3 == 0,
                delete_data: true,
                plan: None,
            });
            Some(("POST", format!("/v1/apps/{app}/apply"), body.to_string()))
        }
        Act::Scale { app, count } => verb(json!({
            "verb": "scale", "target": format!("{}/web", APPS[*app]), "count": count.to_string(), "save": false,
        })),
        Act::Verb { app, verb: word } => verb(of_word(APPS[*app], word)),
        Act::Delete { app, force } => {
            let path = format!("/v1/apps/{}?delete_data=true&force={force}", APPS[*app]);
            Some(("DELETE", path, String::new()))
        }
        Act::Drain(host) => Some(("POST", format!("/v1/hosts/h{host}/drain"), String::new())),
        Act::Undrain(host) => Some(("POST", format!("/v1/hosts/h{host}/undrain"), String::new())),
        _ => None,
    }
}

fn of_word(app: &str, word: &str) -> serde_json::Value {
    match word {
        "replace" => json!({"verb": "replace", "target": format!("{app}/web/1")}),
        "rollback" => json!({"verb": "rollback", "target": format!("{app}/web"), "to": null}),
        "abort" | "pause" | "resume" => {
            json!({"verb": "rollout", "target": format!("{app}/web"), "step": word})
        }
        word => json!({"verb": word, "target": app}),
    }
}

/// An application of a shape.
fn spec(shape: u64) -> ApplicationSpec {
    let mut chance = fastrand::Rng::with_seed(shape);
    let count = chance.usize(1..=SERVICES.len());
    let services = SERVICES[..count].iter().map(|service| (name(service), service_of(&mut chance, service)));
    ApplicationSpec { services: services.collect() }
}

fn service_of(chance: &mut fastrand::Rng, service: &str) -> ServiceSpec {
    let is_bad = chance.u32(0..6) == 0;
    let word = if is_bad { BAD.to_owned() } else { format!("v{}", chance.u32(0..5)) };
    let family = FamilySpec {
        count: Some(chance.u32(0..6)),
        cpu: Some(CpuMillis(chance.u32(1..8) * 250)),
        memory: Some(ByteSize::mib(chance.u64(1..8) * 64)),
        ..FamilySpec::default()
    };
    let data = VolumeSpec {
        name: name("disk"),
        size: ByteSize::mib(16),
        at: "/data".into(),
        backup: None,
        keep: None,
    };
    let strategies = [Strategy::Rolling, Strategy::BlueGreen, Strategy::Canary, Strategy::AllAtOnce];
    let rollout = RolloutPolicy {
        strategy: strategies[chance.usize(..strategies.len())],
        healthy_for: Span::secs(1),
        deadline: Span::secs(30),
        pause: Some(Span::secs(2)),
        keep: Span::secs(5),
        ..RolloutPolicy::default()
    };
    let migrate = || vec!["migrate".to_owned(), if chance.u32(0..3) == 0 { BAD } else { "well" }.to_owned()];
    let before = Some(migrate).filter(|_| shape_has_job(service)).map(|mut migrate| vec![migrate()]);
    ServiceSpec {
        start: Some(vec!["./run".to_owned(), word]),
        volumes: (service == "data").then(|| vec![data]),
        before,
        rollout: Some(rollout),
        families: [(name(service), family)].into(),
        ..ServiceSpec::default()
    }
}

/// Each application's first service migrates before it rolls.
fn shape_has_job(service: &str) -> bool {
    service == SERVICES[0]
}
