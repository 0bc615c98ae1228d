//! Clients of h2 that break its rules, and clients that are many or slow: others are served meanwhile.

use crate::backend::{Backend, Said};
use crate::door::{Door, HOST, WAIT, line, shop};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_STREAM, Fate, Frames, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    fields, frame, head,
};
use crate::witness::Witness;
use crate::world::own_address;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "web.shop.localhost"), (":path", "/")];

fn with<'a>(change: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let mut lines: Vec<_> = GET.into_iter().filter(|(name, _)| *name != change.0).collect();
    // Those of the request itself stand before all others.
    if change.0.starts_with(':') {
        lines.insert(0, change)
    } else {
        lines.push(change)
    }
    lines
}

#[tokio::test]
async fn a_head_of_h2_cannot_become_two_of_http_1() {
    let node = Witness::start(own_address(), 18_080).await;
    let door = Door::open(|_| {}).await;
    let topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
    door.world.client().put(topic).await.unwrap();
    let smuggled = "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled";
    let table = [
        ("a good one", GET.to_vec(), true),
        ("TE", with(("transfer-encoding", "chunked")), false),
        ("connection", with(("connection", "close")), false),
        ("upgrade", with(("upgrade", "websocket")), false),
        ("te of another sort", with(("te", "gzip")), false),
        ("CRLF in a value", with(("x", "1\r\nGET /smuggled HTTP/1.1")), false),
        ("LF in a value", with(("x", "1\nGET /smuggled HTTP/1.1")), false),
        ("NUL in a value", with(("x", "1\0")), false),
        ("a colon in a name", with(("x: 1\r\ny", "1")), false),
        ("a space in a name", with(("x y", "1")), false),
        ("capitals in a name", with(("X-Custom", "1")), false),
        ("a head in the path", with((":path", smuggled)), false),
        ("a space in the path", with((":path", "/a b")), false),
        ("an empty path", with((":path", "")), false),
        ("a head in the method", with((":method", "GET / HTTP/1.1\r\nx: ")), false),
        ("a head in the authority", with((":authority", "a\r\nx: 1")), false),
        ("a user in the authority", with((":authority", "a@web.shop.localhost")), false),
        ("an unknown field of the request", with((":x", "1")), false),
        ("no method", GET[1..].to_vec(), false),
        ("a second path", [GET.as_slice(), &[(":path", "/b")]].concat(), false),
    ];
    for (name, lines, is_good) in table {
        let mut frames = Frames::open(door.connect().await).await;
        frames.send(&head(1, END_STREAM, &lines)).await.unwrap();
        let fate = frames.fate(1).await;
        let seen = node.take().unwrap_or_else(|rule| panic!("{name}: the node got {rule}"));
        assert_eq!(seen.len(), usize::from(is_good), "{name}: {fate:?} {seen:?}");
        assert_eq!(fate == Fate::Answered(200), is_good, "{name}: {fate:?}");
    }
}

#[tokio::test]
async fn cookies_of_h2_are_one_field_of_http_1() {
    let node = Witness::start(own_address(), 18_080).await;
    let door = Door::open(|_| {}).await;
    let topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
    door.world.client().put(topic).await.unwrap();
    let mut frames = Frames::open(door.connect().await).await;
    let lines = [GET.as_slice(), &[("cookie", "a=b"), ("x", "1"), ("cookie", "c=d; e=f")]].concat();
    frames.send(&head(1, END_STREAM, &lines)).await.unwrap();
    assert_eq!(frames.fate(1).await, Fate::Answered(200));
    let seen = node.take().unwrap();
    assert_eq!(seen[0].all("cookie"), ["a=b; c=d; e=f"], "{seen:?}");
}

