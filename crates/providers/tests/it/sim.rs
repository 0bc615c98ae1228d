//! The simulated provider: the promises of all, and failures on order.

use crate::conformance::{Stage, conforms, host_wanted, key, network_wanted};
use lace_providers::provider::{Error, HostKind, Provider};
use lace_providers::sim::{Call, Cloud, Question, Remote, Shape};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Simulated {
    cloud: Cloud,
    now: Arc<AtomicU64>,
}

fn shape() -> Shape {
    let kind =
        HostKind { name: "small".into(), cpus: 2, memory_mib: 2_048, architectures: vec!["x86_64".into()] };
    Shape {
        secret: "let me in".into(),
        region: "moon".into(),
        zones: vec!["moon-a".into(), "moon-b".into()],
        kinds: vec![kind],
        images: vec!["base".into()],
        boot_ms: 30_000,
        leave_ms: 20_000,
        networks_max: 1,
        hosts_max: 5,
        addresses_max: 1,
        volumes_max: 1,
    }
}

fn simulated() -> Simulated {
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    Simulated { cloud: Cloud::new(shape(), Arc::new(move || clock.load(Ordering::Relaxed))), now }
}

impl Stage for Simulated {
    fn open(&self, installation: &str) -> Box<dyn Provider> {
        Box::new(self.cloud.open(installation, "let me in"))
    }

    fn stranger(&self) -> Box<dyn Provider> {
        Box::new(self.cloud.open("ours", "guessed"))
    }

    async fn settle(&self) {
        self.now.fetch_add(30_000, Ordering::Relaxed);
    }

    fn words(&self) -> ([String; 2], String, String) {
        (["moon-a".into(), "moon-b".into()], "small".into(), "base".into())
    }
}

#[tokio::test]
async fn the_simulated_provider_keeps_the_promises_of_all() {
    let stage = simulated();
    conforms(&stage).await;
    assert_eq!(stage.cloud.things(), 0);
}

/// The same account, asked from another process.
struct Elsewhere {
    account: Simulated,
    at: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage for Elsewhere {
    fn open(&self, installation: &str) -> Box<dyn Provider> {
        Box::new(Remote::new(&self.at, installation, "let me in").expect("an address"))
    }

    fn stranger(&self) -> Box<dyn Provider> {
        Box::new(Remote::new(&self.at, "ours", "guessed").expect("an address"))
    }

    async fn settle(&self) {
        self.account.settle().await;
    }

    fn words(&self) -> ([String; 2], String, String) {
        self.account.words()
    }
}

#[tokio::test]
async fn a_simulated_account_in_another_process_keeps_them_too() {
    let account = simulated();
    let cloud = account.cloud.clone();
    let answer = move |body: axum::body::Bytes| {
        let cloud = cloud.clone();
        async move {
            let question: Question = serde_json::from_slice(&body).expect("a question");
            axum::Json(cloud.answer(question).await)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = format!("http://{}", listener.local_addr().expect("address"));
    let router = axum::Router::new().route("/call", axum::routing::post(answer));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    let stage = Elsewhere { account, at, task };
    conforms(&stage).await;
    assert_eq!(stage.account.cloud.things(), 0);
    let nobody = Remote::new("http://127.0.0.1:1", "ours", "").expect("an address").hosts().await;
    assert!(nobody.as_ref().is_err_and(Error::may_pass), "{nobody:?}");
    for far in ["https://127.0.0.1:1", "http://192.0.2.1:1", "http://localhost:1", "moon"] {
        assert!(matches!(Remote::new(far, "ours", ""), Err(Error::Invalid { .. })), "{far}");
    }
}

#[tokio::test]
async fn machines_that_run_are_told_with_what_they_booted_with() {
    let stage = simulated();
    let ours = stage.open("ours");
    let (zones, ..) = stage.words();
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("made");
    let mut wanted = host_wanted(&stage, "one", &network);
    wanted.user_data = "a ticket".into();
    let made = ours.create_host(&wanted).await.expect("made");
    let running = || {
        let mut seen = Vec::new();
        stage.cloud.running(|id, booted_with| seen.push((id.to_owned(), booted_with.to_owned())));
        seen
    };
    assert_eq!(running(), [], "it boots");
    stage.settle().await;
    assert_eq!(running(), [(made.id, "a ticket".to_owned())]);
    ours.delete_host(&key("one")).await.expect("deleted");
    assert_eq!(running(), [], "it leaves");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_by_the_same_call() {
    let stage = simulated();
    let ours = stage.open("ours");
    let lost = Error::temporary("no answer within 30 s");
    let (zones, ..) = stage.words();
    stage.cloud.fail_after(Call::EnsureNetwork, lost.clone());
    assert_eq!(ours.ensure_network(&network_wanted("net", &zones)).await, Err(lost.clone()));
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("found");
    stage.cloud.fail_after(Call::CreateHost, lost.clone());
    let wanted = host_wanted(&stage, "one", &network);
    assert_eq!(ours.create_host(&wanted).await, Err(lost.clone()));
    assert!(lost.may_pass());
    ours.create_host(&wanted).await.expect("found");
    assert_eq!(stage.cloud.things(), 2, "a network and a machine");
    stage.cloud.fail_before(Call::DeleteHost, Error::Throttled { what: "asked too often".into() });
    ours.delete_host(&key("one")).await.expect_err("not yet");
    assert_eq!(stage.cloud.things(), 2, "nothing was done");
    ours.delete_host(&key("one")).await.expect("deleted");
}

#[tokio::test]
async fn limits_and_room_are_told_apart_before_anything_is_made() {
    let stage = simulated();
    let ours = stage.open("ours");
    let (zones, ..) = stage.words();
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("made");
    let full = ours.ensure_network(&network_wanted("another", &zones)).await.expect_err("one at most");
    assert_eq!(full.to_string(), "the limit of networks per account is reached: 1 of 1 are in use");
    assert!(full.hint().is_some());
    stage.cloud.room("moon-a", 1);
    ours.create_host(&host_wanted(&stage, "one", &network)).await.expect("there is room for one");
    let none = ours.create_host(&host_wanted(&stage, "two", &network)).await.expect_err("and no more");
    assert!(matches!(none, Error::NoCapacity { .. }) && none.may_pass(), "{none:?}");
    let mut elsewhere = host_wanted(&stage, "two", &network);
    elsewhere.zone = Some("moon-b".into());
    ours.create_host(&elsewhere).await.expect("the other zone has room");
}

#[tokio::test]
async fn a_machine_that_was_taken_away_is_listed_no_more() {
    let stage = simulated();
    let ours = stage.open("ours");
    let (zones, ..) = stage.words();
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("made");
    ours.create_host(&host_wanted(&stage, "one", &network)).await.expect("made");
    stage.cloud.lose(&key("one"));
    assert_eq!(ours.hosts().await, Ok(Vec::new()));
    ours.delete_network(&key("net")).await.expect("nothing is in it");
}
