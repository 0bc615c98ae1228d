//! Bytes that no runtime sends: nothing panics, nothing grows on a stranger's word.

use bytes::BytesMut;
use lace_beam::link::{Link, LinkError, Settings};
use lace_beam::term::decode::{DecodeError, decode};
use lace_beam::term::encode::encode;
use lace_beam::{Call, CallError, Term};
use md5::{Digest, Md5};
use proptest::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut versioned = vec![131];
        versioned.extend(&bytes);
        let _ = decode(&bytes);
        let _ = decode(&versioned);
    }

    /// Bytes that begin like terms go deeper than noise does.
    #[test]
    fn tags_in_any_order_are_read_or_refused(
        bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 70, 77, 88, 90, 97, 98, 104, 105, 106, 107,
            108, 109, 110, 111, 112, 113, 116, 118, 119, 120, 255]), 0..200)
    ) {
        let mut versioned = vec![131];
        versioned.extend(&bytes);
        if let Ok(term) = decode(&versioned) {
            let mut again = BytesMut::new();
            if encode(&term, &mut again).is_ok() {
                // Comparing values, not bytes: a form may not be the shortest one.
                prop_assert_eq!(decode(&again).unwrap(), term);
            }
        }
    }
}

#[test]
fn what_would_take_too_much_is_refused_at_once() {
    let mut deep = vec![131];
    deep.extend([108, 0, 0, 0, 1].repeat(100_000));
    assert_eq!(decode(&deep), Err(DecodeError::Deep));
    for claim in [105u8, 108, 109, 111, 116] {
        let huge = [131, claim, 255, 255, 255, 255, 97, 1];
        assert!(matches!(decode(&huge), Err(DecodeError::Short | DecodeError::Large)), "{claim}");
    }
    // 2,000,000 empty lists in 2 MB would take 80 MB.
    let mut many = vec![131, 108];
    many.extend(2_000_000u32.to_be_bytes());
    many.resize(many.len() + 2_000_001, 106);
    assert_eq!(decode(&many), Err(DecodeError::Large));
}

const COOKIE: &str = "cookie";

/// The node's side of a handshake; then the test has the pipe.
async fn pretend(name: &str) -> (DuplexStream, tokio::task::JoinHandle<Result<Link, LinkError>>) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let connecting = tokio::spawn(async move {
        let me = lace_beam::Identity { node: "lace@x.y".into(), cookie: COOKIE.into() };
        let settings = Settings { message_bytes_max: 10_000, ..Settings::default() };
        Link::connect(ours, &me, "game@x.y", &settings).await
    });
    receive(&mut theirs).await;
    send(&mut theirs, b"sok").await;
    let mut challenge = vec![b'N'];
    challenge.extend(u64::MAX.to_be_bytes());
    challenge.extend(7u32.to_be_bytes());
    challenge.extend(9u32.to_be_bytes());
    challenge.extend((name.len() as u16).to_be_bytes());
    challenge.extend(name.as_bytes());
    send(&mut theirs, &challenge).await;
    (theirs, connecting)
}

async fn acknowledge(theirs: &mut DuplexStream, cookie: &str) {
    let reply = receive(theirs).await;
    let number = u32::from_be_bytes(reply[1..5].try_into().unwrap());
    assert_eq!(reply[5..], Md5::digest(format!("{COOKIE}7"))[..], "our answer to 7");
    let mut ack = vec![b'a'];
    ack.extend(Md5::digest(format!("{cookie}{number}")));
    send(theirs, &ack).await;
}

async fn receive(pipe: &mut DuplexStream) -> Vec<u8> {
    let length = pipe.read_u16().await.unwrap();
    let mut message = vec![0; usize::from(length)];
    pipe.read_exact(&mut message).await.unwrap();
    message
}

async fn send(pipe: &mut DuplexStream, message: &[u8]) {
    pipe.write_u16(message.len() as u16).await.unwrap();
    pipe.write_all(message).await.unwrap();
}