#[tokio::test]
async fn a_body_of_h2_is_as_long_as_it_says() {
    let node = Witness::start(own_address(), 18_080).await;
    let door = Door::open(|_| {}).await;
    let topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
    door.world.client().put(topic).await.unwrap();
    let smuggled = b"abcGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for (name, length, body, is_good) in [
        ("good", "3", &smuggled[..3], true),
        ("longer", "3", &smuggled[..], false),
        ("shorter", "30", &smuggled[..3], false),
        ("no number", "x", &smuggled[..3], false),
    ] {
        let mut frames = Frames::open(door.connect().await).await;
        let lines = [&[(":method", "POST")], &GET[1..], &[("content-length", length)]].concat();
        frames.send(&head(1, 0, &lines)).await.unwrap();
        let _ = frames.send(&frame(DATA, END_STREAM, 1, body)).await;
        let fate = frames.fate(1).await;
        let seen = node.take().unwrap_or_else(|rule| panic!("{name}: the node got {rule}"));
        assert!(seen.iter().all(|one| !one.line.contains("smuggled")), "{name}: {seen:?}");
        let whole = seen.iter().filter(|one| one.whole).count();
        assert_eq!(
            (whole, fate == Fate::Answered(200)),
            (usize::from(is_good), is_good),
            "{name}: {fate:?} {seen:?}"
        );
    }
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_connection_only() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("data of no stream", frame(DATA, 0, 0, b"x")),
        ("data before a head", frame(DATA, 0, 1, b"x")),
        ("a head of an even stream", head(2, END_STREAM, &GET)),
        ("a continuation of nothing", frame(CONTINUATION, 0, 1, b"")),
        ("settings of a strange length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("a window that grows by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window beyond all numbers", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])),
        ("a ping of a strange length", frame(PING, 0, 0, &[0; 7])),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("a frame beyond the limit", frame(DATA, 0, 1, &[0; 20_000])),
        ("a block that is none", frame(HEADERS, 5, 1, &[0xff; 20])),
        (
            "a head that depends on itself",
            frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 1, 0][..], &fields(&GET)].concat()),
        ),
    ];
    for (name, bytes) in table {
        let mut frames = Frames::open(door.connect().await).await;
        let _ = frames.send(&bytes).await;
        let fate = frames.fate(1).await;
        assert!(matches!(fate, Fate::Closed | Fate::Reset), "{name}: {fate:?}");
        assert_eq!(door.get(HOST, "/").await.0, 200, "{name}: others are served");
    }
}

/// Sends until the door has enough of it, at most so often; says how often.
async fn flood(door: &Door, rounds: u32, of: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut frames = Frames::open(door.connect().await).await;
    for round in 0..rounds {
        let sent = timeout(Duration::from_secs(5), frames.send(&of(round))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return round;
        }
    }
    rounds
}

