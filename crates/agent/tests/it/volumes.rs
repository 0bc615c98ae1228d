//! What a node wrote to its volume outlives the node and the agent.

use crate::streams::says;
use crate::world::World;
use lace_model::document::NodeEntry;
use lace_model::node::NodePhase;
use lace_model::target::Want;

/// A node with a volume, which says its word there at each start.
fn keeper(world: &World, index: u32, word: &str) -> NodeEntry {
    let mut node = world.node(index, &format!("echo {word} >> /var/lib/kept/words && exec sleep 1000"));
    let volume = serde_json::json!([{ "name": "kept", "size": "1GiB", "at": "/var/lib/kept" }]);
    node.spec.volumes = serde_json::from_value(volume).unwrap();
    node
}

async fn up(world: &World, node: &NodeEntry) {
    world.controller.node(node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
}

async fn go(world: &World, node: &mut NodeEntry) {
    node.want = Want::Gone;
    world.controller.node(node);
    world.controller.until_node("gone", node.id, |n| n.phase == NodePhase::Gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_outlives_its_node_and_the_agent() {
    let Some(mut world) = World::start().await else { return };
    let mut first = keeper(&world, 1, "first");
    let other = keeper(&world, 2, "other");
    up(&world, &first).await;
    up(&world, &other).await;
    let owner =
        says(&world, first.id, &["stat", "-c", "%u %a", "/var/lib/kept", "/var/lib/kept/words"]).await;
    assert_eq!(owner, "0 755\n0 644\n");
    go(&world, &mut first).await;
    world.kill_agent();
    world.start_agent(false);
    let second = keeper(&world, 1, "second");
    up(&world, &second).await;
    let words = ["cat", "/var/lib/kept/words"];
    assert_eq!(says(&world, second.id, &words).await, "first\nsecond\n");
    assert_eq!(says(&world, other.id, &words).await, "other\n");
    // Also its PID 1 may come and go.
    crate::survival::kill_pid1(&world, second.id).await;
    world.controller.until_node("up again", second.id, |n| n.ready && n.restarts == 1).await;
    assert_eq!(says(&world, second.id, &words).await, "first\nsecond\nsecond\n");
    let image = world.state.join("agent/machine/volumes/shop/web/web/kept/1.img");
    let meta = std::fs::metadata(image).unwrap();
    assert_eq!(meta.len(), 1 << 30, "it has its size");
    assert!(std::os::unix::fs::MetadataExt::blocks(&meta) < 64 << 11, "and takes what is in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_is_full_and_a_disk_limit_is_told() {
    let Some(world) = World::start().await else { return };
    let mut node = keeper(&world, 1, "here");
    node.spec.volumes[0].size = lace_model::ByteSize::mib(16);
    node.spec.limits.disk = lace_model::ByteSize::mib(4);
    up(&world, &node).await;
    let fill = "dd if=/dev/zero of=/var/lib/kept/big bs=1M count=64 2>&1 | grep -o 'No space left'";
    assert_eq!(says(&world, node.id, &["sh", "-c", fill]).await, "No space left\n");
    says(&world, node.id, &["dd", "if=/dev/zero", "of=/srv/big", "bs=1M", "count=8"]).await;
    let over = |n: &lace_model::node::NodeStatus| {
        n.ready && n.detail.as_deref() == Some("uses more than its disk limit of 4MiB")
    };
    world.controller.until_node("told", node.id, over).await;
    says(&world, node.id, &["rm", "/srv/big"]).await;
    world.controller.until_node("well again", node.id, |n| n.ready && n.detail.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_never_have_one_volume_at_once_though_their_addresses_differ() {
    let Some(world) = World::start().await else { return };
    let mut first = keeper(&world, 1, "first");
    up(&world, &first).await;
    let mut second = keeper(&world, 1, "second");
    second.address = world.address(30);
    world.controller.node(&second);
    let waits = |n: &lace_model::node::NodeStatus| {
        n.detail.as_deref().is_some_and(|d| d.contains("waits for shop/web/web/1 until"))
    };
    world.controller.until_node("it waits", second.id, waits).await;
    go(&world, &mut first).await;
    world.controller.until_node("its turn", second.id, |n| n.ready).await;
}
