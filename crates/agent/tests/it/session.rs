//! Joining, generations, epochs, signs of life, the firewall of an application.

use crate::world::World;
use lace_model::Digest;
use lace_model::document::{Entry, EntryBody, EntryId};
use lace_model::node::NodePhase;
use lace_wire::link::dial::{HostIdentity, Link};
use lace_wire::link::frame::FetchRequest;
use std::sync::atomic::Ordering;
use tokio_stream::StreamExt;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_host_fetches_what_it_runs_and_nothing_else() {
    let Some(world) = World::start().await else { return };
    let make = |name: &str| {
        let dir = world.state.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("secret.txt"), format!("of {name}")).unwrap();
        let tree = world.upload(&dir);
        (tree, Digest::of(format!("of {name}").as_bytes()))
    };
    let ((own, own_chunk), (foreign, foreign_chunk)) = (make("own"), make("foreign"));
    let mut node = world.node(1, "exec sleep 1000");
    node.spec.tree = Some(own);
    let entry = world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;

    let identity = std::fs::read(world.state.join("agent/identity/host.json")).unwrap();
    let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
    let text = |key: &str| identity[key].as_str().unwrap().to_owned();
    let shown = HostIdentity { certificate: text("certificate"), key: text("key") };
    let address = world.controller.address.to_string();
    let link = Link::dial(&address, &world.controller.fake.ca, Some(&shown)).await.unwrap();
    let fetched = async |digests: &[Digest]| {
        let blobs = link.fetch(FetchRequest { digests: digests.to_vec() }).await?;
        Ok::<_, tonic::Status>(
            blobs
                .filter(|blob| blob.as_ref().is_ok_and(|b| b.content.is_ok()))
                .collect::<Vec<_>>()
                .await
                .len(),
        )
    };
    assert_eq!(fetched(&[own, own_chunk]).await.unwrap(), 2);
    for refused in [&[foreign][..], &[foreign_chunk], &[own_chunk, foreign_chunk]] {
        let status = fetched(refused).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status}");
        assert!(status.message().contains("no release that this host runs"), "{status}");
    }
    world.controller.remove(&entry);
    assert_eq!(fetched(&[own]).await.unwrap(), 1, "what it ran a moment ago may still be on its way");
}
