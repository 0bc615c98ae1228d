//! The door over real sockets: nodes are small servers on loopback addresses, topics say where they are.

use crate::backend::{Backend, Said};
use crate::client::{Client, Given};
use crate::world::{World, own_address, topic};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Bytes;
use lace_model::document::{Doors, RevisionShare, Topic};
use lace_model::route::{Maintenance, RouteSpec};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const WAIT: Duration = Duration::from_secs(10);

/// Topic of application shop: service web, its nodes at these addresses, all with the same port.
pub fn shop(number: u64, port: u16, lines: &[String]) -> Topic {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut topic = topic("shop", number, &lines);
    let ports = [("http".to_owned(), port)].into();
    topic.ports.insert("shop/web/web".parse().unwrap(), ports);
    topic
}

pub fn line(index: usize, state: &str, ip: IpAddr) -> String {
    format!("web/web/{index} {state} {ip}")
}

pub struct Door {
    pub world: World,
    pub at: SocketAddr,
}

impl Door {
    pub async fn open(change: impl FnOnce(&mut lace_edge::NetConfig)) -> Self {
        let at = SocketAddr::from((own_address(), 17_480));
        let world = World::start(|config| {
            config.proxy.listen = vec![at];
            change(config);
        })
        .await;
        let door = Self { world, at };
        door.connect().await;
        door
    }

    pub async fn connect(&self) -> TcpStream {
        connect(self.at).await
    }

    /// With these nodes of shop/web ready.
    pub async fn with(nodes: &[&Backend]) -> Self {
        let door = Self::open(|_| {}).await;
        door.ready(1, nodes).await;
        door
    }

    pub async fn ready(&self, number: u64, nodes: &[&Backend]) {
        let lines: Vec<_> =
            nodes.iter().enumerate().map(|(n, node)| line(n + 1, "ready", node.at.ip())).collect();
        let port = nodes.first().map_or(1, |n| n.at.port());
        self.world.client().put(shop(number, port, &lines)).await.unwrap();
    }

    /// One request by hand over a connection of its own; the whole answer as text.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an end in time").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn get(&self, host: &str, path: &str) -> (u16, String) {
        let answer =
            self.raw(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, answer)
    }
}

pub const HOST: &str = "web.shop.localhost:7480";

#[tokio::test]
async fn a_request_comes_in_by_the_name_of_its_service() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let table = [
        (HOST, 200),
        ("web.shop.localhost", 200),
        ("WEB.Shop.localhost.", 200),
        ("web.web.shop.localhost", 200),
        ("other.shop.localhost", 404),
        ("web.shop", 404),
        ("", 400),
    ];
    for (host, expected) in table {
        let (status, answer) = door.get(host, "/a/b?c=d").await;
        assert_eq!(status, expected, "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_node_learns_who_asked_and_nothing_forged() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let answer = door
        .raw(&format!(
            "GET /x?y HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\
             Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 9\r\nX-Stays: 1\r\n\r\n"
        ))
        .await;
    assert!(answer.contains("GET /x?y HTTP/1.1"), "{answer}");
    assert!(answer.contains(&format!("host: {HOST}")), "{answer}");
    assert!(answer.contains("x-stays: 1") && answer.contains("x-forwarded-proto: http\n"), "{answer}");
    assert!(answer.contains(&format!("x-forwarded-for: {}", "127.0.0.1")), "{answer}");
    assert!(
        !answer.contains("6.6.6.6") && !answer.contains("x-hop:") && !answer.contains("keep-alive:"),
        "{answer}"
    );
}

#[tokio::test]
async fn faults_have_pages_in_three_forms_and_tell_what_to_do() {
    let door = Door::open(|config| config.proxy.limits.node_within = Duration::from_millis(50)).await;
    door.world.client().put(shop(1, 18_080, &[line(1, "up", own_address().into())])).await.unwrap();
    let ask = |accept: &str| {
        format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: {accept}\r\nconnection: close\r\n\r\n")
    };
    let text = door.raw(&ask("*/*")).await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("x-lace-fault: no-healthy-node"), "{text}");
    assert!(text.contains("lace why shop/web") && text.contains("retry-after: 2"), "{text}");
    let json = door.raw(&ask("application/json")).await;
    assert!(json.contains("\"code\":\"no-healthy-node\""), "{json}");
    let html = door.raw(&ask("text/html,*/*")).await;
    assert!(html.contains("<!doctype html>") && html.contains("content-type: text/html"), "{html}");
    door.world.client().put(shop(2, 18_080, &[])).await.unwrap();
    let (status, answer) = door.get(HOST, "/").await;
    assert!(status == 503 && answer.contains("lace scale shop/web 1"), "{answer}");
}

