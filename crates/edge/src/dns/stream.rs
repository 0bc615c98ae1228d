//! Questions and answers over TCP (RFC 7766): each behind its length in two bytes.

use super::clients::{Held, Hold};
use super::{Desk, Dice, Packet, Question, Step, Transport, bind, code};
use crate::NetError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// No honest question is longer.
const QUESTION_BYTES_MAX: usize = 4_096;

pub(super) async fn serve(desk: Arc<Desk>, address: SocketAddr) -> Result<(), NetError> {
    let listener = bind::tcp(address).await?;
    tracing::info!(%address, "answering DNS over TCP");
    let seed = getrandom::u64().map_err(NetError::Random)?;
    let mut streams = JoinSet::new();
    for number in 0_u64.. {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, most likely: the connections that end give some back.
                tracing::warn!(%address, %error, "not accepting");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while streams.try_join_next().is_some() {}
        let ip = peer.ip();
        let held = if desk.may_ask(ip) { desk.clients.hold(ip, Hold::Stream, Instant::now()) } else { None };
        if let Some(held) = held {
            let dice = Dice::new(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            streams.spawn(attend(Arc::clone(&desk), stream, ip, dice, held));
        }
    }
    Ok(())
}

async fn attend(desk: Arc<Desk>, mut stream: TcpStream, ip: IpAddr, mut dice: Dice, held: Held) {
    let idle = desk.clients.stream_idle();
    let _held = held;
    loop {
        let Ok(Ok(bytes)) = timeout(idle, read(&mut stream)).await else {
            return;
        };
        if !desk.clients.admit(ip, Instant::now()) {
            return;
        }
        let answer = match desk.responder.step(&bytes, Transport::Tcp, &mut dice) {
            Step::Drop => return,
            Step::Answer(answer) => answer,
            Step::Forward(question) => forward(&desk, *question, ip).await,
        };
        let Ok(Ok(())) = timeout(idle, write(&mut stream, &answer)).await else {
            return;
        };
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > QUESTION_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), answer].concat()).await
}

async fn forward(desk: &Desk, Question(ask): Question, ip: IpAddr) -> Vec<u8> {
    if let Some(bytes) = desk.upstream.cached(&ask) {
        return bytes;
    }
    match desk.clients.hold(ip, Hold::Forward, Instant::now()) {
        Some(_held) => desk.upstream.resolve(&ask).await,
        None => Packet::reply(&ask, code::FAILED, false).finish(true),
    }
}
