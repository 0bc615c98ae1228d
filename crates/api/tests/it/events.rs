//! Events: lists, and feeds that go on.

use crate::house::House;
use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use lace_model::event::{Event, NewEvent};
use lace_model::{Code, Problem};
use lace_store::Batch;
use lace_wire::client::{SseDecoder, SseMessage};
use std::time::Duration;
use tower::ServiceExt;

fn happens(house: &House, subjects: &[&str]) {
    let mut batch = Batch::new(None);
    for subject in subjects {
        batch.event(NewEvent::new("test.happened", subject, "it happened"));
    }
    house.state.store.commit(batch).expect("committed");
}

/// A follower as a client is one.
struct Follower {
    body: BodyDataStream,
    decoder: SseDecoder,
    ready: Vec<SseMessage>,
    raw: String,
}

impl Follower {
    async fn open(house: &House, token: &str, query: &str, last: Option<u64>) -> Self {
        let mut request = axum::http::Request::builder().uri(format!("/v1/events?follow=true{query}"));
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = house.router.clone().oneshot(request).await.expect("never fails");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body().into_data_stream();
        Self { body, decoder: SseDecoder::default(), ready: Vec::new(), raw: String::new() }
    }

    async fn message(&mut self) -> SseMessage {
        while self.ready.is_empty() {
            let bytes = self.body.next().await.expect("the feed goes on").expect("bytes");
            self.raw.push_str(std::str::from_utf8(&bytes).expect("text"));
            self.ready = self.decoder.push(&bytes);
        }
        self.ready.remove(0)
    }

    async fn event(&mut self) -> Event {
        serde_json::from_str(&self.message().await.data).expect("an event")
    }
}

#[tokio::test]
async fn events_are_listed_from_either_end() {
    let house = House::new();
    happens(&house, &["shop/game/1", "shopping", "host/alpha", "shop"]);
    let subjects = |events: Vec<Event>| events.into_iter().map(|e| e.subject).collect::<Vec<_>>();
    let all: Vec<Event> = house.get("/v1/events").await.ok();
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(subjects(house.get("/v1/events?since=2").await.ok()), ["host/alpha", "shop"]);
    assert_eq!(subjects(house.get("/v1/events?subject=shop").await.ok()), ["shop/game/1", "shop"]);
    assert_eq!(subjects(house.get("/v1/events?limit=1").await.ok()), ["shop"]);
    assert_eq!(subjects(house.get("/v1/events?since=0&limit=1").await.ok()), ["shop/game/1"]);
    assert_eq!(house.get("/v1/events?since=x").await.problem(422).code, Code::Usage);
}

#[tokio::test]
async fn a_feed_begins_after_a_number_and_goes_on() {
    let house = House::new();
    happens(&house, &["shop/1", "shop/2"]);
    let mut follower = Follower::open(&house, &house.admin, "&since=1", None).await;
    assert_eq!(follower.event().await.seq, 2);
    happens(&house, &["shop/3"]);
    assert_eq!(follower.event().await.seq, 3);
    assert!(follower.raw.contains("id: 3\n"), "{}", follower.raw);
}

#[tokio::test]
async fn a_feed_comes_back_after_the_last_one_seen() {
    let house = House::new();
    happens(&house, &["a", "b", "c", "d"]);
    let mut follower = Follower::open(&house, &house.admin, "&since=0", Some(2)).await;
    assert_eq!((follower.event().await.seq, follower.event().await.seq), (3, 4));
    let mut new = Follower::open(&house, &house.admin, "", None).await;
    let mut ahead = Follower::open(&house, &house.admin, "&since=999", None).await;
    happens(&house, &["e"]);
    assert_eq!(new.event().await.seq, 5, "without a number: what comes from now on");
    assert_eq!(ahead.event().await.seq, 5, "a number from before a restore");
}

#[tokio::test]
async fn a_feed_is_of_a_subject_and_of_what_a_token_may_see() {
    let house = House::new();
    let mut game = Follower::open(&house, &house.admin, "&since=0&subject=shop/game", None).await;
    let mut shop = Follower::open(&house, &house.shop, "&since=0", None).await;
    happens(&house, &["other/1", "shop/game/1", "host/alpha", "shop/web/1", "shop/game/2"]);
    assert_eq!(
        (game.event().await.subject, game.event().await.subject),
        ("shop/game/1".into(), "shop/game/2".into())
    );
    let seen = [shop.event().await.subject, shop.event().await.subject, shop.event().await.subject];
    assert_eq!(seen, ["shop/game/1", "shop/web/1", "shop/game/2"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_feed_says_that_it_is_there() {
    let house = House::new();
    let mut follower = Follower::open(&house, &house.admin, "", None).await;
    let begun = tokio::time::Instant::now();
    let bytes = follower.body.next().await.expect("goes on").expect("bytes");
    assert!(bytes.starts_with(b":"), "{bytes:?}");
    assert!(begun.elapsed() <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_takes_nothing_is_told_and_dropped() {
    let house = House::new();
    let mut follower = Follower::open(&house, &house.admin, "&since=0", None).await;
    for _ in 0..30 {
        happens(&house, &["shop"; 10]);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut last = 0;
    let message = loop {
        let message = follower.message().await;
        if message.event == "problem" {
            break message;
        }
        last = serde_json::from_str::<Event>(&message.data).expect("an event").seq;
    };
    let problem: Problem = serde_json::from_str(&message.data).expect("a problem");
    assert!(last < 300, "it stopped reading ahead: {last}");
    assert_eq!(problem.hint, Some(format!("go on with --since {last}")));
    assert!(follower.body.next().await.is_none(), "the feed ends");
}

#[tokio::test]
async fn ten_thousand_events_come_in_order() {
    let house = House::new();
    for _ in 0..100 {
        happens(&house, &["shop"; 100]);
    }
    let mut follower = Follower::open(&house, &house.admin, "&since=0", None).await;
    for seq in 1..=10_000 {
        assert_eq!(follower.event().await.seq, seq);
    }
}
