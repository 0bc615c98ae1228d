//! What the door counts and writes down.

use crate::backend::{Backend, Said};
use crate::door::{Door, HOST, line, shop};
use crate::world::own_address;
use lace_model::document::Doors;
use lace_model::route::RouteSpec;
use lace_model::traffic::{Series, Traffic};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Once it is as wanted: a request is written down when its last byte has gone, which its client may see first.
pub async fn until(door: &Door, is_so: impl Fn(&Traffic) -> bool) -> Traffic {
    let mut client = door.world.client();
    for _ in 0..500 {
        let traffic = client.traffic().await.expect("an answer");
        if is_so(&traffic) {
            return traffic;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{:#?}", client.traffic().await);
}

fn of<'a>(series: &'a [Series], name: &str) -> &'a Series {
    series.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name} in {series:#?}"))
}

#[tokio::test]
async fn requests_are_counted_by_route_family_and_node() {
    let node = Backend::start(own_address(), 18_080, Said::Body).await;
    let door = Door::with(&[&node]).await;
    for _ in 0..3 {
        let post =
            format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
        assert!(door.raw(&post).await.ends_with("hello"));
    }
    door.get("nobody.example.com", "/").await;
    let traffic = until(&door, |t| t.connections == 0 && t.routes.iter().all(|s| s.carried.open == 0)).await;
    let route = of(&traffic.routes, "web.shop.localhost/");
    assert_eq!(route.of, "shop/web");
    for series in [route, of(&traffic.families, "shop/web/web"), of(&traffic.nodes, "shop/web/web/1")] {
        let carried = &series.carried;
        assert_eq!(
            (carried.classes, carried.received, carried.sent),
            ([0, 3, 0, 0, 0], 15, 15),
            "{series:?}"
        );
        assert_eq!(carried.buckets.iter().sum::<u64>(), 3);
        assert!(carried.time_us > 0);
    }
    assert_eq!(traffic.stray.faults["unknown-host"], 1);
    assert_eq!((traffic.routes.len(), traffic.nodes.len()), (1, 1), "a client's words make no series");
}

#[tokio::test]
async fn faults_are_counted_where_they_belong_and_numbers_outlive_tables() {
    let node = Backend::start(own_address(), 18_080, Said::Nothing).await;
    let door = Door::open(|config| {
        config.proxy.limits.answer_within = Duration::from_millis(100);
        config.proxy.limits.node_within = Duration::from_millis(50);
    })
    .await;
    door.ready(1, &[&node]).await;
    assert_eq!(door.get(HOST, "/").await.0, 504);
    door.world.client().put(shop(2, 18_080, &[line(1, "up", node.at.ip())])).await.unwrap();
    assert_eq!(door.get(HOST, "/").await.0, 503);
    let traffic = until(&door, |t| t.routes.iter().all(|s| s.carried.answers() == 2)).await;
    let route = of(&traffic.routes, "web.shop.localhost/");
    assert_eq!((route.carried.faults["timeout"], route.carried.faults["no-healthy-node"]), (1, 1));
    assert_eq!(of(&traffic.nodes, "shop/web/web/1").carried.faults["timeout"], 1);
}

#[tokio::test]
async fn a_route_that_asks_has_its_requests_written_down_without_their_queries() {
    let node = Backend::start(own_address(), 18_080, Said::Echo).await;
    let door = Door::open(|_| {}).await;
    let mut topic = shop(1, 18_080, &[line(1, "ready", node.at.ip())]);
    let route = |path: &str, log| RouteSpec {
        host: Some("shop.example.com".into()),
        path: path.into(),
        log,
        ..RouteSpec::new(18_080)
    };
    let routes = vec![route("/", true), route("/quiet", false)];
    topic.doors.insert("shop/web".parse().unwrap(), Doors { routes, ..Doors::default() });
    door.world.client().put(topic).await.unwrap();
    assert_eq!(door.get("shop.example.com", "/quiet").await.0, 200);
    assert_eq!(door.get("shop.example.com", "/cart?token=secret").await.0, 200);
    let file = door.world.config.state_dir.join("access.log");
    let text = timeout(Duration::from_secs(10), async {
        loop {
            match std::fs::read_to_string(&file) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
    .expect("a line in time");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in [
        r#""route":"shop.example.com/""#,
        r#""path":"/cart""#,
        r#""status":200"#,
        r#""node":"shop/web/web/1""#,
        r#""client":"127."#,
    ] {
        assert!(lines[0].contains(part), "{part} in {text}");
    }
}
