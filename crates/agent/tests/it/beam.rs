//! Two nodes of our own Erlang/OTP release, clustered with failover.

use crate::world::{World, can_run, check};
use lace_model::NodeId;
use lace_model::beam::{Beam, BeamNames};
use lace_model::check::Probe;
use lace_model::document::NodeEntry;
use lace_model::release::ReleaseKind;
use lace_model::vm::VmTop;
use lace_wire::beam::{BeamAnswer, BeamAsk, BeamCall, BeamOutcome, BeamReport};
use lace_wire::stream::StreamRequest;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release, built once per test; nothing where Erlang is not installed.
fn build(world: &World) -> Option<PathBuf> {
    let erlang = Command::new("erlc").arg("-h").output();
    if erlang.is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have erlang-base");
        eprintln!("skipped: erlang-base is not installed");
        return None;
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ball");
    let out = world.state.join("ball");
    let built = Command::new(examples.join("build.sh")).arg("1.0.0").arg(&out).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(out)
}

fn ball(world: &World, index: u32, tree: lace_model::Digest) -> NodeEntry {
    let mut node = world.node(index, "");
    node.spec.kind = ReleaseKind::Relx;
    node.spec.tree = Some(tree);
    node.spec.start = vec!["bin/ball".into(), "foreground".into()];
    node.spec.secrets.insert("LACE_COOKIE_web".into(), 1);
    node.spec.limits.cpu = lace_model::CpuMillis(2000);
    node.spec.limits.memory = lace_model::ByteSize::mib(256);
    node.spec.beam = Some(Beam {
        name: Some("ball".into()),
        names: BeamNames::Address,
        failover: Some("ball".into()),
        votes: false,
        applications: vec!["court".into()],
        ..Beam::default()
    });
    node.spec.check = Some(check(Probe::Http { port: 8080, path: "/up".into() }));
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_form_a_cluster_and_know_when_they_are_ready() {
    if !can_run() {
        return;
    }
    let Some(world) = World::start().await else { return };
    let Some(release) = build(&world) else { return };
    let tree = world.upload(&release);
    let cookie = bytes::Bytes::from_static(b"a-cookie-of-the-cluster");
    world.controller.fake.secrets.lock().unwrap().insert("shop/LACE_COOKIE_web@1".into(), cookie);
    let nodes = [ball(&world, 1, tree), ball(&world, 2, tree)];
    world.topic(&[(&nodes[0], false), (&nodes[1], false)]);
    for node in &nodes {
        world.controller.node(node);
    }
    for node in &nodes {
        world.controller.until_node("running", node.id, |n| n.is_up()).await;
    }
    world.topic(&[(&nodes[0], true), (&nodes[1], true)]);
    for node in &nodes {
        world.controller.until_node("ready", node.id, |n| n.ready).await;
    }
    let seen = crate::streams::says(&world, nodes[0].id, &["bin/ball", "eval", "nodes()"]).await;
    assert_eq!(seen.trim(), format!("['ball@{}']", nodes[1].address));
    let set = crate::streams::says(
        &world,
        nodes[1].id,
        &["bin/ball", "eval", "application:get_env(kernel, distributed)"],
    )
    .await;
    let compact: String = set.split_whitespace().collect();
    let (first, second) = (nodes[0].address, nodes[1].address);
    assert_eq!(compact, format!("{{ok,[{{ball,2000,['ball@{first}',{{'ball@{second}'}}]}}]}}"));
    speaks(&world, &nodes).await;
    let words = command_lines();
    assert!(!words.contains("a-cookie-of-the-cluster"), "the cookie is on a command line");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slogan_of_a_bounded_crash_dump_is_the_cause_that_is_told() {
    if !can_run() {
        return;
    }
    let Some(world) = World::start().await else { return };
    if build(&world).is_none() {
        return;
    }
    let mut node = world.node(1, "");
    let gives_up = "halt(\"out of words: \" ++ os:getenv(\"ERL_CRASH_DUMP_BYTES\"))";
    node.spec.start = ["erl", "-noinput", "-eval", gives_up].map(str::to_owned).into();
    node.spec.limits.memory = lace_model::ByteSize::mib(256);
    node.spec.beam = Some(Beam::default());
    world.topic(&[(&node, false)]);
    world.controller.node(&node);
    let told =
        |detail: &Option<String>| detail.as_ref().is_some_and(|d| d.contains(": out of words: 16777216"));
    world.controller.until_node("told", node.id, |n| told(&n.detail)).await;
}

/// The agent's line to the runtimes: reports, calls, rankings; and nobody sees us among the members.
async fn speaks(world: &World, nodes: &[NodeEntry; 2]) {
    let name = |node: &NodeEntry| format!("ball@{}", node.address);
    let report: BeamReport = asks(world, nodes[0].id, BeamAsk::Report).await;
    assert_eq!((report.trouble.as_ref(), report.state.as_str()), (None, "started"));
    assert_eq!(report.name, name(&nodes[0]));
    assert_eq!((&report.nodes, &report.planned), (&vec![name(&nodes[1])], &vec![name(&nodes[1])]));
    assert_eq!(report.hidden, Vec::<String>::new());
    assert!(report.runs_failover(), "{:?}", report.applications);
    let other: BeamReport = asks(world, nodes[1].id, BeamAsk::Report).await;
    assert!(!other.runs_failover(), "{:?}", other.applications);

    let call = |module: &str, function: &str, arguments: &str| {
        let (module, function) = (module.to_owned(), function.to_owned());
        BeamAsk::Call(BeamCall { module, function, arguments: arguments.to_owned(), within_ms: None })
    };
    let answer: BeamAnswer = asks(world, nodes[0].id, call("lists", "zip", "[a, b], \"xy\"")).await;
    assert_eq!((answer.outcome, answer.term.as_str()), (BeamOutcome::Returned, "[{a,120},{b,121}]"));
    assert_eq!(answer.value, serde_json::json!([["a", 120], ["b", 121]]));
    let answer: BeamAnswer = asks(world, nodes[0].id, call("io", "format", "\"~p~n\", [ok]")).await;
    assert_eq!((answer.term.as_str(), answer.output.as_str()), ("ok", "ok\n"));
    let answer: BeamAnswer = asks(world, nodes[0].id, call("no", "such", "")).await;
    assert_eq!((answer.outcome, answer.term.as_str()), (BeamOutcome::Error, "undef"));
    let top: VmTop = asks(world, nodes[0].id, BeamAsk::Top { most: 5 }).await;
    assert!(top.top.len() >= 5 && top.top[0].memory >= top.top[1].memory);
}

async fn asks<T: serde::de::DeserializeOwned>(world: &World, node: NodeId, ask: BeamAsk) -> T {
    let mut pair = world.controller.open(StreamRequest::Beam { node, ask }).await;
    let (out, _, status) = crate::streams::drain(&mut pair).await;
    assert_eq!(status, 0);
    serde_json::from_slice(&out).unwrap()
}

fn command_lines() -> String {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}
