//! A client that reads slowly gets every byte of its answer, and the next answer after it.

use crate::door::{Door, HOST, WAIT, line, shop};
use crate::world::own_address;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Longer than a quiet connection keeps what hyper holds for it.
const PAUSE: Duration = Duration::from_millis(700);

/// Answers as many bytes as the path says, on connections that stay.
async fn node() -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 18_081)).await.expect("bound");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    at
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&head).into_owned();
            let length: usize = text.split(['/', ' ']).nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
            let head_of = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let whole = [head_of.into_bytes(), vec![b'x'; length]].concat();
            if stream.write_all(&whole).await.is_err() {
                return;
            }
            head.clear();
        }
    }
}

/// Asks, waits, and reads the answer in small pieces with a pause before the first and somewhere near the end.
async fn reads_slowly(stream: &mut TcpStream, length: usize) {
    let request = format!("GET /{length} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    sleep(PAUSE).await;
    let (mut got, mut body, mut paused) = (Vec::new(), None, false);
    loop {
        if let Some(at) = body {
            let here = got.len() - at;
            if here >= length {
                assert_eq!(here, length, "nothing beyond it");
                assert!(got[at..].iter().all(|byte| *byte == b'x'), "nothing else within it");
                return;
            }
            if here + 40_000 > length && !paused {
                paused = true;
                sleep(PAUSE).await;
            }
        }
        let mut some = [0; 2048];
        let read = timeout(WAIT, stream.read(&mut some)).await.expect("in time").expect("read");
        assert!(read > 0, "closed after {} of {length} bytes", got.len());
        got.extend_from_slice(&some[..read]);
        body = body.or_else(|| got.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4));
    }
}

#[tokio::test]
async fn who_reads_slowly_gets_every_byte_and_the_next_answer_after_it() {
    let at = node().await;
    let door = Door::open(|_| {}).await;
    let topic = shop(1, at.port(), &[line(1, "ready", at.ip())]);
    door.world.client().put(topic).await.expect("put");
    // What fits nowhere, and what fits into hyper's buffer and no socket's.
    for length in [30_000, 90_000, 300_000, 3_000_000] {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("small");
        let mut stream = socket.connect(door.at).await.expect("connected");
        reads_slowly(&mut stream, length).await;
        reads_slowly(&mut stream, 1_000).await;
    }
}
