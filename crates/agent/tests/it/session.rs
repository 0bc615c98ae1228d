//! Joining, generations, epochs, signs of life, the firewall of an application.

use crate::world::World;
use lace_model::document::{Entry, EntryBody, EntryId};
use lace_model::node::NodePhase;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_works_once() {
    let Some(mut world) = World::start().await else { return };
    world.kill_agent();
    let identity = world.state.join("agent/identity/host.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&identity).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    std::fs::rename(&identity, world.state.join("away")).unwrap();
    world.start_agent(true);
    // A second join with the same token is refused.
    world.agent_end().await;
    let log = std::fs::read_to_string(world.state.join("agent.log")).unwrap();
    assert!(log.contains("not valid (any more)"), "{log}");
    std::fs::rename(world.state.join("away"), &identity).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn older_statements_and_older_epochs_are_refused() {
    let Some(mut world) = World::start().await else { return };
    let node = world.node(1, "exec sleep 1000");
    let entry = world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    let mut older = entry.clone();
    older.generation.number -= 1;
    if let EntryBody::Node(body) = &mut older.body {
        body.want = lace_model::target::Want::Gone;
    }
    world.controller.fleet.publish(world.controller.fake.host, vec![older], vec![], true);
    world.controller.fleet.publish(
        world.controller.fake.host,
        vec![],
        vec![(EntryId::Node(node.id), lace_model::Generation { epoch: 0, number: 9 })],
        true,
    );
    let other = world.node(2, "exec sleep 1000");
    world.controller.node(&other);
    world.controller.until_node("the next one", other.id, |n| n.ready).await;
    world.controller.until_node("still there", node.id, |n| n.phase == NodePhase::Running).await;
    world.controller.fake.epoch.store(0, Ordering::SeqCst);
    world.restart_controller().await;
    let gone = Entry { generation: world.controller.generation(), ..entry };
    world.controller.remove(&gone);
    // It was offered the removal with each welcome, and hung up each time.
    world.controller.until("it hung up three times", |seen| (seen.lost >= 3).then_some(())).await;
    world.kill_agent();
    assert_eq!(world.machine().list().iter().filter(|n| n.alive).count(), 2, "an older epoch was obeyed");
}

#[tokio::test(flavor = "multi_thread")]
async fn beats_carry_what_nodes_use_and_members_reach_each_other() {
    let Some(world) = World::start().await else { return };
    let server = world.node(1, "exec python3 -m http.server 8080 2>/dev/null");
    let client = world.node(2, "exec sleep 1000");
    let mut stranger = world.node(3, "exec sleep 1000");
    stranger.path = "other/web/web/1".parse().unwrap();
    for node in [&server, &client, &stranger] {
        world.controller.node(node);
        world.controller.until_node("up", node.id, |n| n.ready).await;
    }
    let url = format!("http://{}:8080/", server.address);
    let fetch = format!(
        "import urllib.request as u,time\nfor _ in range(100):\n  try: u.urlopen('{url}',timeout=1); print('in'); break\n  except Exception: time.sleep(0.1)"
    );
    assert_eq!(crate::streams::says(&world, client.id, &["python3", "-c", &fetch]).await, "in\n");
    let once = format!(
        "import urllib.request as u\ntry: u.urlopen('{url}',timeout=1); print('in')\nexcept Exception: print('out')"
    );
    assert_eq!(crate::streams::says(&world, stranger.id, &["python3", "-c", &once]).await, "out\n");
    world
        .controller
        .until("usage", |_| world.controller.fleet.usage(server.id).filter(|u| u.usage.memory > 0))
        .await;
    assert!(world.controller.fleet.liveness(world.controller.fake.host).disk_used_permille > 0);
}
