//! Listening sockets that outlive the process: whoever started it keeps a second descriptor of each.
//!
//! Both ends of a pair of `SOCK_SEQPACKET` sockets (unix(7)): the child has its end as standard input. A message is a
//! name, with a descriptor (`SCM_RIGHTS`) where one is meant. At its start the child is sent all sockets that are kept,
//! then an empty message. So a child that was killed has a successor at once who takes what waits in the backlog, and
//! nobody outside is refused.

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

const NAME_BYTES_MAX: usize = 256;
/// A door has a few addresses.
const SOCKETS_MAX: usize = 1_024;
/// The child goes, and its successor may come.
const LEAVING: &str = "leaving";
const END: &str = "end";

/// How a listening TCP socket is called.
pub(crate) fn tcp_name(address: SocketAddr) -> String {
    format!("tcp {address}")
}

/// The keeper's end: what it keeps for one child after the other.
#[derive(Debug, Default)]
pub struct Store(Mutex<HashMap<String, OwnedFd>>);

impl Store {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a TCP address before any child is there, so that nobody finds it closed.
    ///
    /// # Errors
    /// Where it cannot be had, as when somebody else has it.
    pub fn listen(&self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address)?;
        self.kept().insert(tcp_name(address), listener.into());
        Ok(())
    }

    /// A channel for a new child: our end, and what becomes its standard input. What is kept waits in it.
    ///
    /// # Errors
    /// Where the kernel gives no sockets.
    pub fn channel(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for (name, socket) in self.kept().iter() {
            send(&ours, name, Some(socket.as_fd()))?;
        }
        send(&ours, END, None)?;
        Ok((ours, theirs))
    }

    /// Listens to a child until it says that it leaves (true), or is gone. Blocks.
    pub fn attend(&self, ours: &OwnedFd) -> bool {
        while let Ok(Some((name, socket))) = receive(ours) {
            match socket {
                Some(socket) => {
                    let mut kept = self.kept();
                    if kept.len() < SOCKETS_MAX || kept.contains_key(&name) {
                        kept.insert(name, socket);
                    }
                }
                None if name == LEAVING => return true,
                None => drop(self.kept().remove(&name)),
            }
        }
        false
    }
}

/// The child's end.
#[derive(Default)]
pub struct Keeper {
    channel: Option<OwnedFd>,
    kept: Mutex<HashMap<String, OwnedFd>>,
}

impl Keeper {
    /// Takes what waits in the channel.
    ///
    /// # Errors
    /// Where it is no such channel.
    pub fn open(channel: OwnedFd) -> io::Result<Self> {
        let mut kept = HashMap::new();
        loop {
            match receive(&channel)? {
                Some((name, Some(socket))) => drop(kept.insert(name, socket)),
                Some((name, None)) if name == END => break,
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(Self { channel: Some(channel), kept: Mutex::new(kept) })
    }

    /// The socket of that name, if a former process had one.
    pub(crate) fn take(&self, name: &str) -> Option<OwnedFd> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// Has a socket kept.
    pub(crate) fn keep(&self, name: &str, socket: BorrowedFd<'_>) {
        let Some(channel) = &self.channel else { return };
        if let Err(error) = send(channel, name, Some(socket)) {
            tracing::warn!(name, %error, "this socket is not kept: the door closes for a moment with this process");
        }
    }

    /// Has a socket closed that is used no more.
    pub(crate) fn forget(&self, name: &str) {
        drop(self.take(name));
        if let Some(channel) = &self.channel {
            let _ = send(channel, name, None);
        }
    }

    /// Says that this process takes no more connections. True where a successor comes.
    pub(crate) fn leave(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| send(channel, LEAVING, None).is_ok())
    }
}

fn send(channel: &OwnedFd, name: &str, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<_> = socket.into_iter().collect();
    if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(channel, &[IoSlice::new(name.as_bytes())], &mut ancillary, flags)?;
    Ok(())
}

/// The next message; nothing where the other end is closed.
fn receive(channel: &OwnedFd) -> io::Result<Option<(String, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; NAME_BYTES_MAX];
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut name)];
        match recvmsg(channel, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    let name = std::str::from_utf8(&name[..received.bytes.min(NAME_BYTES_MAX)]);
    Ok(Some((name.map_err(io::Error::other)?.to_owned(), socket)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_socket_outlives_the_child_that_opened_it() {
        let store = Store::default();
        let (ours, theirs) = store.channel().expect("channel");
        let child = Keeper::open(theirs).expect("empty");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        child.keep("http", listener.as_fd());
        assert!(child.leave(), "somebody hears it");
        assert!(store.attend(&ours), "it leaves");
        drop((listener, child, ours));
        // Nobody accepts at this moment, and nobody is refused.
        let waiting = TcpStream::connect(address).expect("the backlog takes it");
        let (ours, theirs) = store.channel().expect("channel");
        let next = Keeper::open(theirs).expect("one socket");
        let listener = TcpListener::from(next.take("http").expect("kept"));
        let (_, peer) = listener.accept().expect("the one that waited");
        assert_eq!(peer, waiting.local_addr().expect("address"));
        next.forget("http");
        drop(next);
        assert!(!store.attend(&ours), "it is gone");
        assert!(store.kept().is_empty());
        assert!(!Keeper::default().leave(), "nobody hears it");
    }
}
