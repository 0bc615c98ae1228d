//! The bounds of the door, each through a door: what is too long, too much, too late or too many gets a page that says
//! so, its connection ends, and no node hears of it.

use crate::backend::{Backend, Said};
use crate::client::{Client, Given};
use crate::door::{Door, HOST, WAIT, line, shop};
use crate::witness::Witness;
use crate::world::own_address;
use http_body_util::BodyExt;
use hyper::Request;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Longer than a connection keeps its buffers.
const PAUSE: Duration = Duration::from_millis(400);

/// Everything until the end of the connection, which is not a reset.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an end in time").expect("an orderly end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// One answer of the echo, on a connection that goes on.
async fn one(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_some_and(|length| length.parse() == Ok(body.len())) {
                return text;
            }
        }
        let mut some = [0; 4096];
        let length = timeout(WAIT, stream.read(&mut some)).await.expect("in time").expect("an answer");
        assert!(length > 0, "closed after {text}");
        answer.extend_from_slice(&some[..length]);
    }
}

#[track_caller]
fn is_page(name: &str, answer: &str, (status, code): (u16, &str)) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
    for line in [&format!("x-lace-fault: {code}\r\n"), "connection: close\r\n", "content-type: text/"] {
        assert!(answer.contains(line), "{name}: no {line:?} in {answer}");
    }
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let said = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    assert_eq!(said.map(str::parse), Some(Ok(body.len())), "{name}: {answer}");
}

async fn watched(change: impl FnOnce(&mut lace_edge::NetConfig)) -> (Witness, Door) {
    let node = Witness::start(own_address(), 18_080).await;
    let door = Door::open(change).await;
    let topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
    door.world.client().put(topic).await.unwrap();
    (node, door)
}

/// Heads that nobody should send, and what is answered.
fn bad_heads() -> Vec<(&'static str, String, (u16, &'static str))> {
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{more}\r\n");
    let field = |n: usize| format!("x-{n}: {}\r\n", "v".repeat(100));
    let (long, large, many) = ((414, "line-too-long"), (431, "head-too-large"), 101);
    let unreadable = (400, "head-unreadable");
    vec![
        ("a path of 17 KiB", get(&format!("/{}", "a".repeat(17 << 10)), ""), long),
        ("a path of 100 KiB", get(&format!("/{}", "a".repeat(100 << 10)), ""), long),
        ("a line that does not end", format!("GET /{}", "a".repeat(2 << 20)), long),
        ("a head of 110 KB", get("/", &(0..99).map(|n| field(n).repeat(10)).collect::<String>()), large),
        ("a head that does not end", format!("GET / HTTP/1.1\r\n{}", field(1).repeat(20_000)), large),
        ("one field of 100 KiB", get("/", &format!("x: {}\r\n", "v".repeat(100 << 10))), large),
        ("a field too many", get("/", &(0..many).map(field).collect::<String>()), large),
        ("no field", get("/", "nothing\r\n"), unreadable),
        ("no request", "hello\r\n\r\n".to_owned(), unreadable),
        ("no version", get("/", "").replace("HTTP/1.1", "HTTP/9.9"), unreadable),
        ("a handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\x02\x03\r\n\r\n".to_owned(), unreadable),
    ]
}

#[tokio::test]
async fn a_head_beyond_its_bounds_gets_a_page_and_reaches_no_node() {
    let (node, door) = watched(|_| {}).await;
    let good = format!("GET /good HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    for (name, bytes, expected) in bad_heads() {
        // At once, and behind a good one that is asked for in the same breath.
        for before in ["", &good] {
            let mut stream = door.connect().await;
            let (mut from, mut to) = stream.split();
            let all = format!("{before}{bytes}");
            // The door may have enough of it before the client has sent all.
            let (_, answer) = tokio::join!(to.write_all(all.as_bytes()), rest(&mut from));
            let last = answer.rfind("HTTP/1.1 ").expect("an answer");
            let page = if before.is_empty() { &answer[..] } else { &answer[last..] };
            is_page(name, page, expected);
            assert_eq!(answer.starts_with("HTTP/1.1 200"), !before.is_empty(), "{name}: {answer}");
            let seen = node.take().unwrap_or_else(|rule| panic!("{name}: the node got {rule}"));
            assert_eq!(seen.len(), usize::from(!before.is_empty()), "{name}: {seen:?}");
        }
    }
    let traffic = door.world.client().traffic().await.unwrap();
    assert_eq!(traffic.stray.faults["head-unreadable"], 8, "they are counted: {:?}", traffic.stray);
    assert_eq!(door.get(HOST, "/").await.0, 200, "others are served");
}

