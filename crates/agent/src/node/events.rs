//! What PID 1 says, without a thread per node: the socket waits in the runtime's epoll.

use lace_machine::{Event, Events, NodeHandle, Status};
use rustix::net::RecvFlags;
use std::io;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The socket never blocks; the bound is only asked for by the interface.
const NOT_AT_ALL: Duration = Duration::from_millis(1);

/// A subscription.
pub struct NodeEvents {
    /// The node.
    pub node: NodeHandle,
    events: Events,
    /// Another descriptor of the same socket, which tells when there is something to read.
    ready: UnixStream,
}

impl NodeEvents {
    /// Hands the subscription to the runtime.
    pub fn new(node: NodeHandle, events: Events) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(events.as_fd(), true)?;
        let socket = std::os::unix::net::UnixStream::from(events.as_fd().try_clone_to_owned()?);
        Ok(Self { node, ready: UnixStream::from_std(socket)?, events })
    }

    /// The state when the subscription began.
    pub fn status(&self) -> &Status {
        &self.events.status
    }

    /// The next event; nothing when the node is gone. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Event> {
        let Self { events, ready, .. } = self;
        // Some may have come together with the last answer: nothing would announce them.
        let mut looked = take(events);
        loop {
            match looked {
                Ok(event) => return Some(event),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.readable().await.ok()?,
                Err(_) => return None,
            }
            looked = ready.try_io(Interest::READABLE, || take(events));
        }
    }
}

fn take(events: &mut Events) -> io::Result<Event> {
    match events.next_within(Some(NOT_AT_ALL)) {
        Ok(Some(event)) => Ok(event),
        Ok(None) if is_at_end(events) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Nothing came: because nothing is there, or because the other end is closed?
fn is_at_end(events: &Events) -> bool {
    let mut byte = [0; 1];
    let peeked = rustix::net::recv(events.as_fd(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    match peeked {
        Ok((length, _)) => length == 0,
        Err(error) => error != rustix::io::Errno::AGAIN,
    }
}
