//! Streams to nodes, over a real port and through the client that the command line uses.

use crate::house::{House, connected, host_id};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lace_model::{Code, HostId, Problem};
use lace_wire::api::{Accepted, StreamAction, StreamOpen};
use lace_wire::client::{Client, Endpoint};
use lace_wire::stream::{
    LogLine, STREAM_FRAMES_WAITING, StreamFrame, StreamOpener, StreamPair, StreamRequest, TerminalSize,
};
use std::time::Duration;
use tokio::sync::mpsc;

/// A host that says back what it hears. Host 9 is away.
pub struct Echo;

impl StreamOpener for Echo {
    fn open(&self, host: HostId, request: StreamRequest) -> BoxFuture<'static, Result<StreamPair, Problem>> {
        if host == host_id(9) {
            return async { Err(Problem::new(Code::NodeUnreachable, "the host does not answer")) }.boxed();
        }
        let (to, heard) = mpsc::channel(STREAM_FRAMES_WAITING);
        let (said, from) = mpsc::channel(STREAM_FRAMES_WAITING);
        tokio::spawn(answer(request, heard, said));
        async { Ok(StreamPair { to, from }) }.boxed()
    }
}

async fn answer(
    request: StreamRequest,
    mut heard: mpsc::Receiver<StreamFrame>,
    said: mpsc::Sender<StreamFrame>,
) {
    match request {
        StreamRequest::Logs { .. } => {
            for text in ["one", "two"] {
                let line = LogLine { at: 1, stderr: false, text: text.into() };
                let _ = said.send(StreamFrame::Line(line)).await;
            }
        }
        StreamRequest::Exec { argv, .. } if argv == ["exit", "7"] => {
            let _ = said.send(StreamFrame::Exit(7)).await;
        }
        _ => {
            while let Some(frame) = heard.recv().await {
                let back = match frame {
                    StreamFrame::Stdin(bytes) => StreamFrame::Stdout(bytes),
                    StreamFrame::Resize(size) => StreamFrame::Stderr(format!("{}", size.columns).into()),
                    StreamFrame::StdinEnd => StreamFrame::Exit(0),
                    other => StreamFrame::Failed(Problem::new(Code::Error, format!("{other:?}"))),
                };
                if said.send(back).await.is_err() {
                    return;
                }
            }
        }
    }
}

struct Open {
    house: House,
    url: String,
}

async fn open() -> Open {
    let house = House::with_liveness(connected(&[1]));
    let host = house.add_host(1);
    house.apply("shop", 2).await.ok::<Accepted>();
    house.place("shop/game/game", 2, host);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = house.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Open { house, url }
}

impl Open {
    fn client(&self, token: &str) -> Client {
        let endpoint = Endpoint { url: self.url.clone(), token: Some(token.into()), ca: None };
        Client::new(&endpoint).expect("a client")
    }

    async fn stream(&self, token: &str, target: &str, action: StreamAction) -> Result<StreamPair, Problem> {
        self.client(token).open(&StreamOpen { target: target.into(), action }).await
    }

    async fn exec(&self, argv: &[&str]) -> StreamPair {
        self.stream(&self.house.admin, "shop/game/2", exec(argv)).await.expect("a stream")
    }
}

fn exec(argv: &[&str]) -> StreamAction {
    let argv = argv.iter().map(|w| (*w).to_owned()).collect();
    StreamAction::Exec { argv, env: Default::default(), terminal: None, stdin: true }
}

