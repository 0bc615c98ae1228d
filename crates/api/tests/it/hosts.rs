//! Hosts.

use crate::house::{House, connected};
use lace_model::Code;
use lace_model::host::Host;
use lace_model::machine::{Machine, MachineState};
use lace_wire::api::{Accepted, HostView, NodeView};

fn host(house: &House, n: u8) -> Host {
    let id = crate::house::host_id(n);
    house.state.store.get::<Host>(&id.to_string()).expect("read").expect("there").value
}

#[tokio::test]
async fn hosts_say_what_they_carry() {
    let house = House::with_liveness(connected(&[2]));
    house.add_host(2);
    let first = house.add_host(1);
    house.apply("shop", 3).await.ok::<Accepted>();
    house.place("shop/game/game", 3, first);
    let hosts: Vec<HostView> = house.get("/v1/hosts").await.ok();
    assert_eq!(hosts.iter().map(|h| h.host.name.as_str()).collect::<Vec<_>>(), ["alpha1", "alpha2"]);
    assert_eq!((hosts[0].nodes, hosts[0].cpu_used, hosts[0].memory_used), (3, 750, (3 * 128) << 20));
    assert_eq!((hosts[0].liveness.connected, hosts[1].liveness.connected), (false, true));
    assert_eq!(hosts[1].nodes, 0);
    for (name, count) in [("alpha1", 3), ("alpha2", 0), ("nobody", 0)] {
        let nodes: Vec<NodeView> = house.get(&format!("/v1/nodes?host={name}")).await.ok();
        assert_eq!(nodes.len(), count, "{name}");
    }
}

#[tokio::test]
async fn scripts_are_asked_for_where_a_package_tells_of_them() {
    let house = House::new();
    house.apply("shop", 1).await.ok::<Accepted>();
    assert_eq!(house.get("/v1/scripts").await.problem(422).code, Code::Usage);
    let problem = house.get("/v1/scripts?target=shop/game").await.problem(409);
    assert!(problem.message.contains("shop/game has no scripts"), "{}", problem.message);
}

#[tokio::test]
async fn a_host_is_drained_and_taken_back() {
    let house = House::new();
    house.add_host(1);
    house.post("/v1/hosts/alpha1/drain", serde_json::Value::Null).await.ok::<Accepted>();
    assert!(host(&house, 1).draining);
    assert_eq!(house.last_audit(), ("root".into(), "drain".into(), "host/alpha1".into(), "done".into()));
    house.post("/v1/hosts/alpha1/undrain", serde_json::Value::Null).await.ok::<Accepted>();
    assert!(!host(&house, 1).draining);
    let got = house.post("/v1/hosts/beta/drain", serde_json::Value::Null).await;
    assert_eq!(got.problem(404).code, Code::NotFound);
}

#[tokio::test]
async fn a_host_with_nodes_is_removed_by_force_only() {
    let house = House::with_liveness(connected(&[1]));
    let first = house.add_host(1);
    house.add_host(2);
    house.apply("shop", 1).await.ok::<Accepted>();
    house.place("shop/game/game", 1, first);
    let problem = house.delete("/v1/hosts/alpha1").await.problem(409);
    assert_eq!(problem.code, Code::Conflict);
    assert!(problem.hint.expect("a hint").contains("lace host drain alpha1"));
    assert!(!host(&house, 1).removing);
    house.delete("/v1/hosts/alpha1?force=true").await.ok::<Accepted>();
    house.delete("/v1/hosts/alpha2").await.ok::<Accepted>();
    assert!(host(&house, 1).removing && host(&house, 2).removing);
}

#[tokio::test]
async fn the_machine_of_a_host_that_is_forgotten_goes_back() {
    let house = House::new();
    let id = house.add_host(1);
    let row = house.add_machine(id, "eu-small");
    let accepted: Accepted = house.delete("/v1/hosts/alpha1?force=true").await.ok();
    assert!(accepted.message.contains("its machine goes back to pool eu-small"), "{}", accepted.message);
    let machine = house.state.store.get::<Machine>(&id.to_string()).expect("read").expect("kept").value;
    assert_eq!(machine.state, MachineState::Leaving, "it is deleted at its provider from here");
    assert_eq!(machine.instance, row.instance);
}

#[tokio::test]
async fn a_silent_host_is_forgotten_by_force() {
    let house = House::new();
    let first = house.add_host(1);
    house.apply("shop", 2).await.ok::<Accepted>();
    house.place("shop/game/game", 2, first);
    let accepted: Accepted = house.delete("/v1/hosts/alpha1?force=true").await.ok();
    assert!(accepted.message.contains("2 nodes on it are abandoned"), "{}", accepted.message);
    assert!(house.get("/v1/hosts").await.ok::<Vec<HostView>>().is_empty());
    assert_eq!(house.last_audit().1, "remove --force");
}
