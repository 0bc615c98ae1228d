//! Exec, shells, logs, files, ports.

use crate::world::World;
use bytes::Bytes;
use lace_model::NodeId;
use lace_wire::stream::{StreamFrame, StreamPair, StreamRequest, TerminalSize};
use std::collections::BTreeMap;
use std::time::Duration;

pub fn exec(node: NodeId, words: &[&str], stdin: bool) -> StreamRequest {
    StreamRequest::Exec {
        node,
        argv: words.iter().map(|w| (*w).to_owned()).collect(),
        env: BTreeMap::from([("EXTRA".to_owned(), "more".to_owned())]),
        terminal: None,
        stdin,
    }
}

async fn next(pair: &mut StreamPair) -> Option<StreamFrame> {
    tokio::time::timeout(Duration::from_secs(30), pair.from.recv()).await.expect("a frame in time")
}

/// Everything until the end: (stdout, stderr, exit).
pub async fn drain(pair: &mut StreamPair) -> (Vec<u8>, Vec<u8>, i32) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match next(pair).await {
            Some(StreamFrame::Stdout(bytes)) => out.extend_from_slice(&bytes),
            Some(StreamFrame::Stderr(bytes)) => err.extend_from_slice(&bytes),
            Some(StreamFrame::Exit(status)) => return (out, err, status),
            other => panic!("{other:?} after {}", String::from_utf8_lossy(&out)),
        }
    }
}

/// The output of a command that must go well.
pub async fn says(world: &World, node: NodeId, words: &[&str]) -> String {
    let mut pair = world.controller.open(exec(node, words, false)).await;
    let (out, err, status) = drain(&mut pair).await;
    assert_eq!(status, 0, "{words:?}: {}", String::from_utf8_lossy(&err));
    String::from_utf8(out).unwrap()
}