#[tokio::test]
async fn a_request_that_came_early_waits_for_its_node() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|_| {}).await;
    let up = shop(1, 18_080, &[line(1, "up", node.at.ip())]);
    door.world.client().put(up).await.unwrap();
    let (early, ()) = tokio::join!(door.get(HOST, "/"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        door.ready(2, &[&node]).await;
    });
    assert_eq!(early.0, 200, "{}", early.1);
}

#[tokio::test]
async fn a_dead_node_is_passed_over_and_the_table_outlives_a_restart() {
    let (first, second) = (own_address(), own_address());
    let alive = Backend::start(second, 18_080, Said::Echo).await;
    let mut door = Door::open(|_| {}).await;
    let lines = [line(1, "ready", first.into()), line(2, "ready", second.into())];
    door.world.client().put(shop(1, 18_080, &lines)).await.unwrap();
    for n in 0..20 {
        assert_eq!(door.get(HOST, "/").await.0, 200, "request {n}");
    }
    door.world.stop().await;
    door.world.resume().await;
    assert_eq!(door.get(HOST, "/").await.0, 200, "nobody told it anything since");
    // A body that was not sent yet goes to the other node too.
    for n in 0..20 {
        let answer = door
            .raw(&format!(
                "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{n}: {answer}");
    }
    drop(alive);
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions_and_have_a_bound() {
    let node = Backend::start(own_address(), 18_080, Said::Body).await;
    let door = Door::open(|config| config.proxy.limits.body_bytes_max = 8 << 20).await;
    door.ready(1, &[&node]).await;
    let mut sender = Client::h1(door.connect().await).await;
    let body: Bytes = vec![7_u8; 4 << 20].into();
    let request = Request::post("/").header("host", HOST).body(Given::Whole(Some(body.clone()))).unwrap();
    let response = sender.send(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    // Said beforehand, and found out on the way before the node has answered.
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    door.ready(2, &[&node]).await;
    let said = door
        .raw(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 9000000\r\nconnection: close\r\n\r\n"
        ))
        .await;
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("too-large"), "{said}");
    let mut sender = Client::h1(door.connect().await).await;
    let request = Request::post("/sink").header("host", HOST).body(Given::Mebibytes(12)).unwrap();
    assert_eq!(sender.send(request).await.status(), 413);
}

#[tokio::test]
async fn h2_and_trailers_pass_and_grpc_reaches_the_node_as_h2() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let mut sender = Client::h2(door.connect().await).await;
    let request = Request::get(format!("http://{HOST}/h2")).body(Given::Nothing).unwrap();
    let response = sender.send(request).await;
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.contains("GET /h2 HTTP/1.1") && text.contains(&format!("host: {HOST}")), "{text}");
    let request = Request::post(format!("http://{HOST}/pkg.Service/Call"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(Given::Whole(Some(Bytes::from_static(b"abc"))))
        .unwrap();
    let response = sender.send(request).await;
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    let all = response.into_body().collect().await.unwrap();
    assert_eq!(all.trailers().expect("trailers")["grpc-status"], "0");
    let text = String::from_utf8(all.to_bytes().to_vec()).unwrap();
    assert!(text.contains("HTTP/2.0") && text.contains("te: trailers"), "{text}");
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let mut stream = door.connect().await;
    let ask =
        format!("GET /socket HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\nupgrade: shout\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(WAIT, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: shout"), "{head}");
    for word in ["one", "two", "three"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut back = vec![0; word.len()];
        timeout(WAIT, stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, word.as_bytes());
    }
}

