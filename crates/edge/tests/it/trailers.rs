//! Trailers in both directions, and calls of gRPC whose messages go back and forth.

use crate::backend::{Backend, Said};
use crate::client::{Client, Given};
use crate::door::{Door, HOST, WAIT, line, shop};
use crate::world::own_address;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Bytes;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A node of HTTP/1.1 that answers each request, when it is whole, with a body and a trailer; and what it got.
async fn door_with_trailers() -> (Door, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((own_address(), 18_080)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let got = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut seen = String::new();
                let mut some = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut some).await {
                    seen.push_str(&String::from_utf8_lossy(&some[..length]));
                    let is_whole = match seen.split_once("\r\n\r\n") {
                        Some((head, body)) if head.contains("chunked") => {
                            body.contains("0\r\n") && body.ends_with("\r\n\r\n")
                        }
                        head => head.is_some(),
                    };
                    if is_whole {
                        kept.lock().unwrap().push_str(&std::mem::take(&mut seen));
                        let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                                      3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n";
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    let door = Door::open(|_| {}).await;
    door.world.client().put(shop(1, at.port(), &[line(1, "ready", at.ip())])).await.unwrap();
    (door, got)
}

#[tokio::test]
async fn trailers_of_http_1_pass_in_both_directions() {
    let (door, got) = door_with_trailers().await;
    let answer = door
        .raw(&format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\nte: trailers\r\ntrailer: x-mine\r\ntransfer-encoding: chunked\r\n\
             connection: close, te\r\n\r\n2\r\nhi\r\n0\r\nx-mine: 5\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("abc"), "{answer}");
    assert!(answer.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let got = got.lock().unwrap().clone();
    assert!(got.contains("hi") && got.ends_with("0\r\nx-mine: 5\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn a_client_of_h2_gets_the_trailers_of_a_node_of_http_1() {
    let (door, _) = door_with_trailers().await;
    let mut client = Client::h2(door.connect().await).await;
    let request = Request::get(format!("http://{HOST}/")).header("te", "trailers").body(Given::Nothing);
    let all = client.send(request.unwrap()).await.into_body().collect().await.unwrap();
    assert_eq!(all.trailers().expect("trailers")["x-sum"], "7");
    assert_eq!(all.to_bytes(), "abc");
}

#[tokio::test]
async fn messages_of_a_call_go_back_and_forth_while_it_is_open() {
    let node = Backend::start(own_address(), 18_080, Said::Body).await;
    let door = Door::with(&[&node]).await;
    let mut client = Client::h2(door.connect().await).await;
    let (to, parts) = mpsc::channel(1);
    let request = Request::post(format!("http://{HOST}/pkg.Chat/Talk"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Given::Parts(parts))
        .unwrap();
    let mut answer = client.send(request).await.into_body();
    for n in 0..20 {
        // Each is sent when the one before it has come back.
        let word = Bytes::from(format!("message {n}"));
        to.send(word.clone()).await.unwrap();
        let frame = timeout(WAIT, answer.frame()).await.expect("in time").expect("a frame").unwrap();
        assert_eq!(frame.into_data().ok(), Some(word));
    }
    drop(to);
    let rest = timeout(WAIT, answer.collect()).await.expect("its end comes back, too").unwrap();
    assert!(rest.to_bytes().is_empty());
}