#[tokio::test]
async fn floods_of_h2_are_ended_and_others_are_served() {
    let node = Backend::start(own_address(), 18_080, Said::Nothing).await;
    let good = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    // Rapid reset (CVE-2023-44487): each stream is taken back at once.
    let resets = |round: u32| {
        let ids = (round * 100..round * 100 + 100).map(|n| 2 * n + 1);
        ids.flat_map(|id| [head(id, END_STREAM, &GET), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat())
            .collect()
    };
    let rounds = flood(&door, 1_000, resets).await;
    assert!(rounds < 1_000, "100,000 resets were taken");
    // A head without an end (CVE-2024-27316).
    let endless = |round: u32| match round {
        0 => frame(HEADERS, END_STREAM, 1, &fields(&GET)),
        _ => frame(CONTINUATION, 0, 1, &fields(&[("x-more", &"a".repeat(100))]).repeat(100)),
    };
    let rounds = flood(&door, 10_000, endless).await;
    assert!(rounds < 10_000, "100 MB of head were taken");
    // Questions whose answers nobody reads (CVE-2019-9512, CVE-2019-9515).
    let pings = |_| frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    flood(&door, 300, pings).await;
    let settings = |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(1_000);
    flood(&door, 300, settings).await;
    door.ready(2, &[&good]).await;
    assert_eq!(door.get(HOST, "/").await.0, 200, "others are served");
}

/// Answers what must be answered, until the connection ends.
async fn waits_for_the_end(mut frames: Frames) {
    let ended = async {
        while let Some((kind, flags, _, payload)) = frames.next().await {
            if kind == PING && flags & ACK == 0 {
                let _ = frames.send(&frame(PING, ACK, 0, &payload)).await;
            } else if kind == SETTINGS && flags & ACK == 0 {
                let _ = frames.send(&frame(SETTINGS, ACK, 0, &[])).await;
            }
        }
    };
    timeout(WAIT, ended).await.expect("an end in time");
}

#[tokio::test]
async fn clients_of_h2_that_ask_nothing_are_ended_and_those_with_a_stream_stay() {
    let node = Backend::start(own_address(), 18_080, Said::Events).await;
    let echo = Backend::start(own_address(), 18_081, Said::Echo).await;
    let door = Door::open(|config| config.proxy.limits.head_within = Duration::from_millis(1000)).await;
    door.ready(1, &[&node]).await;
    let mut busy = Frames::open(door.connect().await).await;
    busy.send(&head(1, END_STREAM, &GET)).await.unwrap();
    assert_eq!(busy.fate(1).await, Fate::Answered(200));
    door.ready(2, &[&echo]).await;
    // The first word of h2, and nothing more; the same with half a head.
    for beginning in [&b"PRI * HTTP/2.0"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = door.connect().await;
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        timeout(WAIT, stream.read_to_end(&mut rest)).await.expect("an end in time").ok();
    }
    let mut half = Frames::open(door.connect().await).await;
    half.send(&frame(HEADERS, END_STREAM, 1, &fields(&GET))).await.unwrap();
    waits_for_the_end(half).await;
    // One that asked, and answers everything that it is asked since.
    let mut idle = Frames::open(door.connect().await).await;
    idle.send(&head(1, END_STREAM, &GET)).await.unwrap();
    assert_eq!(idle.fate(1).await, Fate::Answered(200));
    waits_for_the_end(idle).await;
    // All that took several times as long as a connection may be idle: a stream on which nothing happened is there.
    node.next.notify_one();
    let event = async {
        loop {
            let (kind, _, stream, payload) = busy.next().await.expect("it is open");
            if (kind, stream) == (DATA, 1) && payload.starts_with(b"data: 0") {
                return;
            }
        }
    };
    timeout(WAIT, event).await.expect("the event");
}

#[tokio::test]
async fn slow_clients_are_ended_and_others_are_served() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|config| {
        config.proxy.limits.head_within = Duration::from_millis(800);
        config.proxy.limits.body_idle = Duration::from_millis(800);
    })
    .await;
    door.ready(1, &[&node]).await;
    let table: [(&str, &[u8]); 4] = [
        ("nothing", b""),
        ("half a line", b"GET / HT"),
        ("a head that goes on", b"GET / HTTP/1.1\r\nhost: web.shop.localhost\r\n"),
        ("half a preface", b"PRI * HTT"),
    ];
    let mut slow = Vec::new();
    for (name, beginning) in table.into_iter().cycle().take(200) {
        let mut stream = door.connect().await;
        stream.write_all(beginning).await.unwrap();
        slow.push((name, stream));
    }
    assert_eq!(door.get(HOST, "/").await.0, 200, "others are served meanwhile");
    for (name, stream) in slow {
        drip(name, stream).await;
    }
    let mut upload = door.connect().await;
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 10\r\n\r\nabc");
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(WAIT, upload.read_to_end(&mut answer)).await.expect("an end").ok();
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

/// A byte now and then does not buy more time.
async fn drip(name: &str, mut stream: TcpStream) {
    let ended = async {
        let mut some = [0; 1024];
        loop {
            match timeout(Duration::from_millis(50), stream.read(&mut some)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return,
                Err(_) if stream.write_all(b"x").await.is_err() => return,
                Err(_) => {}
            }
        }
    };
    assert!(timeout(WAIT, ended).await.is_ok(), "{name} is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_client_of_h2_and_of_http_1_finds_no_fault() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    for more in [&["-m", "20"][..], &["--h1"]] {
        let (url, more) = (format!("http://{}/", door.at), more.to_vec());
        let out = tokio::task::spawn_blocking(move || {
            let mut command = Command::new("h2load");
            command.args(["-n", "500", "-c", "5", "-t", "1"]).args(more);
            command.args(["-H", ":authority: web.shop.localhost", &url]);
            command.output().expect("h2load is there: scripts/install.sh --for test")
        });
        let out = out.await.unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
        assert!(text.contains("status codes: 500 2xx"), "{text}");
    }
}
