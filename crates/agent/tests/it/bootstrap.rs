//! Joining by a command: once per node id, when there is somebody to join.

use crate::streams::says;
use crate::world::World;
use lace_model::NodeId;
use lace_model::document::NodeEntry;
use lace_model::node::NodeStatus;

const JOIN: &str = "echo {{first}} {{self}} {{all | length}} {{index}} $LACE_FIRST >> /tmp/joined; \
    [ -e /tmp/may ] || { echo no luck; exit 3; }";

fn joining(world: &World, index: u32) -> NodeEntry {
    let mut node = world.node(index, "exec sleep 1000");
    node.spec.bootstrap = Some(["sh", "-c", JOIN].map(String::from).to_vec());
    node
}

fn waits_for(words: &'static str) -> impl FnMut(&NodeStatus) -> bool {
    move |node| node.is_up() && !node.ready && node.detail.as_deref().is_some_and(|d| d.contains(words))
}

async fn joined(world: &World, node: NodeId) -> String {
    says(world, node, &["sh", "-c", "cat /tmp/joined 2>/dev/null; true"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_the_first_ready_one_once() {
    let Some(mut world) = World::start().await else { return };
    let (first, second) = (joining(&world, 1), joining(&world, 2));
    world.topic(&[(&first, false), (&second, false)]);
    world.controller.node(&second);
    world.controller.until_node("it waits", second.id, waits_for("joins when web-1.web")).await;
    world.controller.node(&first);
    world.controller.until_node("the cluster begins", first.id, |n| n.ready && n.joined).await;
    world.topic(&[(&first, true), (&second, false)]);
    let failed = waits_for("bootstrap: exit code 3: no luck");
    world.controller.until_node("a failure is told", second.id, failed).await;
    world.controller.until_node("it is no part of it yet", second.id, |n| !n.joined).await;
    says(&world, second.id, &["touch", "/tmp/may"]).await;
    world.controller.until_node("joined", second.id, |n| n.ready && n.joined).await;
    let said = joined(&world, second.id).await;
    let name = |n: u32| format!("web-{n}.web.shop.lace.internal");
    assert_eq!(said.lines().last(), Some(format!("{} {} 2 2 {}", name(1), name(2), name(1)).as_str()));
    assert_eq!(joined(&world, first.id).await, "", "the first joins nobody");

    // Neither another agent nor another process of the same node joins again.
    world.topic(&[(&first, true), (&second, true)]);
    world.kill_agent();
    world.start_agent(false);
    world.controller.until("a second session", |seen| (seen.connected > 1).then_some(())).await;
    says(&world, first.id, &["sh", "-c", "kill -9 $(pgrep -x sleep)"]).await;
    world.controller.until_node("ready again", first.id, |n| n.ready && n.joined && n.restarts == 1).await;
    world.controller.until_node("still ready", second.id, |n| n.ready && n.joined).await;
    assert_eq!(joined(&world, second.id).await, said);
    assert_eq!(joined(&world, first.id).await, "");

    // A new node joins, also in the place of the first: the lowest other one that is ready.
    let mut newcomer = joining(&world, 1);
    newcomer.address = world.address(9);
    newcomer.path.index = 3;
    world.topic(&[(&second, true), (&newcomer, false)]);
    world.controller.node(&newcomer);
    world.controller.until_node("its turn", newcomer.id, waits_for("no luck")).await;
    assert!(joined(&world, newcomer.id).await.starts_with(&name(2)));
}
