//! Operations and jobs: looked at, waited for, cancelled.

use crate::house::{House, connected, name};
use lace_model::Code;
use lace_model::job::{Job, JobState};
use lace_model::operation::{Operation, OperationState};
use lace_model::revision::Limits;
use lace_wire::api::Accepted;
use serde_json::json;
use std::time::{Duration, Instant};

async fn operation(house: &House) -> Operation {
    let accepted: Accepted = house.apply("shop", 1).await.ok();
    let id = accepted.operation.expect("an operation");
    house.get(&format!("/v1/operations/{id}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_operation_does() {
    let house = House::on_disk();
    let operation = operation(&house).await;
    let path = format!("/v1/operations/{}?wait_ms=20000", operation.id);
    let waiter = async {
        let begun = Instant::now();
        (house.get(&path).await.ok::<Operation>(), begun.elapsed())
    };
    let ender = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        house.put(&Operation { state: OperationState::Done, ended_at: Some(1), ..operation.clone() });
    };
    let ((ended, took), ()) = tokio::join!(waiter, ender);
    assert_eq!(ended.state, OperationState::Done);
    assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(10), "{took:?}");
    assert_eq!(house.get(&path).await.ok::<Operation>().state, OperationState::Done, "at once");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_time_is_over() {
    let house = House::new();
    let operation = operation(&house).await;
    let begun = tokio::time::Instant::now();
    let got = house.get(&format!("/v1/operations/{}?wait_ms=5000", operation.id)).await;
    assert_eq!(got.ok::<Operation>().state, OperationState::Running);
    assert_eq!(begun.elapsed().as_secs(), 5);
    let got = house.get(&format!("/v1/operations/{}?wait_ms=99999999", operation.id)).await;
    assert_eq!(got.status, 200);
    assert_eq!(begun.elapsed().as_secs(), 65, "a minute at most");
}

#[tokio::test]
async fn operations_are_listed_and_cancelled() {
    let house = House::new();
    let first = operation(&house).await;
    house.clock.advance(10);
    house.apply("other", 1).await.ok::<Accepted>();
    let listed: Vec<Operation> = house.get("/v1/operations").await.ok();
    assert_eq!(listed.iter().map(|o| o.subject.as_str()).collect::<Vec<_>>(), ["other", "shop"]);
    let listed: Vec<Operation> = house.get("/v1/operations?subject=shop").await.ok();
    assert_eq!(listed.len(), 1);

    let path = format!("/v1/operations/{}/cancel", first.id);
    let cancelled: Operation = house.post(&path, json!(null)).await.ok();
    assert_eq!(cancelled.state, OperationState::Cancelled);
    assert!(cancelled.message.contains("root"));
    assert_eq!(house.post(&path, json!(null)).await.problem(409).code, Code::Conflict);
    let unknown = "/v1/operations/00000000-0000-0000-0000-00000000ffff";
    assert_eq!(house.get(unknown).await.problem(404).code, Code::NotFound);
    assert_eq!(house.get("/v1/operations/one").await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_job_has_its_services_words_and_its_own() {
    let house = House::with_liveness(connected(&[1]));
    house.add_host(1);
    let mut wanted = crate::house::request("shop", 1);
    let service = wanted.spec.services.get_mut(&name("game")).expect("the service");
    service.env = Some([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "1".to_owned())].into());
    house.post("/v1/apps/shop/apply", json!(wanted)).await.ok::<Accepted>();
    let asked = json!({"target": "shop/game", "command": ["true"], "env": {"B": "2"}});
    let job: Job = house.post("/v1/jobs", asked).await.ok();
    assert_eq!(job.state, JobState::Queued);
    assert_eq!(job.spec.start, ["true"]);
    assert_eq!((job.spec.env["A"].as_str(), job.spec.env["B"].as_str()), ("1", "2"));
    assert_eq!(job.actor, "root");
    let bare: Job = house.post("/v1/jobs", json!({"target": "shop", "command": ["ls"]})).await.ok();
    assert_eq!((bare.service, bare.spec.limits), (None, Limits::default()));

    let listed: Vec<Job> = house.get("/v1/jobs?app=shop").await.ok();
    assert_eq!(listed.len(), 2);
    assert!(house.get("/v1/jobs?app=none").await.ok::<Vec<Job>>().is_empty());
    let path = format!("/v1/jobs/{}", job.id);
    assert_eq!(house.get(&path).await.ok::<Job>().id, job.id);
    assert!(house.post(&format!("{path}/cancel"), json!(null)).await.ok::<Job>().cancel);
    house.put(&Job { state: JobState::Cancelled, ..job });
    assert_eq!(house.post(&format!("{path}/cancel"), json!(null)).await.problem(409).code, Code::Conflict);
    assert_eq!(house.get(&format!("{path}?wait_ms=10000")).await.ok::<Job>().state, JobState::Cancelled);
}

#[tokio::test]
async fn a_job_that_no_host_could_carry_is_refused() {
    let house = House::with_liveness(connected(&[1]));
    house.add_host(1);
    house.apply("shop", 1).await.ok::<Accepted>();
    for memory in [1_u64 << 50, u64::MAX] {
        let limits = Limits { memory: lace_model::ByteSize(memory), ..Limits::default() };
        let asked = json!({"target": "shop/game", "command": ["ls"], "limits": limits});
        let problem = house.post("/v1/jobs", asked).await;
        let problem = problem.problem(problem.status);
        assert_eq!(problem.code, Code::CannotPlace, "{problem:?}");
    }
    assert!(house.get("/v1/jobs?app=shop").await.ok::<Vec<Job>>().is_empty());
}

#[tokio::test]
async fn jobs_of_nothing_are_refused() {
    let house = House::new();
    let got = house.post("/v1/jobs", json!({"target": "shop", "command": ["ls"]})).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
    house.apply("shop", 1).await.ok::<Accepted>();
    let got = house.post("/v1/jobs", json!({"target": "shop", "command": []})).await;
    assert_eq!(got.problem(422).code, Code::Usage);
    let got = house.post("/v1/jobs", json!({"target": "shop/none", "command": ["ls"]})).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
    house.delete("/v1/apps/shop").await.ok::<Accepted>();
    let got = house.post("/v1/jobs", json!({"target": "shop", "command": ["ls"]})).await;
    assert_eq!(got.problem(409).code, Code::Conflict);
}
