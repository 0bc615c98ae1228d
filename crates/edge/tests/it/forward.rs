//! What lies outside the zone, with an upstream of our own.

use crate::world::*;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// Answers by the first label: `many` with 100 addresses (cut over UDP), `none` with NXDOMAIN, `broken` with
/// SERVFAIL, `silent` not at all, `liar` first with a wrong id and a wrong question, all else with one address.
struct Upstream {
    address: SocketAddr,
    heard: Arc<AtomicUsize>,
}

async fn upstream() -> Upstream {
    let address = SocketAddr::from((own_address(), 15_354));
    let heard = Arc::new(AtomicUsize::new(0));
    let socket = UdpSocket::bind(address).await.unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::SeqCst);
            for reply in replies(&buffer[..length]) {
                socket.send_to(&reply, peer).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let reply = reply(&query).to_vec().unwrap();
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    Upstream { address, heard }
}

fn first_label(query: &Message) -> String {
    query.queries[0].name.to_string().split('.').next().unwrap().to_owned()
}

fn reply(query: &[u8]) -> Message {
    let mut reply = Message::from_vec(query).unwrap();
    let name = reply.queries[0].name.clone();
    reply.metadata.message_type = MessageType::Response;
    let address = |n: u32| Record::from_rdata(name.clone(), 60, RData::A(A(n.into())));
    match first_label(&reply).as_str() {
        "many" => drop(reply.add_answers((1..=100).map(address))),
        "none" => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 2);
            reply.add_authority(Record::from_rdata(Name::root(), 900, RData::SOA(soa)));
        }
        "broken" => reply.metadata.response_code = ResponseCode::ServFail,
        _ => drop(reply.add_answer(address(0x0102_0304))),
    }
    reply
}

fn replies(query: &[u8]) -> Vec<Vec<u8>> {
    let mut honest = reply(query);
    let good = honest.to_vec().unwrap();
    match first_label(&honest).as_str() {
        "silent" => vec![],
        "many" => vec![honest.truncate().to_vec().unwrap()],
        "liar" => {
            let mut wrong_id = good.clone();
            wrong_id[0] ^= 0xFF;
            honest.queries[0].name = Name::from_ascii("evil.example.").unwrap();
            vec![wrong_id, honest.to_vec().unwrap(), good]
        }
        _ => vec![good],
    }
}

async fn world(upstreams: Vec<SocketAddr>) -> World {
    World::start(|config| {
        config.upstreams = upstreams;
        config.limits.upstream_try = Duration::from_millis(200);
        config.limits.upstream_total = Duration::from_millis(1_000);
    })
    .await
}

#[tokio::test]
async fn an_answer_passes_through_and_is_kept() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    for name in ["host.example.com", "HOST.example.COM", "host.example.com"] {
        let answer = world.ask(name, RecordType::A).await;
        assert_eq!(addresses(&answer)[0].to_string(), "1.2.3.4");
        assert_eq!(answer.queries[0].name.to_ascii(), format!("{name}."));
        assert!(answer.recursion_available && !answer.authoritative && answer.edns.is_none());
    }
    assert_eq!(upstream.heard.load(Ordering::SeqCst), 1, "asked once, whatever the spelling");
    let extended = with_edns(question("host.example.com", RecordType::A), 1_232);
    assert!(world.send(&extended).await.edns.is_some(), "EDNS is kept apart");
    assert_eq!(upstream.heard.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn times_to_live_grow_shorter() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    assert_eq!(world.ask("host.example.com", RecordType::A).await.answers[0].ttl, 60);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(world.ask("host.example.com", RecordType::A).await.answers[0].ttl, 59);
}

#[tokio::test]
async fn the_zone_and_its_addresses_are_never_forwarded() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    for name in ["x.lace.internal", "a.b.lace.internal", "lace.internal", "9.9.200.10.in-addr.arpa"] {
        assert!(world.ask(name, RecordType::AAAA).await.authoritative, "{name}");
    }
    assert_eq!(upstream.heard.load(Ordering::SeqCst), 0);
    let outside = world.ask("1.1.168.192.in-addr.arpa", RecordType::A).await;
    assert_eq!(outside.answers.len(), 1);
}

#[tokio::test]
async fn a_missing_name_is_kept_as_long_as_its_zone_says() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    let ask = || world.ask("none.example.com", RecordType::A);
    assert_eq!(ask().await.response_code, ResponseCode::NXDomain);
    assert_eq!(ask().await.response_code, ResponseCode::NXDomain);
    assert_eq!(upstream.heard.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    ask().await;
    assert_eq!(upstream.heard.load(Ordering::SeqCst), 2, "the SOA's minimum of 2 s is over");
}

#[tokio::test]
async fn a_cut_answer_is_fetched_whole_over_tcp() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    let cut = world.ask("many.example.com", RecordType::A).await;
    assert!(cut.truncation && cut.answers.is_empty());
    let whole = world.ask_tcp("many.example.com", RecordType::A).await;
    assert_eq!((whole.answers.len(), whole.truncation), (100, false));
}

#[tokio::test]
async fn forged_answers_are_passed_over() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    let answer = world.ask("liar.example.com", RecordType::A).await;
    assert_eq!(addresses(&answer)[0].to_string(), "1.2.3.4");
    assert_eq!(answer.queries[0].name.to_string(), "liar.example.com.");
}

#[tokio::test]
async fn the_next_upstream_helps_out() {
    let good = upstream().await;
    let deaf = UdpSocket::bind(SocketAddr::from((own_address(), 15_354))).await.unwrap();
    let world = world(vec![deaf.local_addr().unwrap(), good.address]).await;
    let answer = world.ask("host.example.com", RecordType::A).await;
    assert_eq!(answer.answers.len(), 1);
    let broken = world.ask("broken.example.com", RecordType::A).await;
    assert_eq!(broken.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn a_dead_uplink_fails_soon_and_then_at_once() {
    let upstream = upstream().await;
    let world = world(vec![upstream.address]).await;
    let mut last = Duration::MAX;
    for number in 0..3 {
        let start = Instant::now();
        let name = format!("silent.{number}.example.com");
        let answer = world.ask(&name, RecordType::A).await;
        assert_eq!(answer.response_code, ResponseCode::ServFail);
        last = start.elapsed();
        assert!(last < Duration::from_millis(1_200), "{last:?}");
    }
    assert!(last < Duration::from_millis(100), "resting upstreams are not waited for: {last:?}");
}

#[tokio::test]
async fn many_at_once_are_bounded() {
    let upstream = upstream().await;
    let world = World::start(|config| {
        config.upstreams = vec![upstream.address];
        config.limits.forwards_per_client = 4;
    })
    .await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..10 {
        let message = question(&format!("silent.{number}.example.com"), RecordType::A);
        socket.send_to(&message.to_vec().unwrap(), world.address()).await.unwrap();
    }
    let mut refused = 0;
    let mut buffer = [0; 512];
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(300), socket.recv(&mut buffer)).await {
        refused += usize::from(buffer[3] & 0x0F == 2);
    }
    assert_eq!(refused, 6, "what is beyond four fails at once");
    assert_eq!(world.ask("lace.internal", RecordType::A).await.answers.len(), 1);
}