#[tokio::test]
async fn a_browser_gets_html_and_others_plain_text() {
    let (_node, door) = watched(|_| {}).await;
    for (accept, kind, begins) in
        [("text/html,*/*", "text/html", "<!doctype html>"), ("*/*", "text/plain", "431 ")]
    {
        let more = format!("x: {}\r\n", "v".repeat(100 << 10));
        let head = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: {accept}\r\n{more}\r\n");
        let answer = door.raw(&head).await;
        is_page(accept, &answer, (431, "head-too-large"));
        assert!(answer.contains(&format!("content-type: {kind}; charset=utf-8\r\n")), "{answer}");
        assert!(answer.contains(&format!("\r\n\r\n{begins}")), "{answer}");
    }
}

#[tokio::test]
async fn a_head_of_h2_beyond_its_bounds_gets_a_page() {
    let (node, door) = watched(|_| {}).await;
    let mut client = Client::h2(door.connect().await).await;
    let uri = |path: &str| format!("http://{HOST}{path}");
    let mut many = Request::get(uri("/"));
    for n in 0..101 {
        many = many.header(format!("x-{n}"), "v");
    }
    let large = Request::get(uri("/")).header("x", "v".repeat(40 << 10)).header("y", "v".repeat(40 << 10));
    let long = Request::get(uri(&format!("/{}", "a".repeat(17 << 10))));
    for (builder, expected) in [(many, 431), (large, 431), (long, 414), (Request::get(uri("/")), 200)] {
        let response = client.send(builder.body(Given::Nothing).unwrap()).await;
        assert_eq!(response.status(), expected);
        let page = response.into_body().collect().await.unwrap().to_bytes();
        assert!(expected == 200 || page.starts_with(expected.to_string().as_bytes()), "{page:?}");
    }
    assert_eq!(node.take().expect("good ones").len(), 1);
}

#[tokio::test]
async fn a_head_that_does_not_come_gets_a_page_and_silence_gets_none() {
    let within = Duration::from_millis(600);
    let (node, door) = watched(|config| config.proxy.limits.head_within = within).await;
    let good = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let half = format!("GET /half HTTP/1.1\r\nhost: {HOST}\r\n");
    for (before, beginning, expected) in [
        ("", half.as_str(), 408),
        ("", "G", 408),
        ("", "P", 408),
        ("", "", 0),
        (&good, half.as_str(), 408),
        (&good, "", 0),
    ] {
        let mut stream = door.connect().await;
        if !before.is_empty() {
            stream.write_all(before.as_bytes()).await.unwrap();
            one_of_witness(&mut stream).await;
        }
        let begun = tokio::time::Instant::now();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(begun.elapsed() >= within, "{beginning:?} had its time");
        if expected == 0 {
            assert_eq!(answer, "", "nothing was asked, nothing is said");
        } else {
            is_page(beginning, &answer, (408, "head-late"));
        }
    }
    let seen = node.take().expect("good ones");
    assert!(seen.iter().all(|one| !one.line.contains("half")), "{seen:?}");
}

/// The witness says few words.
async fn one_of_witness(stream: &mut TcpStream) {
    let mut some = [0; 1024];
    let length = timeout(WAIT, stream.read(&mut some)).await.expect("in time").expect("an answer");
    assert!(some[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some[..length]));
}

#[tokio::test]
async fn a_body_above_its_limit_gets_a_page_and_no_node_takes_it_for_whole() {
    let (node, door) = watched(|config| config.proxy.limits.body_bytes_max = 100_000).await;
    let said = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 3000000\r\n\r\n");
    let chunked = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for (name, head, body) in [
        ("a length that says so", &said, "x".repeat(3_000_000)),
        ("chunks that become too many", &chunked, format!("{}0\r\n\r\n", chunk.repeat(40))),
    ] {
        let mut stream = door.connect().await;
        let (mut from, mut to) = stream.split();
        let all = format!("{head}{body}");
        let (_, answer) = tokio::join!(to.write_all(all.as_bytes()), rest(&mut from));
        is_page(name, &answer, (413, "too-large"));
        let seen = node.take().unwrap_or_default();
        assert!(seen.iter().all(|one| !one.whole), "{name}: {} requests", seen.len());
    }
    let fits =
        format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 100000\r\nconnection: close\r\n\r\n");
    let answer = door.raw(&format!("{fits}{}", "x".repeat(100_000))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "what is allowed is allowed: {answer}");
}

