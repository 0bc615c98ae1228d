//! What dies and what goes on: the agent, the controller, PID 1, the whole host.

use crate::world::World;
use lace_model::node::NodePhase;
use lace_model::target::Want;
use rustix::process::{Pid, Signal, kill_process};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn pids(world: &World) -> Vec<(String, Option<i32>)> {
    world.machine().list().into_iter().map(|n| (n.id, n.pid)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_outlive_the_agent_and_the_next_one_finds_them() {
    let Some(mut world) = World::start().await else { return };
    let node = world.node(1, "exec sleep 1000");
    world.controller.node(&node);
    let before = world.controller.until_node("up", node.id, |n| n.ready).await;
    world.kill_agent();
    let alive = pids(&world);
    assert!(alive[0].1.is_some());
    world.controller.seen.lock().unwrap().nodes.clear();
    world.start_agent(false);
    let after = world.controller.until_node("found again", node.id, |n| n.ready).await;
    assert_eq!((after.started_at, after.restarts), (before.started_at, before.restarts));
    world.kill_agent();
    assert_eq!(pids(&world), alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_back_after_a_reboot_without_a_controller() {
    let Some(mut world) = World::start().await else { return };
    let mut node = world.node(1, "[ \"$KEY\" = deep-secret ] && exec sleep 1000");
    node.spec.secrets.insert("KEY".into(), 1);
    let value = bytes::Bytes::from_static(b"deep-secret");
    world.controller.fake.secrets.lock().unwrap().insert("shop/KEY@1".into(), value);
    let mut stopped = world.node(2, "exec sleep 1000");
    world.controller.node(&node);
    world.controller.node(&stopped);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    world.controller.until_node("up", stopped.id, |n| n.ready).await;
    stopped.want = Want::Gone;
    world.controller.node(&stopped);
    world.controller.until_node("gone", stopped.id, |n| n.phase == NodePhase::Gone).await;
    world.kill_agent();
    let before = pids(&world);
    assert_eq!(before.len(), 1);
    kill(before[0].1.unwrap());
    let (fake, address) = (world.controller.fake.clone(), world.controller.address);
    world.controller =
        crate::controller::Controller::start(fake.clone(), "127.0.0.1:0".parse().unwrap()).await;
    world.controller.address = address;
    world.start_agent(false);
    let mut back = false;
    for _ in 0..300 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        back = std::fs::read_dir("/proc").unwrap().flatten().any(|p| {
            std::fs::read(p.path().join("environ"))
                .is_ok_and(|env| env.windows(15).any(|w| w == b"KEY=deep-secret"))
        });
        if back {
            break;
        }
    }
    assert!(back, "the node did not come back");
    // The controller comes back too, at its old place.
    world.controller = crate::controller::Controller::start(fake, address).await;
    let status = world.controller.until_node("told", node.id, |n| n.ready).await;
    assert_eq!(status.restarts, 0);
    world.kill_agent();
    assert_ne!(pids(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_pid1_dies_is_started_again() {
    let Some(world) = World::start().await else { return };
    let node = world.node(1, "exec sleep 1000");
    world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    kill_pid1(&world, node.id).await;
    let status = world.controller.until_node("up again", node.id, |n| n.ready && n.restarts == 1).await;
    assert_eq!(status.phase, NodePhase::Running);
}

/// Kills a node's PID 1.
pub async fn kill_pid1(world: &World, node: lace_model::NodeId) {
    let inner = crate::streams::says(world, node, &["sh", "-c", "readlink /proc/self/ns/pid"]).await;
    kill(host_pid_of(inner.trim()));
}

/// The process with pid 1 in a pid namespace.
fn host_pid_of(namespace: &str) -> i32 {
    let is_first = |pid: &i32| {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/pid"));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inner =
            status.lines().find(|l| l.starts_with("NSpid:")).and_then(|l| l.split_whitespace().last());
        link.is_ok_and(|l| l.to_string_lossy() == namespace) && inner == Some("1")
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|p| p.file_name().to_str()?.parse().ok()).find(is_first).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_restarts_finds_everything_as_it_was() {
    let Some(mut world) = World::start().await else { return };
    let node = world.node(1, "exec sleep 1000");
    let entry = world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    world.restart_controller().await;
    world.controller.until_node("told again", node.id, |n| n.ready).await;
    let lost = world.controller.seen.lock().unwrap().lost;
    assert_eq!(lost, 0);
    // What the document does not name is removed once it is complete.
    world.controller.fleet.publish(
        world.controller.fake.host,
        vec![],
        vec![(entry.id, entry.generation)],
        true,
    );
    world.controller.until_node("gone", node.id, |n| n.phase == NodePhase::Gone).await;
    assert_ne!(world.agent_pid(), 0);
}
