//! What a running node knows of its family stays true.

use crate::streams::says;
use crate::world::World;
use lace_model::NodeId;
use serde_json::{Value, json};
use std::time::Duration;

/// Reads a file in a node until it is as wanted: the agent gathers changes before it tells them.
async fn until(world: &World, node: NodeId, path: &str, mut good: impl FnMut(&str) -> bool) -> String {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let text = says(world, node, &["cat", path]).await;
        if good(&text) {
            return text;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path} stays {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Index and state of each member.
fn members(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).expect("never half a document");
    let members = document["members"].as_array().expect("a list");
    members.iter().map(|m| json!([m["index"], m["state"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_sees_a_peer_come_and_go() {
    let Some(mut world) = World::start().await else { return };
    let mut node = world.node(1, "exec sleep 1000");
    node.spec.env.insert("COLOUR".into(), "red".into());
    let file = |content: &str| serde_json::from_value(json!({ "content": content, "mode": 0o640 })).unwrap();
    node.spec.files.insert("/etc/peers".into(), file("{% for m in all %}{{ m.index }} {% endfor %}"));
    node.spec.files.insert("/etc/own".into(), file("{{ self.name }}"));
    let peer = world.node(2, "exec sleep 1000");
    world.topic(&[(&node, true)]);
    world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    let alone = |text: &str| members(text) == json!([[1, "ready"]]);
    until(&world, node.id, "/run/lace/context.json", alone).await;
    says(&world, node.id, &["sh", "-c", "echo changed by hand > /etc/own"]).await;

    world.topic(&[(&node, true), (&peer, false)]);
    let there = |text: &str| members(text) == json!([[1, "ready"], [2, "down"]]);
    let text = until(&world, node.id, "/run/lace/context.json", there).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["env"]["COLOUR"], "red", "what does not change is kept");
    assert_eq!(document["members"][1]["address"], peer.address.to_string());
    until(&world, node.id, "/etc/peers", |text| text == "1 2 ").await;
    let modes = says(&world, node.id, &["stat", "-c", "%a", "/run/lace/context.json", "/etc/peers"]).await;
    assert_eq!(modes, "600\n640\n");

    // What changes while the agent is away is told by the next one.
    world.kill_agent();
    world.topic(&[(&node, true), (&peer, true)]);
    world.start_agent(false);
    world.controller.until("a second session", |seen| (seen.connected > 1).then_some(())).await;
    let ready = |text: &str| members(text) == json!([[1, "ready"], [2, "ready"]]);
    until(&world, node.id, "/run/lace/context.json", ready).await;
    world.topic(&[(&node, true)]);
    until(&world, node.id, "/run/lace/context.json", alone).await;
    until(&world, node.id, "/etc/peers", |text| text == "1 ").await;
    assert_eq!(says(&world, node.id, &["cat", "/etc/own"]).await, "changed by hand\n");
}