#[tokio::test]
async fn a_pause_takes_nothing_from_anybody() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let mut stream = door.connect().await;
    let (first, second) = (ask("/1"), ask("/2"));
    let (half, rest_of) = second.split_at(20);
    for part in [first.as_str(), half] {
        stream.write_all(part.as_bytes()).await.unwrap();
    }
    assert!(one(&mut stream).await.contains("GET /1 "), "the whole one is answered");
    sleep(PAUSE).await;
    stream.write_all(rest_of.as_bytes()).await.unwrap();
    assert!(one(&mut stream).await.contains("GET /2 "), "half a head was kept over a pause");
    for path in ["/3", "/4"] {
        sleep(PAUSE).await;
        stream.write_all(ask(path).as_bytes()).await.unwrap();
        assert!(one(&mut stream).await.contains(&format!("GET {path} ")), "the connection goes on");
    }
    let head = format!("POST /5 HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 6\r\n\r\nabc");
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(PAUSE).await;
    stream.write_all(b"def").await.unwrap();
    assert!(one(&mut stream).await.ends_with("abcdef"), "an upload may pause");
}

#[tokio::test]
async fn connections_have_a_bound_and_who_comes_too_many_is_told() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|config| config.proxy.limits.connections_max = 3).await;
    door.ready(1, &[&node]).await;
    let good = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let mut open = Vec::new();
    while open.len() < 3 {
        let mut stream = door.connect().await;
        stream.write_all(good.as_bytes()).await.unwrap();
        // The test's own first look at the door may not have left yet.
        let mut some = [0; 4096];
        let length = timeout(WAIT, stream.read(&mut some)).await.expect("in time").expect("an answer");
        if some[..length].starts_with(b"HTTP/1.1 200") {
            open.push(stream);
        }
    }
    let page = door.raw(&good).await;
    is_page("the fourth", &page, (503, "too-many"));
    assert!(
        page.contains("retry-after: 2\r\n") && page.contains("too many connections are open here"),
        "{page}"
    );
    drop(open.pop());
    let until = tokio::time::Instant::now() + WAIT;
    while door.get(HOST, "/").await.0 != 200 {
        assert!(tokio::time::Instant::now() < until, "a place that was given back is taken again");
    }
    let traffic = door.world.client().traffic().await.unwrap();
    assert!(traffic.stray.faults["too-many"] >= 1, "{:?}", traffic.stray);
}

/// This thread alone gets a network of its own, in which addresses are not the machine's loopback.
fn own_network(addresses: &[&str]) {
    // SAFETY: no file or directory that this thread shares with others changes.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
        .expect("a network of its own");
    let ip = |words: &[&str]| {
        let done = Command::new("ip").args(words).status().expect("ip is there");
        assert!(done.success(), "ip {words:?}");
    };
    ip(&["link", "set", "lo", "up"]);
    addresses.iter().for_each(|address| ip(&["address", "add", address, "dev", "lo"]));
}

async fn from(address: &str, to: std::net::SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    timeout(WAIT, socket.connect(to)).await.expect("in time").expect("connected")
}

#[test]
fn one_client_cannot_take_the_places_of_others() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a network of its own wants root");
        return;
    }
    own_network(&["203.0.113.1/32", "203.0.113.2/32", "203.0.113.9/32"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let at = "203.0.113.9:17480".parse().unwrap();
        let node = Backend::start(own_address(), 18_080, Said::Echo).await;
        let door = Door::open(|config| {
            config.proxy.listen = vec![config.proxy.listen[0], at];
            config.proxy.limits.connections_per_client = 2;
        })
        .await;
        let topic = shop(1, 18_080, &[line(1, "ready", node.at.ip())]);
        let route = lace_model::route::RouteSpec {
            host: Some("shop.example.com".into()),
            ..lace_model::route::RouteSpec::new(18_080)
        };
        let doors = lace_model::document::Doors { routes: vec![route], ..Default::default() };
        let topic =
            lace_model::document::Topic { doors: [("shop/web".parse().unwrap(), doors)].into(), ..topic };
        door.world.client().put(topic).await.unwrap();
        let good = "GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n";
        let mut greedy = Vec::new();
        for _ in 0..2 {
            let mut stream = from("203.0.113.1", at).await;
            stream.write_all(good.as_bytes()).await.unwrap();
            assert!(one(&mut stream).await.starts_with("HTTP/1.1 200"));
            greedy.push(stream);
        }
        let mut third = from("203.0.113.1", at).await;
        third.write_all(good.as_bytes()).await.unwrap();
        let page = rest(&mut third).await;
        is_page("the third of one client", &page, (503, "too-many-of-client"));
        assert!(page.contains("from your address"), "{page}");
        let mut other = from("203.0.113.2", at).await;
        other.write_all(good.as_bytes()).await.unwrap();
        assert!(one(&mut other).await.starts_with("HTTP/1.1 200"), "others have theirs");
        drop(greedy.pop());
        let until = tokio::time::Instant::now() + WAIT;
        loop {
            let mut again = from("203.0.113.1", at).await;
            again.write_all(good.as_bytes()).await.unwrap();
            if one(&mut again).await.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "a place that was given back is taken again");
        }
    });
}
