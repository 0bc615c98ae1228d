//! The saga of a network, and a machine: whatever step fails, is lost or is the last one before a crash, the same call again
//! finds what there is, nothing is doubled, and nothing is left.

use super::account::Simulated;
use super::proxy::Order;
use crate::conformance::{Stage, host_wanted, key, network_wanted};
use lace_providers::provider::{Error, NetworkWanted, Provider};

/// More steps than there are.
const STEPS_MAX: usize = 60;

/// As small as it can be with every kind of step: each one is tried in many ways.
fn wanted(stage: &Simulated) -> NetworkWanted {
    let (zones, ..) = stage.words();
    let mut wanted = network_wanted("net", &zones[..1]);
    wanted.login = Some(LOGIN.into());
    wanted.ports.truncate(1);
    wanted
}

const LOGIN: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGGErcHSnEIU26LheKqI4gcjkhC0kqEKcayxbxxburu/ nobody@example.com";

/// How many deeds a network takes, and how many things it is.
async fn measure(stage: &Simulated) -> (usize, usize) {
    let before = stage.moto.things().await;
    stage.proxy.mend();
    let ours = stage.ec2("ours");
    ours.ensure_network(&wanted(stage)).await.expect("made");
    let there = stage.moto.things().await;
    let (deeds, things) = (stage.proxy.deeds().len(), there.len() - before.len());
    ours.ensure_network(&wanted(stage)).await.expect("found");
    assert_eq!(stage.moto.things().await, there);
    ours.delete_network(&key("net")).await.expect("deleted");
    assert_eq!(stage.moto.things().await, before);
    assert!((10..STEPS_MAX).contains(&deeds), "{:?}", stage.proxy.deeds());
    (deeds, things)
}

#[tokio::test]
async fn after_a_crash_at_any_step_the_same_call_finds_what_there_is() {
    let stage = Simulated::start().await;
    let (deeds, things) = measure(&stage).await;
    let before = stage.moto.things().await;
    for step in 1..=deeds {
        // The deed is done, its answer is lost, and who asked is dead.
        stage.proxy.at_deed(step, Order::Cut);
        stage.ec2("ours").ensure_network(&wanted(&stage)).await.expect_err("cut off");
        stage.proxy.mend();
        let network = stage.ec2("ours").ensure_network(&wanted(&stage)).await.expect("found or made");
        let there = stage.moto.things().await;
        assert_eq!(there.len() - before.len(), things, "nothing is doubled after a crash at step {step}");
        assert_eq!(network.subnets.len(), 1);
        // And a crash while it is deleted, at a step that differs each time.
        stage.proxy.at_deed(1 + step % 8, Order::Cut);
        let _ = stage.ec2("ours").delete_network(&key("net")).await;
        stage.proxy.mend();
        stage.ec2("ours").delete_network(&key("net")).await.expect("deleted");
        assert_eq!(stage.moto.things().await, before, "nothing is left after a crash at step {step}");
    }
}

#[tokio::test]
async fn what_a_step_that_fails_or_loses_its_answer_made_is_undone() {
    let stage = Simulated::start().await;
    let (deeds, _) = measure(&stage).await;
    let before = stage.moto.things().await;
    for step in 1..=deeds {
        for order in [Order::Refuse(403, "UnauthorizedOperation"), Order::Lose] {
            stage.proxy.at_deed(step, order.clone());
            let done = stage.ec2("ours").ensure_network(&wanted(&stage)).await;
            let doing = stage.proxy.deeds()[step - 1].clone();
            match (done, &order) {
                (Err(error), Order::Refuse(..)) => {
                    assert!(matches!(error, Error::Refused { .. }), "{error:?}")
                }
                (Err(error), _) => assert!(error.may_pass(), "{doing}: {error:?}"),
                // What may be asked again is asked again.
                (Ok(_), Order::Lose) => {
                    assert!(!doing.starts_with("CreateVpc"), "{doing} made another one");
                    stage.ec2("ours").delete_network(&key("net")).await.expect("deleted");
                }
                (Ok(_), _) => panic!("{doing} was refused, and nobody minds"),
            }
            stage.proxy.mend();
            assert_eq!(stage.moto.things().await, before, "{doing} {order:?}");
        }
    }
}

#[tokio::test]
async fn a_zone_that_cannot_be_added_leaves_the_network_as_it_was() {
    let stage = Simulated::start().await;
    let (zones, ..) = stage.words();
    let ours = stage.ec2("ours");
    let one = ours.ensure_network(&network_wanted("net", &zones[..1])).await.expect("made");
    let before = stage.moto.things().await;
    stage.proxy.mend();
    stage.proxy.at_next("AssociateRouteTable", Order::Refuse(400, "SomethingElse"));
    ours.ensure_network(&network_wanted("net", &zones)).await.expect_err("refused");
    assert_eq!(stage.moto.things().await, before);
    assert_eq!(ours.ensure_network(&network_wanted("net", &zones[..1])).await.expect("there"), one);
    machines_are_not_doubled(&stage).await;
}

async fn machines_are_not_doubled(stage: &Simulated) {
    let (zones, ..) = stage.words();
    let network = stage.ec2("ours").ensure_network(&network_wanted("net", &zones)).await.expect("made");
    let wanted = host_wanted(stage, "one", &network);
    let before = stage.moto.things().await;
    let mut tried = 0;
    for order in [Order::Lose, Order::Cut, Order::Refuse(503, "RequestLimitExceeded")] {
        for action in ["RunInstances", "ModifyInstanceAttribute"] {
            let mut wanted = wanted.clone();
            tried += 1;
            wanted.key = key(&format!("host-{tried}"));
            stage.proxy.at_next(action, order.clone());
            let first = stage.ec2("ours").create_host(&wanted).await;
            assert_eq!(first.is_err(), order == Order::Cut, "{first:?}");
            stage.proxy.mend();
            stage.ec2("ours").create_host(&wanted).await.expect("found or made");
            assert_eq!(stage.ec2("ours").hosts().await.expect("listed").len(), 1, "{action} {order:?}");
            stage.ec2("ours").delete_host(&wanted.key).await.expect("deleted");
            assert_eq!(stage.moto.things().await, before, "{action} {order:?}");
        }
    }
    stage.proxy.at_next("AllocateAddress", Order::Lose);
    stage.ec2("ours").create_address(&key("door")).await.expect_err("lost");
    stage.ec2("ours").create_address(&key("door")).await.expect("found");
    assert_eq!(stage.moto.things().await.difference(&before).count(), 1);
    stage.ec2("ours").delete_address(&key("door")).await.expect("given back");
    stage.ec2("ours").delete_network(&key("net")).await.expect("deleted");
}
