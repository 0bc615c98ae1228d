//! Clients that break rules, and addresses that are not there.

use crate::world::*;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use lace_edge::dns::{Dice, Responder, Step, Transport};
use lace_edge::names::Topics;
use lace_edge::{NetConfig, NetLimits};
use proptest::prelude::*;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

fn responder() -> (tempfile::TempDir, Responder) {
    let dir = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let topics = Topics::open(dir.path()).unwrap();
    runtime.block_on(topics.put(crowd("big", 300))).unwrap();
    let listen = vec!["10.192.0.1:53".parse().unwrap()];
    let responder = Responder::new(topics.names(), &NetConfig::new(dir.path(), listen));
    (dir, responder)
}

/// Bytes that nearly are a question: a good one with some bytes changed and its end moved.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        Just("web.web.big.lace.internal"),
        Just("1.0.192.10.in-addr.arpa"),
        Just("lace.internal"),
        "(\\*|[a-z0-9_]{1,12})(\\.[a-z]{1,5}){0,6}\\.lace\\.internal".prop_map(|s| &*s.leak()),
    ];
    let kinds = prop_oneof![Just(1_u16), Just(2), Just(6), Just(12), Just(28), Just(33), Just(255)];
    let blows = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (names, kinds, blows, any::<bool>(), 0..40_usize).prop_map(|(name, kind, blows, edns, less)| {
        let plain = question(name, kind.into());
        let message = if edns { with_edns(plain, 1_232) } else { plain };
        let mut bytes = message.to_vec().unwrap();
        for (at, value) in blows {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(less / 2 * (less % 2)));
        bytes
    })
}

fn check(responder: &Responder, bytes: &[u8]) {
    for (transport, limit) in [(Transport::Udp, 1_232), (Transport::Tcp, 65_535)] {
        if let Step::Answer(answer) = responder.step(bytes, transport, &mut Dice::new(1)) {
            assert!((12..=limit).contains(&answer.len()));
            assert_eq!(answer[..2], bytes[..2], "the id");
            assert_eq!(answer[2] & 0x80, 0x80, "an answer, not a question");
            hickory_proto::op::Message::from_vec(&answer).expect("an answer that can be read");
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let (_dir, responder) = responder();
    let config = ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() };
    proptest!(config.clone(), |(bytes in prop::collection::vec(any::<u8>(), 0..600))| {
        check(&responder, &bytes);
    });
    proptest!(config, |(bytes in nearly())| check(&responder, &bytes));
}

#[tokio::test]
async fn malformed_packets_are_told_or_dropped_and_the_next_is_answered() {
    let world = World::start(|_| {}).await;
    let mut two = question("shop.lace.internal", RecordType::A).to_vec().unwrap();
    two[5] = 2;
    let answer = world.datagram(&two).await.unwrap();
    assert_eq!((answer[3] & 0x0F, answer.len()), (1, 12), "FORMERR");
    let half = question("shop.lace.internal", RecordType::A).to_vec().unwrap();
    assert_eq!(world.datagram(&half[..20]).await.unwrap()[3] & 0x0F, 1);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut reply = half.clone();
    reply[2] |= 0x80;
    for silent in [&b""[..], b"\0", &half[..11], &reply] {
        socket.send_to(silent, world.address()).await.unwrap();
    }
    let heard = timeout(Duration::from_millis(200), socket.recv(&mut [0; 512])).await;
    assert!(heard.is_err(), "answers and crumbs are not answered");
    world.ask("shop.lace.internal", RecordType::A).await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = World::start(|c| c.clients = vec!["10.192.0.0/10".parse().unwrap()]).await;
    world.client().put(crowd("big", 3)).await.unwrap();
    let answer = world.ask("web.web.big.lace.internal", RecordType::A).await;
    assert_eq!(answer.response_code, ResponseCode::Refused);
    assert!(answer.answers.is_empty());
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at once");
}

#[tokio::test]
async fn one_client_cannot_ask_without_end() {
    let limits = NetLimits { queries_per_second: 1, queries_burst: 5, ..NetLimits::default() };
    let world = World::start(|c| c.limits = limits).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bytes = question("lace.internal", RecordType::A).to_vec().unwrap();
    for _ in 0..50 {
        socket.send_to(&bytes, world.address()).await.unwrap();
    }
    let mut heard = 0;
    while timeout(Duration::from_millis(200), socket.recv(&mut [0; 512])).await.is_ok() {
        heard += 1;
    }
    assert!((5..=6).contains(&heard), "{heard} answers");
}

#[tokio::test]
async fn streams_are_bounded_in_number_and_time() {
    let idle = Duration::from_millis(300);
    let limits = NetLimits { streams_per_client: 2, stream_idle: idle, ..NetLimits::default() };
    let world = World::start(|c| c.limits = limits).await;
    sleep(Duration::from_millis(50)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(world.address()).await.unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    let mut third = streams.pop().unwrap();
    let ended = timeout(idle / 2, third.read(&mut [0; 1])).await;
    assert!(ended.is_ok(), "the third is closed at once");
    let ended = timeout(WAIT, streams[0].read(&mut [0; 1])).await;
    assert!(ended.is_ok(), "a silent one is closed after a while");
    let answer = world.ask_tcp("lace.internal", RecordType::A).await;
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn an_address_that_is_not_there_yet_holds_nothing_up() {
    let absent = "10.253.254.253:15353".parse().unwrap();
    let world = World::start(|c| c.dns_listen.insert(0, absent)).await;
    world.client().put(crowd("big", 3)).await.unwrap();
    let answer = world.ask("web.web.big.lace.internal", RecordType::A).await;
    assert_eq!(answer.answers.len(), 3);
}

#[tokio::test]
async fn a_port_in_use_is_waited_for() {
    let blocker_at = std::net::SocketAddr::from((own_address(), 15_353));
    let blocker = UdpSocket::bind(blocker_at).await.unwrap();
    let world = World::start(|c| c.dns_listen = vec![blocker_at]).await;
    drop(blocker);
    let bytes = question("lace.internal", RecordType::A).to_vec().unwrap();
    for _ in 0..100 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&bytes, world.address()).await.unwrap();
        if timeout(Duration::from_millis(50), socket.recv(&mut [0; 512])).await.is_ok_and(|r| r.is_ok()) {
            return;
        }
    }
    panic!("never answered after the port was free");
}