async fn linked() -> (DuplexStream, Link) {
    let (mut theirs, connecting) = pretend("game@x.y").await;
    acknowledge(&mut theirs, COOKIE).await;
    (theirs, connecting.await.unwrap().unwrap())
}

#[tokio::test]
async fn a_node_that_does_not_know_the_cookie_is_not_believed() {
    let (mut theirs, connecting) = pretend("game@x.y").await;
    acknowledge(&mut theirs, "another").await;
    assert_eq!(connecting.await.unwrap().err(), Some(LinkError::Cookie));
}

#[tokio::test]
async fn another_node_gets_no_answer_to_its_challenge() {
    let (mut theirs, connecting) = pretend("thief@x.y").await;
    let wrong = LinkError::WrongNode { wanted: "game@x.y".into(), found: "thief@x.y".into() };
    assert_eq!(connecting.await.unwrap().err(), Some(wrong));
    assert_eq!(theirs.read(&mut [0; 64]).await.unwrap(), 0, "nothing was said to it");
}

#[tokio::test]
async fn frames_of_any_bytes_close_the_link_or_are_passed_by() {
    for seed in 0..40u8 {
        let (mut theirs, link) = linked().await;
        let noise: Vec<u8> =
            (0..200u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed).collect();
        let mut frame = vec![0, 0, 0, 202, 112, 131];
        frame.extend(&noise);
        theirs.write_all(&frame).await.unwrap();
        drop(theirs);
        assert!(matches!(link.closed().await, LinkError::Closed(_) | LinkError::Protocol(_)));
    }
}

/// The number of the call in a spawn request that has just been read.
async fn next_request(theirs: &mut DuplexStream) -> Vec<u8> {
    loop {
        let length = theirs.read_u32().await.unwrap();
        let mut message = vec![0; length as usize];
        theirs.read_exact(&mut message).await.unwrap();
        if length > 0 {
            return message;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_fails_its_call_only() {
    let (mut theirs, link) = linked().await;
    let calling = tokio::spawn({
        let link = link.clone();
        async move { link.call(Call::new("m", "f", vec![])).await }
    });
    let request = next_request(&mut theirs).await;
    // The reference of the request, as it came.
    let at = request.windows(3).position(|w| w == [90, 0, 3]).unwrap();
    let reference = request[at..at + 3 + 2 + "lace@x.y".len() + 4 + 12].to_vec();
    let mut frame = vec![112, 131, 104, 4, 97, 28, 106, 106];
    frame.extend(&reference);
    frame.extend([131, 109, 0, 1, 0, 0]);
    frame.resize(frame.len() + 65_536, b'x');
    theirs.write_u32(frame.len() as u32).await.unwrap();
    theirs.write_all(&frame).await.unwrap();
    assert!(matches!(calling.await.unwrap(), Err(CallError::Large(_))));
    assert_eq!(link.why_closed(), None, "the link goes on");
}

#[tokio::test]
async fn what_is_asked_of_us_is_refused_politely() {
    let (mut theirs, _link) = linked().await;
    let pid = Term::Pid(lace_beam::term::Pid { node: "game@x.y".into(), id: 1, serial: 0, creation: 9 });
    let control = Term::tuple([Term::Int(19), pid.clone(), Term::atom("net_kernel"), Term::Int(5)]);
    let mut body = BytesMut::from(&[112u8][..]);
    encode(&control, &mut body).unwrap();
    theirs.write_u32(body.len() as u32).await.unwrap();
    theirs.write_all(&body).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), next_request(&mut theirs)).await.unwrap();
    let mut decoder = lace_beam::term::decode::Decoder::new(&answer[1..], 100);
    assert_eq!(decoder.versioned().unwrap().to_string(), "{28,net_kernel,<'game@x.y'.1.0>,5}");
    assert_eq!(decoder.versioned().unwrap(), Term::atom("noproc"));
}
