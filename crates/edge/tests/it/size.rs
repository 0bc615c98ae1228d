//! Sets that do not fit a datagram.

use crate::world::*;
use hickory_proto::rr::RecordType;
use tokio::net::TcpStream;

const SET: &str = "web.web.big.lace.internal";

#[tokio::test]
async fn a_cut_answer_says_so_and_tcp_gives_all() {
    let world = World::start(|_| {}).await;
    world.client().put(crowd("big", 200)).await.unwrap();
    for (payload, least) in [(None, 25), (Some(100), 25), (Some(900), 50), (Some(4_096), 70)] {
        let plain = question(SET, RecordType::A);
        let message = payload.map_or(plain.clone(), |size| with_edns(plain, size));
        let bytes = world.datagram(&message.to_vec().unwrap()).await.unwrap();
        let limit = payload.map_or(512, |size| size.clamp(512, 1_232));
        assert!(bytes.len() <= limit.into(), "{} bytes for {payload:?}", bytes.len());
        let answer = hickory_proto::op::Message::from_vec(&bytes).unwrap();
        assert!(answer.truncation && answer.answers.len() >= least, "{payload:?}");
        assert_eq!(answer.edns.is_some(), payload.is_some());
    }
    let whole = world.ask_tcp(SET, RecordType::A).await;
    assert!(!whole.truncation);
    assert_eq!(addresses(&whole).len(), 200);
}

#[tokio::test]
async fn what_just_fits_is_not_cut() {
    let world = World::start(|_| {}).await;
    // 12 bytes of header, 31 of question, 16 for each address: 29 in 512.
    for (count, cut) in [(29, false), (30, true)] {
        let app = format!("n{count}");
        world.client().put(crowd(&app, count)).await.unwrap();
        let answer = world.ask(&format!("web.web.{app}.lace.internal"), RecordType::A).await;
        assert_eq!((answer.answers.len(), answer.truncation), (29, cut));
    }
}

#[tokio::test]
async fn a_set_beyond_a_stream_is_a_changing_part_of_it() {
    let world = World::start(|_| {}).await;
    world.client().put(crowd("big", 10_000)).await.unwrap();
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let first = talk(&mut stream, &question(SET, RecordType::A)).await;
    let second = talk(&mut stream, &question(SET, RecordType::A)).await;
    assert!(!first.truncation && first.answers.len() > 4_000, "{}", first.answers.len());
    assert_ne!(addresses(&first), addresses(&second));
}

#[tokio::test]
async fn services_are_cut_like_addresses_and_keep_their_pointers_right() {
    let world = World::start(|_| {}).await;
    let mut big = crowd("big", 2_000);
    let ports = [("http".to_owned(), 80)].into();
    big.ports.insert("big/web/web".parse().unwrap(), ports);
    world.client().put(big).await.unwrap();
    let name = "_http._tcp.web.web.big.lace.internal";
    let cut = world.ask(name, RecordType::SRV).await;
    assert!(cut.truncation && !cut.answers.is_empty());
    // Targets lie beyond what a pointer reaches: the addresses after them must still name them right.
    let whole = world.ask_tcp(name, RecordType::SRV).await;
    assert!(whole.answers.len() > 1_000, "{}", whole.answers.len());
    assert!(whole.additionals.iter().all(|r| r.name.to_string().ends_with(".web.big.lace.internal.")));
}

#[tokio::test]
async fn the_order_changes_from_answer_to_answer() {
    let world = World::start(|_| {}).await;
    world.client().put(crowd("big", 20)).await.unwrap();
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let answer = world.ask(SET, RecordType::A).await;
        firsts.insert(answer.answers[0].data.to_string());
    }
    assert!(firsts.len() > 8, "{firsts:?}");
}
