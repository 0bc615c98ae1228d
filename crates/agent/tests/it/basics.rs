//! Start, readiness, crash, limits, removal.

use crate::world::{World, check, shell};
use lace_model::ByteSize;
use lace_model::check::Probe;
use lace_model::node::NodePhase;
use lace_model::target::Want;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn release(world: &World) -> PathBuf {
    let dir = world.state.join("release");
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    let script = "#!/bin/sh\necho \"started $GREETING $KEY\"\ncat /app/conf/name.txt\nexec sleep 1000\n";
    std::fs::write(dir.join("bin/run"), script).unwrap();
    std::fs::set_permissions(dir.join("bin/run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(dir.join("conf")).unwrap();
    std::fs::write(dir.join("conf/name.txt"), "I am {{ self.name }} of {{ all | length }}\n").unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_runs_with_its_environment_secrets_and_templates() {
    let Some(mut world) = World::start().await else { return };
    let mut node = world.node(1, "");
    node.spec.tree = Some(world.upload(&release(&world)));
    node.spec.start = vec!["bin/run".into()];
    node.spec.env.insert("GREETING".into(), "from {{ index }}".into());
    node.spec.secrets.insert("KEY".into(), 3);
    node.spec.templates = vec!["conf/name.txt".into()];
    node.spec.check = Some(check(Probe::Exec {
        argv: vec!["grep".into(), "started from 1 deep-.ecret".into(), "/run/lace/out".into()],
    }));
    node.spec.start = ["/bin/sh", "-c", "bin/run > /run/lace/out"].map(String::from).to_vec();
    let value = bytes::Bytes::from_static(b"deep-secret");
    world.controller.fake.secrets.lock().unwrap().insert("shop/KEY@3".into(), value);
    let entry = world.controller.node(&node);
    world.topic(&[(&node, false)]);
    let status = world.controller.until_node("ready", node.id, |n| n.ready).await;
    assert_eq!((status.phase, status.generation), (NodePhase::Running, entry.generation));
    assert!(status.started_at.is_some());
    let rendered = crate::streams::says(&world, node.id, &["cat", "/app/conf/name.txt"]).await;
    assert_eq!(rendered, "I am web-1.web.shop.lace.internal of 1\n");
    assert!(!on_disk(&world, b"deep-secret"), "the secret is on the disk in clear");
    world.kill_agent();
}

/// Is it in any file of the state directory (nodes' roots are mounts of their own, their uppers are here)?
fn on_disk(world: &World, needle: &[u8]) -> bool {
    let mut dirs = vec![world.state.join("agent")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file()
                && let Ok(content) = std::fs::read(entry.path())
                && content.windows(needle.len()).any(|w| w == needle)
            {
                eprintln!("in {}", entry.path().display());
                return true;
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_tcp_checks_decide_on_readiness() {
    let Some(world) = World::start().await else { return };
    let server = "exec python3 -m http.server 8080 --directory /srv 2>/dev/null";
    let mut web = world.node(1, &format!("mkdir -p /srv; {server}"));
    web.spec.limits.pids = 64;
    web.spec.check = Some(check(Probe::Http { port: 8080, path: "/up".into() }));
    let mut tcp = world.node(2, server);
    tcp.spec.check = Some(check(Probe::Tcp { port: 8080 }));
    tcp.spec.start[2] = format!("mkdir -p /srv; {server}");
    world.controller.node(&web);
    world.controller.node(&tcp);
    world.controller.until_node("tcp ready", tcp.id, |n| n.ready).await;
    let unready =
        |n: &lace_model::node::NodeStatus| !n.ready && n.detail.as_deref().is_some_and(|d| d.contains("404"));
    world.controller.until_node("not found is not ready", web.id, unready).await;
    crate::streams::says(&world, web.id, &["touch", "/srv/up"]).await;
    world.controller.until_node("ready", web.id, |n| n.ready).await;
    crate::streams::says(&world, web.id, &["rm", "/srv/up"]).await;
    world.controller.until_node("unready again", web.id, |n| !n.ready && n.is_up()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_reported_with_its_last_lines_and_restarted() {
    let Some(world) = World::start().await else { return };
    let node = world.node(
        1,
        "echo hello; [ -e /run/second ] && exec sleep 1000; touch /run/second; echo oops >&2; exit 3",
    );
    world.controller.node(&node);
    let status = world.controller.until_node("running again", node.id, |n| n.is_up() && n.restarts > 0).await;
    let exit = status.exit.unwrap();
    assert_eq!((exit.code, status.restarts), (Some(3), 1));
    assert_eq!(exit.last_lines, ["hello", "oops"]);
    let seen = world.controller.seen.lock().unwrap();
    assert!(seen.phases.iter().any(|(_, n)| n.phase == NodePhase::Backoff && n.exit.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_hog_is_reported_as_such() {
    let Some(world) = World::start().await else { return };
    let mut node = world.node(1, "exec tail /dev/zero");
    node.spec.limits.memory = ByteSize::mib(24);
    world.controller.node(&node);
    let killed = |n: &lace_model::node::NodeStatus| n.exit.as_ref().is_some_and(|exit| exit.oom);
    let status = world.controller.until_node("killed", node.id, killed).await;
    assert_eq!(status.exit.unwrap().to_string(), "killed: memory limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_leaves_nothing_and_its_address_is_taken_over() {
    let Some(mut world) = World::start().await else { return };
    let trap = "trap 'echo stopping; sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done";
    let mut old = world.node(1, trap);
    let entry = world.controller.node(&old);
    world.controller.until_node("up", old.id, |n| n.ready).await;
    let mut new = world.node(1, "exec sleep 1000");
    new.revision = 2;
    old.want = Want::Gone;
    world.controller.node(&old);
    world.controller.node(&new);
    let waits =
        |n: &lace_model::node::NodeStatus| n.detail.as_deref().is_some_and(|d| d.contains("waits for"));
    world.controller.until_node("the successor waits", new.id, waits).await;
    world.controller.until_node("gone", old.id, |n| n.phase == NodePhase::Gone).await;
    world.controller.until_node("the successor runs", new.id, |n| n.ready).await;
    world
        .controller
        .remove(&lace_model::document::Entry { generation: world.controller.generation(), ..entry });
    world.kill_agent();
    let left: Vec<_> = world.machine().list().into_iter().map(|n| n.id).collect();
    assert_eq!(left, [new.id.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why_and_a_failed_life_check_restarts() {
    let Some(world) = World::start().await else { return };
    let mut broken = world.node(1, "");
    broken.spec.start = vec!["/no/such/program".into()];
    let mut unknown = world.node(2, "exec sleep 1000");
    unknown.spec.env.insert("URL".into(), "{{ links.db.url }}".into());
    let mut sick = world.node(3, "exec sleep 1000");
    sick.spec.live = Some(check(Probe::Exec { argv: vec!["/bin/false".into()] }));
    sick.spec.start = shell("exec sleep 1000").start;
    for node in [&broken, &unknown, &sick] {
        world.controller.node(node);
    }
    let failed = |words: &'static str| {
        move |n: &lace_model::node::NodeStatus| {
            n.phase == NodePhase::Failed && n.detail.as_deref().is_some_and(|d| d.contains(words))
        }
    };
    world.controller.until_node("no program", broken.id, failed("/no/such/program")).await;
    world.controller.until_node("no such word", unknown.id, failed("env URL: undefined value")).await;
    world.controller.until_node("restarted", sick.id, |n| n.restarts > 0).await;
}
