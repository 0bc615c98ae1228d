//! Links to real runtimes: made, refused, lost, and made again.

use crate::node::{COOKIE, Node, can_run, me};
use lace_beam::link::Settings;
use lace_beam::{Call, CallError, Identity, LinkError};
use std::time::Duration;

#[tokio::test]
async fn the_wrong_cookie_and_the_wrong_name_are_told_apart() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    assert_eq!(link.peer().node.as_str(), node.name);
    let other = Identity { cookie: "another".into(), ..me() };
    let settings = Settings::default();
    let refused = node.try_link(&other, &node.name, &settings).await.err();
    assert_eq!(refused, Some(LinkError::Cookie));
    let refused = node.try_link(&me(), "game@127.0.0.1", &settings).await.err();
    let wrong = LinkError::WrongNode { wanted: "game@127.0.0.1".into(), found: node.name.clone() };
    assert_eq!(refused, Some(wrong));
    assert!(!format!("{:?}", me()).contains(COOKIE), "a cookie is never shown");
}

#[tokio::test]
async fn we_are_hidden_and_a_second_link_of_ours_replaces_the_first() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let first = node.link().await;
    let ask = |kind: &str| Call::new("erlang", "nodes", vec![lace_beam::Term::atom(kind)]);
    assert_eq!(first.call(Call::new("erlang", "nodes", vec![])).await.unwrap().to_string(), "[]");
    assert_eq!(first.call(ask("visible")).await.unwrap().to_string(), "[]");
    assert_eq!(first.call(ask("hidden")).await.unwrap().to_string(), "['lace@agent.lace.internal']");
    let second = node.link().await;
    let closed = tokio::time::timeout(Duration::from_secs(10), first.closed()).await.unwrap();
    assert!(matches!(closed, LinkError::Closed(_)), "{closed}");
    assert_eq!(second.call(ask("hidden")).await.unwrap().to_string(), "['lace@agent.lace.internal']");
}

#[tokio::test]
async fn a_node_that_hangs_is_noticed_and_one_that_wakes_up_in_time_is_kept() {
    if !can_run() {
        return;
    }
    let mut node = Node::start_with(&["-kernel", "net_ticktime", "4"]);
    let settings = Settings { tick_time: Duration::from_secs(4), ..Settings::default() };
    let link = node.link_with(&settings).await;
    node.signal(rustix::process::Signal::STOP);
    let late = link.call(Call::new("erlang", "node", vec![]).within(Duration::from_millis(200))).await;
    assert_eq!(late, Err(CallError::Deadline));
    node.signal(rustix::process::Signal::CONT);
    let name = link.call(Call::new("erlang", "node", vec![])).await.unwrap();
    assert_eq!(name.as_atom(), Some(node.name.as_str()));
    node.signal(rustix::process::Signal::STOP);
    let why = tokio::time::timeout(Duration::from_secs(20), link.closed()).await.unwrap();
    assert_eq!(why, LinkError::Silent(Duration::from_secs(5)));
    let refused = link.call(Call::new("erlang", "node", vec![])).await;
    assert_eq!(refused, Err(CallError::Link(why)));
    // A handshake with a node that hangs ends too: the kernel takes the connection for it.
    let hasty = Settings { handshake_within: Duration::from_millis(300), ..settings };
    let refused = node.try_link(&me(), &node.name, &hasty).await.err();
    assert_eq!(refused, Some(LinkError::Silent(Duration::from_millis(300))));
    node.kill();
}

#[tokio::test]
async fn ticks_keep_a_silent_link() {
    if !can_run() {
        return;
    }
    let node = Node::start_with(&["-kernel", "net_ticktime", "4"]);
    // Whoever is adopted has a time of its own, which nobody knows here.
    let link = node.link_with(&Settings::default()).await;
    // Longer than either side would wait for a sign of life.
    let closed = tokio::time::timeout(Duration::from_secs(8), link.closed()).await;
    assert!(closed.is_err(), "{closed:?}");
    link.call(Call::new("erlang", "node", vec![])).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_restarted_is_another_one() {
    if !can_run() {
        return;
    }
    let mut node = Node::start();
    let link = node.link().await;
    let calling = tokio::spawn({
        let link = link.clone();
        let call = Call::new("timer", "sleep", vec![lace_beam::Term::atom("infinity")]);
        async move { link.call(call.within(Duration::from_secs(60))).await }
    });
    while link.calls_under_way() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    node.restart();
    let lost = calling.await.unwrap();
    assert!(matches!(lost, Err(CallError::Link(LinkError::Closed(_)))), "{lost:?}");
    let again = node.link().await;
    assert_eq!(again.peer().node, link.peer().node);
    assert_ne!(again.peer().creation, link.peer().creation);
}
