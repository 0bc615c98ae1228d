//! Who gets a request, who waits, and who is left alone.

use crate::backend::{Backend, Said};
use crate::door::{Door, HOST, line, shop};
use crate::world::own_address;
use lace_model::document::Doors;
use lace_model::route::RouteSpec;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request that stays: its place is taken until the stream is dropped.
pub async fn occupy(door: &Door) -> TcpStream {
    let mut stream = door.connect().await;
    let ask = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    stream
}

async fn one_at_a_time(door: &Door, node: &Backend) {
    let mut topic = shop(1, node.at.port(), &[line(1, "ready", node.at.ip())]);
    let routes = vec![RouteSpec { concurrency: Some(1), ..RouteSpec::new(node.at.port()) }];
    topic.doors.insert("shop/web".parse().unwrap(), Doors { routes, ..Doors::default() });
    door.world.client().put(topic).await.unwrap();
}

#[tokio::test]
async fn a_node_gets_no_more_than_its_bound_and_the_page_says_so() {
    let node = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|config| config.proxy.limits.node_within = Duration::from_millis(200)).await;
    one_at_a_time(&door, &node).await;
    let _taken = occupy(&door).await;
    let (status, answer) = door.get(HOST, "/").await;
    assert!(status == 503 && answer.contains("as many requests as it takes"), "{answer}");
    assert!(answer.contains("x-lace-fault: busy") && answer.contains("retry-after: 2"), "{answer}");
}

#[tokio::test]
async fn a_request_waits_for_a_place_and_gets_it() {
    let node = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    one_at_a_time(&door, &node).await;
    let taken = occupy(&door).await;
    let waits = async {
        while door.world.client().waiting().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(taken);
    };
    let ((status, answer), ()) = tokio::join!(door.get(HOST, "/"), waits);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(door.world.client().waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn a_first_request_waits_for_a_family_that_sleeps() {
    let node = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    let asleep = |number, wakes| {
        let mut topic = shop(number, 18_080, &[]);
        topic.doors.insert("shop/web".parse().unwrap(), Doors { wakes, ..Doors::default() });
        topic
    };
    door.world.client().put(asleep(1, false)).await.unwrap();
    let (status, answer) = door.get(HOST, "/").await;
    assert!(status == 503 && answer.contains("no node of shop/web is wanted"), "{answer}");
    door.world.client().put(asleep(2, true)).await.unwrap();
    let starts = async {
        let mut client = door.world.client();
        while client.waiting().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let traffic = client.traffic().await.unwrap();
        let told: u64 = traffic.routes.iter().filter(|r| r.of == "shop/web").map(|r| r.carried.waiting).sum();
        assert_eq!(told, 1, "the scaler hears of it");
        let mut topic = shop(3, 18_080, &[line(1, "ready", node.at.ip())]);
        topic.doors.insert("shop/web".parse().unwrap(), Doors { wakes: true, ..Doors::default() });
        client.put(topic).await.unwrap();
    };
    let ((status, answer), ()) = tokio::join!(door.get(HOST, "/"), starts);
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_left_alone_and_named() {
    let node = Backend::start(own_address(), 18_080, Said::Who).await;
    let door = Door::open(|_| {}).await;
    // Nobody listens there.
    let lines = [line(1, "ready", node.at.ip()), line(2, "ready", own_address().into())];
    door.world.client().put(shop(1, 18_080, &lines)).await.unwrap();
    let begun = Instant::now();
    let avoided = loop {
        let (status, answer) = door.get(HOST, "/").await;
        assert_eq!(status, 200, "nobody notices: {answer}");
        let traffic = door.world.client().traffic().await.unwrap();
        if let Some(avoided) = traffic.avoided.first() {
            break avoided.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never left alone");
    };
    assert!(avoided.node.ends_with("/2") && avoided.failures >= 3, "{avoided:?}");
}
