//! Questions and answers as datagrams.

use super::clients::Hold;
use super::{Desk, Dice, Packet, Question, Step, Transport, bind, code};
use crate::NetError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// No honest question is longer; what is cut here cannot be read.
const QUESTION_BYTES_MAX: usize = 4_096;
/// Those who may not ask share one client's bound, so that they cost us little.
const STRANGERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

pub(super) async fn serve(desk: Arc<Desk>, address: SocketAddr) -> Result<(), NetError> {
    let socket = Arc::new(bind::udp(address).await?);
    tracing::info!(%address, "answering DNS over UDP");
    let mut dice = Dice::new(getrandom::u64().map_err(NetError::Random)?);
    let mut forwards = JoinSet::new();
    let mut buffer = vec![0; QUESTION_BYTES_MAX];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // Linux reports a client's ICMP refusals here; they say nothing about the socket.
                tracing::debug!(%address, %error, "receiving failed");
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
        };
        while forwards.try_join_next().is_some() {}
        match decide(&desk, &buffer[..length], peer.ip(), &mut dice) {
            Step::Drop => {}
            Step::Answer(bytes) => send(&socket, &bytes, peer).await,
            Step::Forward(question) => {
                if let Some(bytes) = forward(&desk, &socket, *question, peer, &mut forwards) {
                    send(&socket, &bytes, peer).await;
                }
            }
        }
    }
}

fn decide(desk: &Desk, bytes: &[u8], ip: IpAddr, dice: &mut Dice) -> Step {
    let known = desk.may_ask(ip);
    if !desk.clients.admit(if known { ip } else { STRANGERS }, Instant::now()) {
        return Step::Drop;
    }
    match desk.responder.step(bytes, Transport::Udp, dice) {
        Step::Drop => Step::Drop,
        _ if !known => Step::Answer(Packet::bare(bytes, code::REFUSED)),
        step => step,
    }
}

/// The answer, where it is known or refused at once; else it comes later.
fn forward(
    desk: &Arc<Desk>,
    socket: &Arc<UdpSocket>,
    Question(ask): Question,
    peer: SocketAddr,
    forwards: &mut JoinSet<()>,
) -> Option<Vec<u8>> {
    if let Some(bytes) = desk.upstream.cached(&ask) {
        return Some(bytes);
    }
    let Some(held) = desk.clients.hold(peer.ip(), Hold::Forward, Instant::now()) else {
        return Some(Packet::reply(&ask, code::FAILED, false).finish(true));
    };
    let (desk, socket) = (Arc::clone(desk), Arc::clone(socket));
    forwards.spawn(async move {
        let _held = held;
        let bytes = desk.upstream.resolve(&ask).await;
        send(&socket, &bytes, peer).await;
    });
    None
}

async fn send(socket: &UdpSocket, bytes: &[u8], peer: SocketAddr) {
    if let Err(error) = socket.send_to(bytes, peer).await {
        tracing::debug!(%peer, %error, "sending an answer failed");
    }
}
