//! Whose fault it is: a node is left alone for what it did, never for what its client did; and what may be sent again.

use crate::backend::{Backend, Said};
use crate::balance::occupy;
use crate::door::{Door, HOST, WAIT, line, shop};
use crate::traffic::until;
use crate::world::own_address;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What a node may take for its answer in these tests.
const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// A client that takes longer than that for a part of its upload.
const PAUSE: Duration = Duration::from_millis(350);

/// A node that takes every request and, while it breaks off, answers none of them.
struct Fickle {
    at: SocketAddr,
    breaks_off: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Fickle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fickle {
    async fn start(ip: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((ip, 18_080)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (breaks_off, seen) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
        let (breaks, count) = (Arc::clone(&breaks_off), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(fickle(stream, Arc::clone(&breaks), Arc::clone(&count)));
            }
        });
        Self { at, breaks_off, seen, task }
    }
}

async fn fickle(mut stream: TcpStream, breaks_off: Arc<AtomicBool>, seen: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        seen.fetch_add(1, Ordering::SeqCst);
        if breaks_off.load(Ordering::SeqCst) {
            return;
        }
        if String::from_utf8_lossy(&head).contains("upgrade: shout") {
            let over = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n";
            stream.write_all(over).await.unwrap();
            while let Ok(1..) = stream.read(&mut [0; 64]).await {}
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nfickle\n").await.unwrap();
        head.clear();
    }
}

fn chunked() -> String {
    format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
}

/// Everything that is answered.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an end in time").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// An upload whose client takes longer than the node may.
async fn uploads_slowly(door: &Door) -> String {
    let mut stream = door.connect().await;
    stream.write_all(chunked().as_bytes()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"3\r\nabc\r\n").await.unwrap();
        sleep(PAUSE).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    rest(stream).await
}

#[tokio::test]
async fn a_slow_upload_is_not_the_nodes_time() {
    let door = Door::open(|config| config.proxy.limits.answer_within = ANSWER_WITHIN).await;
    // It says its first word when it has the whole body.
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    door.ready(1, &[&node]).await;
    let answer = uploads_slowly(&door).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("abcabcabc"), "{answer}");
    // One that reads everything and says nothing is late all the same.
    let silent = Backend::start(own_address(), 18_080, Said::Late).await;
    door.ready(2, &[&silent]).await;
    let answer = uploads_slowly(&door).await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("x-lace-fault: timeout"), "{answer}");
    // And so is one that does not even take the body.
    let deaf = Backend::start(own_address(), 18_080, Said::Nothing).await;
    door.ready(3, &[&deaf]).await;
    let mut stream = door.connect().await;
    let much = vec![b'x'; 32 << 20];
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {}\r\n\r\n", much.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let writes = tokio::spawn(async move { drop(to.write_all(&much).await) });
    let mut status = [0; 12];
    timeout(WAIT, from.read_exact(&mut status)).await.expect("an answer in time").unwrap();
    assert_eq!(&status, b"HTTP/1.1 504");
    timeout(WAIT, writes).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn uploads_that_their_clients_break_off_leave_no_node_alone() {
    let node = Backend::start(own_address(), 18_080, Said::Late).await;
    let door = Door::with(&[&node]).await;
    const TIMES: u64 = 4;
    for _ in 0..TIMES {
        let answer = door.raw(&format!("{}3\r\nabc\r\nno chunk\r\n", chunked())).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("x-lace-fault: upload-broken"), "{answer}");
    }
    for _ in 0..TIMES {
        let mut stream = door.connect().await;
        stream.write_all(format!("{}3\r\nabc\r\n", chunked()).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(stream).await;
    }
    let traffic =
        until(&door, |t| t.routes.iter().all(|s| s.carried.open == 0 && s.carried.received == 2 * TIMES * 3));
    let traffic = traffic.await;
    assert!(traffic.avoided.is_empty(), "{traffic:#?}");
    assert!(traffic.nodes.iter().all(|node| node.carried.faults.is_empty()), "{traffic:#?}");
}

#[tokio::test]
async fn a_node_that_was_left_alone_comes_back_though_a_tunnel_is_open() {
    let good = Backend::start(own_address(), 18_080, Said::Who).await;
    let node = Fickle::start(own_address()).await;
    let door = Door::open(|_| {}).await;
    let alone = [line(1, "ready", node.at.ip())];
    door.world.client().put(shop(1, 18_080, &alone)).await.unwrap();
    node.breaks_off.store(false, Ordering::SeqCst);
    let _tunnel = occupy(&door).await;
    node.breaks_off.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let post = format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\nx: 1\r\nconnection: close\r\n\r\n"
        );
        assert!(door.raw(&post).await.starts_with("HTTP/1.1 502"));
    }
    let both = [line(1, "ready", node.at.ip()), line(2, "ready", good.at.ip())];
    door.world.client().put(shop(2, 18_080, &both)).await.unwrap();
    assert_eq!(until(&door, |t| t.avoided.len() == 1).await.avoided[0].failures, 3);
    node.breaks_off.store(false, Ordering::SeqCst);
    let back = async { while !door.get(HOST, "/").await.1.ends_with("fickle\n") {} };
    timeout(WAIT, back).await.expect("it is tried again");
    until(&door, |t| t.avoided.is_empty()).await;
}

#[tokio::test]
async fn what_a_node_broke_off_is_sent_again_only_where_that_is_safe() {
    let bad = Fickle::start(own_address()).await;
    let good = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    let lines = [line(1, "ready", bad.at.ip()), line(2, "ready", good.at.ip())];
    door.world.client().put(shop(1, 18_080, &lines)).await.unwrap();
    let met = async {
        while bad.seen.load(Ordering::SeqCst) < 2 {
            let (status, answer) = door.get(HOST, "/").await;
            assert!(status == 200 && answer.contains("on "), "the other one answers: {answer}");
        }
    };
    timeout(WAIT, met).await.expect("it is asked now and then");
    // A POST may have had its effect: it is given to one node, once, and its client is told.
    door.world.client().put(shop(2, 18_080, &lines[..1])).await.unwrap();
    bad.seen.store(0, Ordering::SeqCst);
    let post =
        format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc");
    let answer = door.raw(&post).await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("x-lace-fault: broken-off"), "{answer}");
    assert_eq!(bad.seen.load(Ordering::SeqCst), 1, "once");
}
