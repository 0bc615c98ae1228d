//! Every kind of question, with the whole answer.

use crate::world::*;
use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, RecordType};
use lace_model::document::Topic;

fn shop() -> Topic {
    let mut shop = topic(
        "shop",
        5,
        &[
            "game/game/1 ready 10.192.0.1",
            "game/game/2 up 10.192.0.2",
            "game/game/3 down 10.192.0.3",
            "game/bot/1 up 10.192.0.4",
            "web/web/1 ready 10.192.1.1",
            "web/web-1/7 ready 10.192.1.2",
        ],
    );
    let ports = [("beam".to_owned(), 9100), ("HTTP".to_owned(), 8080), ("a b".to_owned(), 1)];
    shop.ports.insert("shop/game/game".parse().unwrap(), ports.into());
    shop
}

/// NAME, TYPE, and what [`show`] makes of the answer.
const CASES: &[(&str, RecordType, &str)] = &[
    ("game-1.game.shop.lace.internal", RecordType::A, "ok ours [1 A 10.192.0.1] 0 0"),
    ("GAME-2.Game.shop.LACE.internal", RecordType::A, "ok ours [1 A 10.192.0.2] 0 0"),
    ("game-3.game.shop.lace.internal", RecordType::A, "ok ours [] 1 0"),
    ("game-4.game.shop.lace.internal", RecordType::A, "nxdomain ours [] 1 0"),
    ("game.game.shop.lace.internal", RecordType::A, "ok ours [1 A 10.192.0.1, 1 A 10.192.0.2] 0 0"),
    ("ready.game.game.shop.lace.internal", RecordType::A, "ok ours [1 A 10.192.0.1] 0 0"),
    ("ready.bot.game.shop.lace.internal", RecordType::A, "ok ours [] 1 0"),
    ("ready.nobody.game.shop.lace.internal", RecordType::A, "nxdomain ours [] 1 0"),
    (
        "game.shop.lace.internal",
        RecordType::A,
        "ok ours [1 A 10.192.0.1, 1 A 10.192.0.2, 1 A 10.192.0.4] 0 0",
    ),
    (
        "shop.lace.internal",
        RecordType::A,
        "ok ours [1 A 10.192.0.1, 1 A 10.192.0.2, 1 A 10.192.0.4, 1 A 10.192.1.1, 1 A 10.192.1.2] 0 0",
    ),
    ("game.game.shop.lace.internal", RecordType::ANY, "ok ours [1 A 10.192.0.1, 1 A 10.192.0.2] 0 0"),
    // Family `web-1` would take the name of node 1 of family `web`: the node keeps it.
    ("web-1.web.shop.lace.internal", RecordType::A, "ok ours [1 A 10.192.1.1] 0 0"),
    ("web-1-7.web.shop.lace.internal", RecordType::A, "ok ours [1 A 10.192.1.2] 0 0"),
    ("game-1.game.shop.lace.internal", RecordType::AAAA, "ok ours [] 1 0"),
    ("game-1.game.shop.lace.internal", RecordType::TXT, "ok ours [] 1 0"),
    ("other.lace.internal", RecordType::A, "nxdomain ours [] 1 0"),
    ("a.b.c.d.e.f.g.shop.lace.internal", RecordType::A, "nxdomain ours [] 1 0"),
    ("*.shop.lace.internal", RecordType::A, "nxdomain ours [] 1 0"),
    (
        "_beam._tcp.game.game.shop.lace.internal",
        RecordType::SRV,
        "ok ours [1 SRV 0 0 9100 game-1.game.shop.lace.internal., \
         1 SRV 10 0 9100 game-2.game.shop.lace.internal.] 0 2",
    ),
    (
        "_http._tcp.game.shop.lace.internal",
        RecordType::SRV,
        "ok ours [1 SRV 0 0 8080 game-1.game.shop.lace.internal., \
         1 SRV 10 0 8080 game-2.game.shop.lace.internal.] 0 2",
    ),
    ("_beam._tcp.game.game.shop.lace.internal", RecordType::A, "ok ours [] 1 0"),
    ("_tcp.game.game.shop.lace.internal", RecordType::SRV, "ok ours [] 1 0"),
    ("_none._tcp.game.game.shop.lace.internal", RecordType::SRV, "nxdomain ours [] 1 0"),
    ("_beam._tcp.bot.game.shop.lace.internal", RecordType::SRV, "nxdomain ours [] 1 0"),
    ("2.0.192.10.in-addr.arpa", RecordType::PTR, "ok ours [1 PTR game-2.game.shop.lace.internal.] 0 0"),
    ("2.0.192.10.in-addr.arpa", RecordType::A, "ok ours [] 1 0"),
    ("3.0.192.10.in-addr.arpa", RecordType::PTR, "nxdomain ours [] 1 0"),
    ("0.192.10.in-addr.arpa", RecordType::PTR, "ok ours [] 1 0"),
    ("10.in-addr.arpa", RecordType::PTR, "refused [] 0 0"),
    ("1.1.168.192.in-addr.arpa", RecordType::PTR, "refused [] 0 0"),
    ("lace.internal", RecordType::NS, "ok ours [1 NS lace.internal.] 0 1"),
    ("lace.internal", RecordType::MX, "ok ours [] 1 0"),
    ("example.com", RecordType::A, "refused [] 0 0"),
    ("internal", RecordType::A, "refused [] 0 0"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_has_its_answer() {
    let world = World::start(|_| {}).await;
    world.client().put(shop()).await.unwrap();
    for (name, kind, expected) in CASES {
        assert_eq!(show(&world.ask(name, *kind).await), *expected, "{name} {kind} over UDP");
        assert_eq!(show(&world.ask_tcp(name, *kind).await), *expected, "{name} {kind} over TCP");
    }
}

#[tokio::test]
async fn the_bare_name_of_a_family_lists_all_its_ports() {
    let world = World::start(|_| {}).await;
    world.client().put(shop()).await.unwrap();
    let answer = world.ask("game.game.shop.lace.internal", RecordType::SRV).await;
    assert_eq!(answer.answers.len(), 6, "three ports on two nodes");
    let targets: Vec<String> = answer.additionals.iter().map(|r| r.name.to_string()).collect();
    assert!(targets.iter().all(|t| t.ends_with(".game.shop.lace.internal.")), "{targets:?}");
}

#[tokio::test]
async fn the_apex_says_who_answers_and_counts_changes() {
    let world = World::start(|_| {}).await;
    let serial = async || {
        let answer = world.ask("lace.internal", RecordType::SOA).await;
        let RData::SOA(soa) = &answer.answers[0].data else { panic!("no SOA") };
        assert_eq!((soa.mname.to_string().as_str(), soa.minimum), ("lace.internal.", 0));
        soa.serial
    };
    let before = serial().await;
    world.client().put(shop()).await.unwrap();
    assert!(serial().await > before);
    let answer = world.ask("lace.internal", RecordType::A).await;
    assert_eq!(std::net::IpAddr::from(addresses(&answer)[0]), world.address().ip());
    let missing = world.ask("nobody.shop.lace.internal", RecordType::A).await;
    let soa = &missing.authorities[0];
    assert_eq!((soa.name.to_string().as_str(), soa.ttl), ("lace.internal.", 0));
    let reverse = world.ask("9.9.192.10.in-addr.arpa", RecordType::PTR).await;
    assert_eq!(reverse.authorities[0].name.to_string(), "10.in-addr.arpa.");
}

#[tokio::test]
async fn the_question_comes_back_as_it_was_spelt() {
    let world = World::start(|_| {}).await;
    world.client().put(shop()).await.unwrap();
    let answer = world.ask("gAmE.GaMe.shop.lace.INTERNAL", RecordType::A).await;
    assert_eq!(answer.queries[0].name.to_ascii(), "gAmE.GaMe.shop.lace.INTERNAL.");
    assert_eq!(answer.answers[0].name.to_ascii(), "gAmE.GaMe.shop.lace.INTERNAL.");
}

#[tokio::test]
async fn other_classes_verbs_and_versions_are_refused_politely() {
    let world = World::start(|_| {}).await;
    let mut chaos = question("shop.lace.internal", RecordType::A);
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(world.send(&chaos).await.response_code, ResponseCode::Refused);
    let mut notify = question("shop.lace.internal", RecordType::A);
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(world.send(&notify).await.response_code, ResponseCode::NotImp);
    let mut newer = with_edns(question("shop.lace.internal", RecordType::A), 1_232);
    newer.edns.as_mut().unwrap().set_version(1);
    let answer = world.send(&newer).await;
    assert_eq!(u16::from(answer.response_code), 16, "BADVERS has its number in common with BADSIG");
    assert_eq!(answer.edns.unwrap().version(), 0);
}

#[tokio::test]
async fn a_switch_shows_one_table_or_the_other() {
    let world = World::start(|_| {}).await;
    let sets = [["10.192.0.1", "10.192.0.2"], ["10.192.0.3", "10.192.0.4"]];
    let of = move |round: u64| {
        let [a, b] = sets[round as usize % 2];
        topic("shop", round, &[&format!("a/a/1 up {a}"), &format!("a/a/2 up {b}")])
    };
    let mut client = world.client();
    client.put(of(0)).await.unwrap();
    let writer = tokio::spawn(async move {
        for round in 1..60 {
            client.put(of(round)).await.unwrap();
        }
    });
    while !writer.is_finished() {
        let answer = world.ask("a.shop.lace.internal", RecordType::A).await;
        let found: Vec<String> = addresses(&answer).iter().map(ToString::to_string).collect();
        assert!(sets.iter().any(|set| found == set), "a mixture: {found:?}");
    }
    writer.await.unwrap();
}
