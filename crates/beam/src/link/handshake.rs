//! The handshake, version 6 (OTP 23 and later), as the side that connects.
//!
//! Source: "Distribution Handshake" in the ERTS User's Guide. The cookie is never sent, in either direction: each side
//! answers the other's number with an MD5 over both.

use super::{Identity, LinkError, Packet, Peer, flags};
use crate::term::Atom;
use bytes::{Buf, BufMut, BytesMut};
use md5::{Digest, Md5};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest message of a handshake: a name and a few numbers.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Becomes a hidden node of the peer, which must be called `wanted`.
pub(super) async fn shake<S>(
    stream: &mut S,
    packet: Packet,
    me: &Identity,
    creation: u32,
    wanted: &str,
) -> Result<Peer, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk { stream, packet };
    talk.send(&name(me, creation)).await?;
    match talk.receive().await?.strip_prefix(b"s") {
        Some(b"ok" | b"ok_simultaneous") => {}
        // It has not noticed yet that our last connection ended.
        Some(b"alive") => talk.send(b"strue").await?,
        Some(b"nok") => {
            return Err(LinkError::Refused("another connection of ours is being made".to_owned()));
        }
        Some(b"not_allowed") => return Err(LinkError::Refused("the node allows only some nodes".to_owned())),
        _ => return Err(LinkError::Protocol("no status in its handshake")),
    }
    let (peer, challenge) = challenge(&talk.receive().await?)?;
    if peer.node.as_str() != wanted {
        return Err(LinkError::WrongNode { wanted: wanted.to_owned(), found: peer.node.0 });
    }
    let ours = getrandom::u32().map_err(|_| LinkError::Protocol("no random numbers"))?;
    let mut reply = BytesMut::new();
    reply.put_u8(b'r');
    reply.put_u32(ours);
    reply.put_slice(&digest(&me.cookie, challenge));
    talk.send(&reply).await?;
    // A node that does not like the answer closes without a word.
    let ack = match talk.receive().await {
        Err(LinkError::Closed(_)) => return Err(LinkError::Cookie),
        other => other?,
    };
    let expected = digest(&me.cookie, ours);
    match ack.strip_prefix(b"a") {
        Some(theirs) if theirs == expected => Ok(peer),
        Some(_) => Err(LinkError::Cookie),
        None => Err(LinkError::Protocol("no acknowledgement in its handshake")),
    }
}

fn name(me: &Identity, creation: u32) -> BytesMut {
    let mut message = BytesMut::new();
    message.put_u8(b'N');
    message.put_u64(flags::OURS);
    message.put_u32(creation);
    message.put_u16(me.node.len() as u16);
    message.put_slice(me.node.as_bytes());
    message
}

fn challenge(message: &[u8]) -> Result<(Peer, u32), LinkError> {
    let Some(mut rest) = message.strip_prefix(b"N") else {
        return Err(LinkError::Protocol("no challenge in its handshake: OTP 23 or later is needed"));
    };
    if rest.len() < 8 + 4 + 4 + 2 {
        return Err(LinkError::Protocol("its challenge is cut off"));
    }
    let (flags, challenge, creation) = (rest.get_u64(), rest.get_u32(), rest.get_u32());
    let length = usize::from(rest.get_u16());
    let node = rest.get(..length).and_then(|name| str::from_utf8(name).ok());
    let node = Atom::from(node.ok_or(LinkError::Protocol("its name is cut off"))?);
    if flags & flags::NEEDED != flags::NEEDED {
        return Err(LinkError::Protocol("it lacks what OTP 23 and later can do"));
    }
    Ok((Peer { node, creation }, challenge))
}

fn digest(cookie: &str, challenge: u32) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(cookie.as_bytes());
    hash.update(challenge.to_string().as_bytes());
    hash.finalize().into()
}

/// Messages with their length before them.
struct Talk<'a, S> {
    stream: &'a mut S,
    packet: Packet,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let mut out = BytesMut::with_capacity(4 + message.len());
        match self.packet {
            Packet::Plain => out.put_u16(message.len() as u16),
            Packet::Tls => out.put_u32(message.len() as u32),
        }
        out.put_slice(message);
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, LinkError> {
        let length = match self.packet {
            Packet::Plain => usize::from(self.stream.read_u16().await?),
            Packet::Tls => self.stream.read_u32().await? as usize,
        };
        if length > MESSAGE_BYTES_MAX {
            return Err(LinkError::Protocol("what answers is no Erlang node"));
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).await?;
        Ok(message)
    }
}