#[tokio::test]
async fn a_stream_of_events_arrives_as_it_is_made() {
    let node = Backend::start(own_address(), 18_080, Said::Events).await;
    let door = Door::with(&[&node]).await;
    let mut sender = Client::h1(door.connect().await).await;
    let response = sender.send(Request::get("/").header("host", HOST).body(Given::Nothing).unwrap()).await;
    let mut body = response.into_body();
    for n in 0..3 {
        node.next.notify_one();
        let frame = timeout(WAIT, body.frame()).await.expect("in time").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: {n}\n\n"));
    }
}

#[tokio::test]
async fn who_expects_100_gets_it_before_the_body() {
    let node = Backend::start(own_address(), 18_080, Said::Body).await;
    let door = Door::with(&[&node]).await;
    let mut stream = door.connect().await;
    let ask = format!(
        "POST / HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    timeout(WAIT, stream.read_exact(&mut first)).await.expect("in time").unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").await.unwrap();
    let mut rest = String::new();
    timeout(WAIT, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.starts_with("HTTP/1.1 200") && rest.ends_with("ok"), "{rest}");
}

#[tokio::test]
async fn a_slow_node_and_a_silent_client_have_their_time() {
    let node = Backend::start(own_address(), 18_080, Said::Nothing).await;
    let door = Door::open(|config| {
        config.proxy.limits.answer_within = Duration::from_millis(100);
        config.proxy.limits.head_within = Duration::from_millis(200);
        config.proxy.limits.body_idle = Duration::from_millis(100);
    })
    .await;
    door.ready(1, &[&node]).await;
    assert_eq!(door.get(HOST, "/").await.0, 504);
    // Slowloris, before the first byte and in the middle of the head.
    for part in ["", "GET / HT"] {
        let answer = door.raw(part).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{part:?}: {answer}");
    }
}

#[tokio::test]
async fn a_drained_node_ends_what_it_has_and_gets_no_more() {
    let slow = Backend::start(own_address(), 18_080, Said::Events).await;
    let other = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&slow]).await;
    let mut sender = Client::h1(door.connect().await).await;
    let response = sender.send(Request::get("/").header("host", HOST).body(Given::Nothing).unwrap()).await;
    let node = crate::world::member("shop", &line(1, "ready", slow.at.ip())).node;
    let at_once = door.world.client().drain(node, Duration::from_millis(30)).await.unwrap();
    assert!(!at_once, "a stream is open");
    door.ready(2, &[&slow, &other]).await;
    for _ in 0..20 {
        let (status, answer) = door.get(HOST, "/").await;
        assert!(status == 200 && answer.contains("GET / HTTP/1.1"), "the other one answers: {answer}");
    }
    let mut client = door.world.client();
    let drained = tokio::spawn(async move { client.drain(node, WAIT).await.unwrap() });
    drop(response);
    drop(sender);
    assert!(drained.await.unwrap(), "the stream ended");
}

#[tokio::test]
async fn requests_that_could_mean_two_things_are_refused() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::with(&[&node]).await;
    let corpus = [
        format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nhost: other\r\nconnection: close\r\n\r\n"),
        format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 3\r\ncontent-length: 4\r\nconnection: close\r\n\r\nabcd"
        ),
        format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: +3\r\nconnection: close\r\n\r\nabc"),
        format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n"
        ),
        format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: xchunked\r\nconnection: close\r\n\r\n0\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nhost : {HOST}\r\nconnection: close\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n host: {HOST}\r\nconnection: close\r\n\r\n"),
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: a@{HOST}\r\nconnection: close\r\n\r\n"),
        format!("CONNECT {HOST} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n"),
    ];
    for request in corpus {
        let answer = door.raw(&request).await;
        let status: u16 = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(400);
        assert!((400..600).contains(&status), "{request:?}: {answer}");
    }
    // Both lengths: one meaning at most arrives, and nothing is left over for the next one.
    let both = door
        .raw(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\
             connection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: {HOST}\r\n\r\n"
        ))
        .await;
    assert!(!both.contains("smuggled"), "{both}");
}

