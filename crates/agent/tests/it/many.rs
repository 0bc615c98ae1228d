//! How quick: one node after the other, and many at once. Prints figures; asserts only that all run.
//! `cargo test -p lace-agent --test it many -- --nocapture`; with LACE_NODES=240 for more of them.

use crate::world::World;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn starts_one_by_one_and_many_at_once() {
    let Some(world) = World::start().await else { return };
    let count = std::env::var("LACE_NODES").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut waits = Vec::new();
    for n in 0..20 {
        let node = world.node(n + 1, "exec sleep 1000");
        let begun = Instant::now();
        world.controller.node(&node);
        world.controller.until_node("up", node.id, |n| n.ready).await;
        waits.push(begun.elapsed());
    }
    waits.sort();
    println!("published to running, one by one: p50 {:?}, worst {:?}", waits[10], waits[19]);
    let nodes: Vec<_> = (21..=count).map(|n| world.node(n, "exec sleep 1000")).collect();
    let begun = Instant::now();
    for node in &nodes {
        world.controller.node(node);
    }
    for node in &nodes {
        world.controller.until_node("up", node.id, |n| n.ready).await;
    }
    println!("{} at once: {:?}", nodes.len(), begun.elapsed());
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.agent_pid())).unwrap();
    println!(
        "agent with {count} nodes: {}",
        status
            .lines()
            .filter(|l| l.starts_with("RssAnon") || l.starts_with("Threads"))
            .collect::<Vec<_>>()
            .join(", ")
    );
}
