//! Requests that two readers could read in two ways, and heads that claim what is not so: the table is what clients
//! send, the judge is what a node got, byte by byte.

use crate::door::{Door, WAIT, line, shop};
use crate::witness::{Seen, Witness};
use crate::world::own_address;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A request inside another one's body or head: it must never become one of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: web.shop.localhost\r\n\r\n";

/// What does not come within this time after the first bytes of an answer, does not come.
const QUIET: Duration = Duration::from_millis(300);

/// What shall become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No node sees it, and the client is told so with this status.
    Refused(u16),
    /// One node sees one request with this body.
    Passed(&'static str),
    /// A node may have seen its beginning, and never an end.
    Torn,
}
use Fate::{Passed, Refused, Torn};

struct Scene {
    door: Door,
    node: Witness,
}

impl Scene {
    async fn open() -> Self {
        let node = Witness::start(own_address(), 18_080).await;
        let door = Door::open(|_| {}).await;
        let topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
        door.world.client().put(topic).await.unwrap();
        Self { door, node }
    }

    /// Everything that the client gets until the connection ends, or nothing more comes. A client that goes away is one
    /// that wants nothing any more: only requests that are torn end like that.
    async fn send(&self, bytes: &[u8], goes_away: bool) -> String {
        let mut stream = self.door.connect().await;
        let _ = stream.write_all(bytes).await;
        if goes_away {
            let _ = stream.shutdown().await;
        }
        let (mut answer, mut some, mut patience) = (Vec::new(), [0; 4096], WAIT);
        while let Ok(Ok(length @ 1..)) = timeout(patience, stream.read(&mut some)).await {
            answer.extend_from_slice(&some[..length]);
            patience = QUIET;
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn check(&self, name: &str, bytes: &[u8], fate: Fate) {
        if fate == Torn {
            // Its beginning may reach the node when the client has long gone: that node is nobody else's.
            return Self::open().await.judge(name, bytes, fate).await;
        }
        self.judge(name, bytes, fate).await;
    }

    async fn judge(&self, name: &str, bytes: &[u8], fate: Fate) {
        let answer = self.send(bytes, fate == Torn).await;
        let seen = self.node.take().unwrap_or_else(|rule| panic!("{name}: the node got {rule}"));
        assert!(seen.iter().all(|one| !one.line.contains("smuggled")), "{name}: smuggled: {seen:?}");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
        match fate {
            Refused(expected) => {
                assert_eq!((status, seen.as_slice()), (Some(expected), [].as_slice()), "{name}: {answer}");
            }
            Passed(body) => {
                assert_eq!((status, seen.len()), (Some(200), 1), "{name}: {answer} {seen:?}");
                assert_eq!(String::from_utf8_lossy(&seen[0].body), body, "{name}");
                assert!(seen[0].whole, "{name}: {seen:?}");
            }
            Torn => assert!(seen.iter().all(|one| !one.whole) && seen.len() <= 1, "{name}: {seen:?}"),
        }
    }
}

fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: web.shop.localhost\r\n{headers}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_body_has_one_end() {
    let scene = Scene::open().await;
    let zero = format!("0\r\n\r\n{SMUGGLED}");
    let both = |first: &str, second: &str| post(&format!("{first}\r\n{second}"), &zero);
    let (length, chunked) = ("Content-Length: 70", "Transfer-Encoding: chunked");
    let table: Vec<(&str, String, Fate)> = vec![
        ("CL.TE", both(length, chunked), Passed("")),
        ("TE.CL", both(chunked, length), Passed("")),
        ("TE of another sort", post("Transfer-Encoding: xchunked", &zero), Refused(400)),
        ("TE, chunked not last", post("Transfer-Encoding: chunked, identity", &zero), Refused(400)),
        ("TE twice", both(chunked, "Transfer-Encoding: identity"), Refused(400)),
        ("TE with a space before the colon", post("Transfer-Encoding : chunked", &zero), Refused(400)),
        ("TE with a vertical tab", post("Transfer-Encoding: \x0bchunked", &zero), Refused(400)),
        ("TE with a NUL", post("Transfer-Encoding: chunked\0", &zero), Refused(400)),
        ("TE in quotes", post("Transfer-Encoding: \"chunked\"", &zero), Refused(400)),
        ("TE in a folded line", post("X: a\r\n Transfer-Encoding: chunked", ""), Refused(400)),
        ("TE after a lone CR", post("X: a\rTransfer-Encoding: chunked", ""), Refused(400)),
        ("CL that differs", both("Content-Length: 3", "Content-Length: 4"), Refused(400)),
        ("CL as a list", post("Content-Length: 3, 3", "abc"), Refused(400)),
        ("CL with a sign", post("Content-Length: +3", "abc"), Refused(400)),
        ("CL below nothing", post("Content-Length: -3", "abc"), Refused(400)),
        ("CL in another base", post("Content-Length: 0x3", "abc"), Refused(400)),
        ("CL with a space inside", post("Content-Length: 3 4", "abc"), Refused(400)),
        ("CL of nothing", post("Content-Length:", "abc"), Refused(400)),
        ("CL beyond all numbers", post("Content-Length: 99999999999999999999", "abc"), Refused(400)),
        ("CL said twice alike", both("Content-Length: 3", "Content-Length: 3"), Passed("0\r\n")),
        (
            "a request in a body",
            post(&format!("Content-Length: {}", SMUGGLED.len()), SMUGGLED),
            Passed(SMUGGLED),
        ),
        ("a body that is too short", post("Content-Length: 10", "abc"), Torn),
        (
            "HTTP/1.0 with TE",
            post(chunked, &zero).replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
            Refused(400),
        ),
    ];
    for (name, request, fate) in table {
        // What follows a body that ends properly is a request like any other: none is meant to follow here.
        let request = if fate == Passed("0\r\n") {
            request[..request.len() - zero.len() + 3].to_owned()
        } else {
            request
        };
        scene.check(name, request.as_bytes(), fate).await;
    }
}

#[tokio::test]
async fn chunks_are_as_long_as_they_say() {
    let scene = Scene::open().await;
    let table = [
        ("good", "3\r\nabc\r\n0\r\n\r\n", Passed("abc")),
        ("an extension is not passed on", "3;a=b\r\nabc\r\n0\r\n\r\n", Passed("abc")),
        ("leading noughts", "0003\r\nabc\r\n0\r\n\r\n", Passed("abc")),
        ("no number", "G\r\nabc\r\n0\r\n\r\n", Torn),
        ("another base", "0x3\r\nabc\r\n0\r\n\r\n", Torn),
        ("a sign", "+3\r\nabc\r\n0\r\n\r\n", Torn),
        ("below nothing", "-3\r\nabc\r\n0\r\n\r\n", Torn),
        ("beyond all numbers", "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", Torn),
        ("a line that ends in LF", "3\nabc\r\n0\r\n\r\n", Torn),
        ("an extension that ends in LF", "3;a\nabc\r\n0\r\n\r\n", Torn),
        ("longer than it says", "3\r\nabcde\r\n0\r\n\r\n", Torn),
        ("no end", "3\r\nabc\r\n", Torn),
        ("empty size", "\r\nabc\r\n0\r\n\r\n", Torn),
    ];
    for (name, body, fate) in table {
        scene.check(name, post("Transfer-Encoding: chunked", body).as_bytes(), fate).await;
    }
}

#[tokio::test]
async fn heads_that_are_none_get_no_further() {
    let scene = Scene::open().await;
    let get = |line: &str, headers: &str| format!("{line}\r\nHost: web.shop.localhost\r\n{headers}\r\n");
    let table = [
        ("two hosts", get("GET / HTTP/1.1", "Host: other.shop.localhost\r\n"), Refused(400)),
        ("no host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n".into(), Refused(400)),
        ("a host with a user", "GET / HTTP/1.1\r\nHost: a@web.shop.localhost\r\n\r\n".into(), Refused(400)),
        ("a host with a path", "GET / HTTP/1.1\r\nHost: web.shop.localhost/x\r\n\r\n".into(), Refused(400)),
        ("another authority", get("GET http://other.shop.localhost/ HTTP/1.1", ""), Refused(404)),
        ("a space in the path", get("GET /a b HTTP/1.1", ""), Refused(400)),
        ("a NUL in the path", get("GET /a\0b HTTP/1.1", ""), Refused(400)),
        ("a lone CR in the line", get("GET /a\rb HTTP/1.1", ""), Refused(400)),
        ("no version", get("GET /", ""), Refused(400)),
        ("a version to come", get("GET / HTTP/9.9", ""), Refused(400)),
        ("no method", get(" / HTTP/1.1", ""), Refused(400)),
        ("a line without a colon", get("GET / HTTP/1.1", "nonsense\r\n"), Refused(400)),
        ("an empty name", get("GET / HTTP/1.1", ": x\r\n"), Refused(400)),
        ("a name with a space", get("GET / HTTP/1.1", "a b: x\r\n"), Refused(400)),
        (
            "a tunnel",
            "CONNECT web.shop.localhost:80 HTTP/1.1\r\nHost: web.shop.localhost\r\n\r\n".into(),
            Refused(501),
        ),
    ];
    for (name, request, fate) in table {
        scene.check(name, request.as_bytes(), fate).await;
    }
    let many: String = (0..300).map(|n| format!("x-{n}: 1\r\n")).collect();
    scene.check("a flood of headers", get("GET / HTTP/1.1", &many).as_bytes(), Refused(431)).await;
    let long = format!("x: {}\r\n", "a".repeat(200 << 10));
    scene.check("a flood in a header", get("GET / HTTP/1.1", &long).as_bytes(), Refused(431)).await;
    let path = format!("GET /{} HTTP/1.1", "a".repeat(70_000));
    let answer = scene.send(get(&path, "").as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 4") && scene.node.take() == Ok(Vec::new()), "{answer}");
}

#[tokio::test]
async fn paths_reach_the_node_as_they_were_written() {
    let scene = Scene::open().await;
    let paths = ["/../../etc/passwd", "/a/%2e%2e/b", "//a//b", "/a;b=c", "/%00", "/a?b=/../c", "/.", "/a\\b"];
    for path in paths {
        let answer = scene
            .send(
                format!("GET {path} HTTP/1.1\r\nHost: web.shop.localhost\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
                false,
            )
            .await;
        let seen = scene.node.take().unwrap();
        let lines: Vec<_> = seen.iter().map(|one| one.line.as_str()).collect();
        if answer.starts_with("HTTP/1.1 200") {
            assert_eq!(lines, [format!("GET {path} HTTP/1.1")]);
        } else {
            assert!(answer.starts_with("HTTP/1.1 400") && lines.is_empty(), "{path}: {answer}");
        }
    }
}

/// One request with these headers: what the node got of it.
async fn passed(scene: &Scene, headers: &str) -> Seen {
    let request = format!("GET / HTTP/1.1\r\nHost: web.shop.localhost\r\n{headers}\r\n\r\n");
    let answer = scene.send(request.as_bytes(), false).await;
    let mut seen = scene.node.take().unwrap();
    assert!(seen.len() == 1 && answer.starts_with("HTTP/1.1 200"), "{headers}: {answer} {seen:?}");
    seen.remove(0)
}

#[tokio::test]
async fn what_a_client_claims_of_its_origin_is_not_passed_on() {
    let scene = Scene::open().await;
    // Software that makes variables of headers reads `_` for `-`: both spellings are forged alike.
    let forged = [
        "X-Forwarded-For: 6.6.6.6",
        "x_forwarded_for: 6.6.6.6",
        "X-Forwarded_For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "X_Real_IP: 6.6.6.6",
        "X-Forwarded-Server: 6.6.6.6",
        "X-Forwarded-Prefix: /6.6.6.6",
        "X-Forwarded-Ssl: on; 6.6.6.6",
        "X-Original-URL: /6.6.6.6",
        "X-Rewrite-URL: /6.6.6.6",
        "X-Forwarded-Host: 6.6.6.6",
        "X-Forwarded-Proto: 6.6.6.6",
        "Proxy: http://6.6.6.6",
    ];
    for header in forged.iter().map(|h| (*h).to_owned()).chain([forged.join("\r\n")]) {
        let seen = passed(&scene, &header).await;
        let text = format!("{:?}", seen.headers);
        assert!(!text.contains("6.6.6.6"), "{header}: {text}");
        assert_eq!(seen.all("x-forwarded-for").len(), 1, "{text}");
        assert_eq!(seen.all("x-forwarded-proto"), ["http"], "{text}");
    }
    // What a client may not take from the node by calling it a thing of this connection.
    let seen = passed(&scene, "Connection: x-forwarded-for, host, cookie\r\nCookie: a=b").await;
    assert_eq!((seen.all("x-forwarded-for").len(), seen.all("host").len()), (1, 1), "{seen:?}");
    let kept = passed(&scene, "X-Custom_Name: 1\r\nX-Forwarded-Custom: 2").await;
    assert_eq!((kept.all("x-custom_name"), kept.all("x-forwarded-custom")), (vec!["1"], vec!["2"]));
}

/// What would make the rest of a connection one of h2, which nobody reads on its way, or leave it open who reads it.
#[tokio::test]
async fn nobody_goes_over_to_h2_through_the_door() {
    let scene = Scene::open().await;
    for upgrade in ["h2c", "H2C", "websocket, h2c", "h2c, websocket", "HTTP/2.0", "h2c\r\nUpgrade: websocket"]
    {
        let headers = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
        );
        let seen = passed(&scene, &headers).await;
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(seen.all(name).is_empty(), "{upgrade}: {seen:?}");
        }
    }
}