/// What a manifest says of shop/web.
fn doors(topic: &mut Topic, routes: Vec<RouteSpec>, maintenance: Maintenance) {
    topic.doors.insert("shop/web".parse().unwrap(), Doors { routes, maintenance, ..Doors::default() });
}

#[tokio::test]
async fn declared_routes_lead_in_by_host_and_longest_path() {
    let all = own_address();
    let _all = Backend::start(all, 18_080, Said::Echo).await;
    let _api = Backend::start(all, 18_081, Said::Body).await;
    let door = Door::open(|_| {}).await;
    let mut topic = shop(1, 18_080, &[line(1, "ready", all.into())]);
    let host = Some("shop.example.com".to_owned());
    let whole = RouteSpec { host: host.clone(), ..RouteSpec::new(18_080) };
    let part = RouteSpec { host, path: "/api".to_owned(), ..RouteSpec::new(18_081) };
    doors(&mut topic, vec![whole, part], Maintenance::default());
    door.world.client().put(topic).await.unwrap();
    let table = [
        ("shop.example.com", "/", true),
        ("shop.example.com", "/apis", true),
        ("shop.example.com:80", "/api", false),
        ("shop.example.com", "/api/x", false),
        ("web.shop.localhost", "/api", true),
    ];
    for (host, path, echoes) in table {
        let (status, answer) = door.get(host, path).await;
        assert_eq!((status, answer.contains("GET /")), (200, echoes), "{host}{path}: {answer}");
    }
}

#[tokio::test]
async fn maintenance_shows_a_page_and_says_so() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|_| {}).await;
    let mut topic = shop(1, 18_080, &[line(1, "ready", node.at.ip())]);
    let page = Some("<h1>soon</h1>".to_owned());
    doors(&mut topic, Vec::new(), Maintenance { on: true, page });
    door.world.client().put(topic).await.unwrap();
    let (status, answer) = door.get(HOST, "/").await;
    assert!(status == 503 && answer.contains("shop/web is under maintenance"), "{answer}");
    let ask = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: text/html\r\nconnection: close\r\n\r\n");
    let html = door.raw(&ask).await;
    assert!(html.contains("x-lace-fault: maintenance") && html.ends_with("<h1>soon</h1>"), "{html}");
}

#[tokio::test]
async fn a_sticky_client_stays_with_its_node() {
    let nodes = [
        Backend::start(own_address(), 18_080, Said::Echo).await,
        Backend::start(own_address(), 18_080, Said::Echo).await,
        Backend::start(own_address(), 18_080, Said::Echo).await,
    ];
    let door = Door::open(|_| {}).await;
    let lines: Vec<_> = nodes.iter().enumerate().map(|(n, b)| line(n + 1, "ready", b.at.ip())).collect();
    let mut topic = shop(1, 18_080, &lines);
    let sticky = RouteSpec { sticky: true, ..RouteSpec::new(18_080) };
    doors(&mut topic, vec![sticky], Maintenance::default());
    door.world.client().put(topic).await.unwrap();
    let (_, first) = door.get(HOST, "/").await;
    let cookie = |answer: &str| {
        let at = answer.find("lace_node=").expect("a cookie");
        answer[at..].split(';').next().unwrap().to_owned()
    };
    let mine = cookie(&first);
    for _ in 0..10 {
        let ask =
            format!("GET / HTTP/1.1\r\nhost: {HOST}\r\ncookie: a=b; {mine}\r\nconnection: close\r\n\r\n");
        assert_eq!(cookie(&door.raw(&ask).await), mine);
    }
}