fn logs() -> StreamAction {
    StreamAction::Logs { since: None, until: None, tail: None, follow: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_go_both_ways_until_the_exit() {
    let open = open().await;
    let mut stream = open.exec(&["cat"]).await;
    let size = TerminalSize { columns: 80, rows: 24 };
    for frame in [StreamFrame::Stdin("hello".into()), StreamFrame::Resize(size), StreamFrame::StdinEnd] {
        stream.to.send(frame).await.expect("sent");
    }
    assert_eq!(stream.from.recv().await, Some(StreamFrame::Stdout("hello".into())));
    assert_eq!(stream.from.recv().await, Some(StreamFrame::Stderr("80".into())));
    assert_eq!(stream.from.recv().await, Some(StreamFrame::Exit(0)));
    assert_eq!(stream.from.recv().await, None);
    let row = open.house.last_audit();
    assert_eq!((row.1.as_str(), row.2.as_str()), ("exec", "shop/game/2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn much_data_passes_without_loss() {
    let open = open().await;
    let StreamPair { to, mut from } = open.exec(&["cat"]).await;
    let sender = tokio::spawn(async move {
        for n in 0..500u32 {
            let bytes = Bytes::from(vec![n as u8; 60_000]);
            to.send(StreamFrame::Stdin(bytes)).await.expect("sent");
        }
        to.send(StreamFrame::StdinEnd).await.expect("sent");
        to
    });
    // A slow reader holds the sender back; nothing is dropped and nothing grows.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for n in 0..500u32 {
        match from.recv().await {
            Some(StreamFrame::Stdout(bytes)) => assert_eq!((bytes.len(), bytes[0]), (60_000, n as u8)),
            other => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(from.recv().await, Some(StreamFrame::Exit(0)));
    drop(sender.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_ends_the_stream() {
    let open = open().await;
    let mut stream = open.exec(&["exit", "7"]).await;
    assert_eq!(stream.from.recv().await, Some(StreamFrame::Exit(7)));
    let mut stream = open.stream(&open.house.viewer, "shop/game/1", logs()).await.expect("a stream");
    for text in ["one", "two"] {
        match stream.from.recv().await {
            Some(StreamFrame::Line(line)) => assert_eq!(line.text, text),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stream.from.recv().await, None, "no Exit: the log is at its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_before_the_stream() {
    let open = open().await;
    let (admin, viewer, shop) = (&open.house.admin, &open.house.viewer, &open.house.shop);
    let away = open.house.add_host(9);
    open.house.apply("other", 1).await.ok::<Accepted>();
    open.house.place("other/game/game", 1, away);
    let cases = [
        (admin, "shop/game/9", exec(&["ls"]), Code::NotFound),
        (admin, "shop/game", exec(&["ls"]), Code::Usage),
        (admin, "Shop", exec(&["ls"]), Code::Usage),
        (admin, "job:one", logs(), Code::Usage),
        (admin, "job:00000000-0000-0000-0000-000000000099", logs(), Code::NotFound),
        (admin, "other/game/1", exec(&["ls"]), Code::NodeUnreachable),
        (viewer, "shop/game/1", exec(&["ls"]), Code::NotAllowed),
        (viewer, "shop/game/1", StreamAction::CopyOut { path: "/".into() }, Code::NotAllowed),
        (shop, "other/game/1", logs(), Code::NotAllowed),
    ];
    for (token, target, action, code) in cases {
        let text = format!("{target} {action:?}");
        let problem = open.stream(token, target, action).await.err().expect("refused");
        assert_eq!(problem.code, code, "{text}: {problem}");
    }
    assert_eq!(open.house.get("/v1/stream?request=nonsense").await.problem(422).code, Code::Usage);
    let request = "%7B%22target%22:%22shop/game/1%22,%22action%22:%22logs%22%7D";
    let got = open.house.get(&format!("/v1/stream?request={request}")).await;
    assert_eq!(got.problem(426).code, Code::Usage, "not a WebSocket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_ends_the_stream_at_the_host() {
    let open = open().await;
    let StreamPair { to, mut from } = open.exec(&["cat"]).await;
    to.send(StreamFrame::Stdin("x".into())).await.expect("sent");
    assert!(from.recv().await.is_some());
    drop(to);
    let ended = tokio::time::timeout(Duration::from_secs(5), async { while from.recv().await.is_some() {} });
    ended.await.expect("the other side was closed too");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typed_client_understands_every_answer() {
    let open = open().await;
    let client = open.client(&open.house.admin);
    let target = "shop/game".parse().expect("a target");
    assert_eq!(client.status(None).await.expect("status").apps.len(), 1);
    assert_eq!(client.nodes(Some(&target)).await.expect("nodes").len(), 2);
    assert_eq!(client.history(&target).await.expect("history").len(), 1);
    assert!(!client.why(&target).await.expect("why").lines.is_empty());
    assert_eq!(client.hosts().await.expect("hosts").len(), 1);
    assert_eq!(client.server().await.expect("server").agent_address, "127.0.0.1:7441");
    client.healthy().await.expect("healthy");
    assert!(client.openapi().await.expect("document")["paths"].is_object());
    let mut feed = client.follow_events(Some(0), Some("shop"));
    assert_eq!(feed.next().await.expect("an event").seq, 1);
    let wrong = open.client("lace_wrong").status(None).await.expect_err("refused");
    assert_eq!(wrong.code, Code::NotAuthenticated);
}