async fn up(world: &World, script: &str) -> NodeId {
    let node = world.node(1, script);
    world.controller.node(&node);
    world.controller.until_node("up", node.id, |n| n.ready).await;
    node.id
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_have_stdin_both_outputs_and_a_status() {
    let Some(world) = World::start().await else { return };
    let node = up(&world, "exec sleep 1000").await;
    let script = "cat; echo $EXTRA >&2; exit 7";
    let mut pair = world.controller.open(exec(node, &["sh", "-c", script], true)).await;
    let big = Bytes::from(vec![b'x'; 50_000]);
    for _ in 0..20 {
        pair.to.send(StreamFrame::Stdin(big.clone())).await.unwrap();
    }
    pair.to.send(StreamFrame::StdinEnd).await.unwrap();
    let (out, err, status) = drain(&mut pair).await;
    assert_eq!((out.len(), err.as_slice(), status), (1_000_000, b"more\n".as_slice(), 7));
    let mut pair = world.controller.open(exec(node, &["sh", "-c", "kill -9 $$"], false)).await;
    assert_eq!(drain(&mut pair).await.2, 137);
    for (program, words, expected) in
        [("no-such-program", "not found", 127), ("/etc/hostname", "cannot be executed", 126)]
    {
        let mut pair = world.controller.open(exec(node, &[program], false)).await;
        let (_, err, status) = drain(&mut pair).await;
        let err = String::from_utf8(err).unwrap();
        assert!(err.contains(words) && err.contains(program) && status == expected, "{err} {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_has_a_terminal_and_closing_the_stream_kills_the_command() {
    let Some(world) = World::start().await else { return };
    let node = up(&world, "exec sleep 1000").await;
    let size = TerminalSize { columns: 91, rows: 33 };
    let request = StreamRequest::Exec {
        node,
        argv: Vec::new(),
        env: BTreeMap::from([("TERM".to_owned(), "dumb".to_owned())]),
        terminal: Some(size),
        stdin: true,
    };
    let mut pair = world.controller.open(request).await;
    pair.to.send(StreamFrame::Resize(TerminalSize { columns: 77, rows: 22 })).await.unwrap();
    pair.to.send(StreamFrame::Stdin(Bytes::from_static(b"sleep 0.3; stty size; exit 5\n"))).await.unwrap();
    let (out, _, status) = drain(&mut pair).await;
    let out = String::from_utf8_lossy(&out).into_owned();
    assert!(out.contains("22 77"), "{out}");
    assert_eq!(status, 5);
    let mut pair = world.controller.open(exec(node, &["sh", "-c", "echo on; exec sleep 4242"], false)).await;
    assert_eq!(next(&mut pair).await, Some(StreamFrame::Stdout(Bytes::from_static(b"on\n"))));
    drop(pair);
    let looked = "for i in $(seq 100); do n=0; for f in /proc/[0-9]*/cmdline; do \
        tr '\\0' ' ' < $f 2>/dev/null | grep -q '^sleep 4242' && n=1; done; [ $n = 0 ] && exit 0; sleep 0.1; done; exit 1";
    says(&world, node, &["sh", "-c", looked]).await;
}

/// Follows the log until so many lines were kept.
async fn says_all_lines(world: &World, node: NodeId, lines: usize) {
    let request = StreamRequest::Logs { node, since: None, until: None, tail: None, follow: true };
    let mut pair = world.controller.open(request).await;
    for _ in 0..lines {
        assert!(matches!(next(&mut pair).await, Some(StreamFrame::Line(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_from_the_end_and_followed() {
    let Some(world) = World::start().await else { return };
    let script = "for i in 1 2 3 4 5; do echo line $i; done; while [ ! -e /tmp/go ]; do sleep 0.05; done; \
        echo more >&2; exec sleep 1000";
    let node = up(&world, script).await;
    let request = StreamRequest::Logs { node, since: None, until: None, tail: Some(2), follow: true };
    says_all_lines(&world, node, 5).await;
    let mut pair = world.controller.open(request).await;
    let mut texts = Vec::new();
    for n in 0..3 {
        if n == 2 {
            says(&world, node, &["touch", "/tmp/go"]).await;
        }
        match next(&mut pair).await {
            Some(StreamFrame::Line(line)) => {
                texts.push((line.text, line.stderr, line.at > 1_000_000_000_000))
            }
            other => panic!("{other:?}"),
        }
    }
    let expected = [("line 4", false), ("line 5", false), ("more", true)];
    assert_eq!(texts, expected.map(|(text, stderr)| (text.to_owned(), stderr, true)));
    let request = StreamRequest::Logs { node, since: None, until: Some(1), tail: None, follow: false };
    let mut pair = world.controller.open(request).await;
    assert_eq!(next(&mut pair).await, Some(StreamFrame::Exit(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_come_out_again_and_ports_are_carried() {
    let Some(world) = World::start().await else { return };
    let server = "mkdir -p /tmp/in; exec python3 -m http.server 8080 --directory /tmp/in 2>/dev/null";
    let mut entry = world.node(1, server);
    entry.spec.check = Some(crate::world::check(lace_model::check::Probe::Tcp { port: 8080 }));
    world.controller.node(&entry);
    let node = world.controller.until_node("listening", entry.id, |n| n.ready).await.id;
    let mut archive = tar(&[("hello.txt", b"hello there")]);
    let mut pair = world.controller.open(StreamRequest::CopyIn { node, path: "/tmp/in/".into() }).await;
    pair.to.send(StreamFrame::Stdin(archive.split_off(0).into())).await.unwrap();
    pair.to.send(StreamFrame::StdinEnd).await.unwrap();
    assert_eq!(drain(&mut pair).await.2, 0);
    assert_eq!(says(&world, node, &["cat", "/tmp/in/hello.txt"]).await, "hello there");
    let mut pair = world.controller.open(StreamRequest::CopyOut { node, path: "/tmp/in".into() }).await;
    let (out, _, status) = drain(&mut pair).await;
    assert_eq!(status, 0);
    assert!(out.windows(11).any(|w| w == b"hello there"));
    let mut pair = world.controller.open(StreamRequest::CopyOut { node, path: "/no/such".into() }).await;
    assert!(matches!(next(&mut pair).await, Some(StreamFrame::Failed(_))));
    let mut pair = world.controller.open(StreamRequest::Forward { node, port: 8080 }).await;
    let get = Bytes::from_static(b"GET /hello.txt HTTP/1.0\r\n\r\n");
    pair.to.send(StreamFrame::Stdin(get)).await.unwrap();
    let (out, _, _) = drain(&mut pair).await;
    assert!(String::from_utf8_lossy(&out).ends_with("hello there"));
    let mut pair = world.controller.open(StreamRequest::Forward { node, port: 9 }).await;
    assert!(matches!(next(&mut pair).await, Some(StreamFrame::Failed(_))));
}

/// A tar archive (ustar) of small files, by hand.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut head = [0; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(b"0000644");
        head[108..115].copy_from_slice(b"0000000");
        head[116..123].copy_from_slice(b"0000000");
        head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        head[136..147].copy_from_slice(b"00000000000");
        head[148..156].copy_from_slice(b"        ");
        head[156] = b'0';
        head[257..263].copy_from_slice(b"ustar\0");
        head[263..265].copy_from_slice(b"00");
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&head);
        archive.extend_from_slice(content);
        archive.resize(archive.len().div_ceil(512) * 512, 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