#[tokio::test]
async fn a_tcp_route_carries_bytes_and_closes_when_it_goes() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|_| {}).await;
    let mut topic = shop(1, 18_080, &[line(1, "ready", node.at.ip())]);
    let route = RouteSpec { listen: Some(18_432), ..RouteSpec::new(18_080) };
    doors(&mut topic, vec![route], Maintenance::default());
    door.world.client().put(topic).await.unwrap();
    let at = SocketAddr::from((door.at.ip(), 18_432));
    let mut stream = connect(at).await;
    stream.write_all(b"GET /tcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains("GET /tcp HTTP/1.1") && !answer.contains("forwarded"), "{answer}");
    door.world.client().put(shop(2, 18_080, &[line(1, "ready", node.at.ip())])).await.unwrap();
    for _ in 0..200 {
        if TcpStream::connect(at).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the port is open still");
}

async fn connect(at: SocketAddr) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect(at).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens at {at}");
}

/// How many of 400 requests each of two nodes got, by their addresses.
async fn parts(door: &Door, nodes: [&Backend; 2]) -> [u32; 2] {
    let mut got = [0, 0];
    for _ in 0..400 {
        let (status, answer) = door.get(HOST, "/who").await;
        assert_eq!(status, 200, "{answer}");
        let at = nodes.iter().position(|node| answer.contains(&format!("on {}\n", node.at.ip())));
        got[at.unwrap_or_else(|| panic!("who is it? {answer}"))] += 1;
    }
    got
}

#[tokio::test]
async fn a_new_revision_gets_its_share_and_the_switch_is_one_step() {
    let old = Backend::start(own_address(), 18_080, Said::Who).await;
    let new = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    let put = async |number: u64, permille: u16, is_old_ready: bool| {
        let state = if is_old_ready { "ready" } else { "up" };
        let lines = [line(1, state, old.at.ip()), line(101, "ready", new.at.ip())];
        let mut topic = shop(number, 18_080, &lines);
        for member in &mut topic.members {
            member.revision = if member.path.index > 100 { 2 } else { 1 };
        }
        topic.shares.insert("shop/web/web".parse().unwrap(), RevisionShare { revision: 2, permille });
        door.world.client().put(topic).await.unwrap();
    };
    put(1, 0, true).await;
    assert_eq!(parts(&door, [&old, &new]).await, [400, 0]);
    put(2, 250, true).await;
    let [_, share] = parts(&door, [&old, &new]).await;
    assert!((50..=150).contains(&share), "a quarter of 400: {share}");
    put(3, 1_000, true).await;
    assert_eq!(parts(&door, [&old, &new]).await, [0, 400]);
    // Nobody of those who should answer is there: the others do.
    put(4, 0, false).await;
    assert_eq!(parts(&door, [&old, &new]).await, [0, 400]);
}

#[tokio::test]
async fn a_route_divides_requests_between_families() {
    let backend = Backend::start(own_address(), 18_080, Said::Who).await;
    let canary = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    let put = async |number: u64, parts: &[(&str, u16)]| {
        let lines = [line(1, "ready", backend.at.ip()), format!("web/canary/1 ready {}", canary.at.ip())];
        let mut topic = shop(number, 18_080, &lines);
        let families = parts.iter().map(|(family, part)| (family.parse().unwrap(), *part)).collect();
        doors(&mut topic, vec![RouteSpec { families, ..RouteSpec::new(18_080) }], Maintenance::default());
        door.world.client().put(topic).await.unwrap();
    };
    put(1, &[("web", 90), ("canary", 10)]).await;
    let [_, share] = parts(&door, [&backend, &canary]).await;
    assert!((10..=80).contains(&share), "a tenth of 400: {share}");
    put(2, &[("web", 0), ("canary", 1)]).await;
    assert_eq!(parts(&door, [&backend, &canary]).await, [0, 400]);
    put(3, &[("web", 1)]).await;
    assert_eq!(parts(&door, [&backend, &canary]).await, [400, 0]);
}
