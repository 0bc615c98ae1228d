//! One question to one upstream.

use crate::dns::Ask;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const HEADER_BYTES: usize = 12;
/// What we offer upstream, and the room for what may come unasked.
const PAYLOAD: u16 = 1_232;
const DATAGRAM_BYTES_MAX: usize = 4_096;

/// The query for an upstream. Behind the id it depends on nothing but the question, so it is the cache's key too.
pub(super) fn query(ask: &Ask, id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    let extended = u8::from(ask.edns.is_some());
    bytes.extend_from_slice(&[1, u8::from(ask.checking_disabled) << 4]);
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, extended]);
    bytes.extend_from_slice(&ask.question(true));
    if let Some(edns) = ask.edns {
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&PAYLOAD.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, u8::from(edns.dnssec) << 7, 0, 0, 0]);
    }
    bytes
}

/// Bytes of the question in a query of ours.
pub(super) fn question(query: &[u8]) -> &[u8] {
    let name = query.get(HEADER_BYTES..).unwrap_or(&[]);
    let mut end = 0;
    while let Some(length) = name.get(end).filter(|length| **length > 0) {
        end += 1 + usize::from(*length);
    }
    name.get(..end + 5).unwrap_or(&[])
}

/// Asks by datagram, and by stream where the answer says that it was cut.
pub(super) async fn ask(to: SocketAddr, query: &[u8], time: Duration) -> io::Result<Vec<u8>> {
    let reply = timeout(time, by_datagram(to, query)).await??;
    if reply[2] & 0x02 == 0 {
        return Ok(reply);
    }
    // A cut answer is better than none, where the upstream has no TCP.
    match timeout(time, by_stream(to, query)).await {
        Ok(Ok(whole)) => Ok(whole),
        _ => Ok(reply),
    }
}

/// A socket of its own for each question: its port, chosen by the kernel, is part of the secret (RFC 5452).
async fn by_datagram(to: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if fits(query, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_stream(to: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    if fits(query, &reply) { Ok(reply) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Is this an answer to that query? An upstream that fails may leave the question out.
pub(super) fn fits(query: &[u8], reply: &[u8]) -> bool {
    let Some(header) = reply.first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    let question = question(query);
    let named = header[4..6] == [0, 1]
        && reply[HEADER_BYTES..].len() >= question.len()
        && reply[HEADER_BYTES..][..question.len()].eq_ignore_ascii_case(question);
    let mute = header[4..6] == [0, 0] && header[3] & 0x0F != 0;
    header[..2] == query[..2] && header[2] & 0xF8 == 0x80 && (named || mute)
}
