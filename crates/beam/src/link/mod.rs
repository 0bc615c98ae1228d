//! One connection to one runtime.
//!
//! Two tasks carry it: one writes frames and ticks, one reads and hands results to those who wait. A call is a process
//! that the runtime spawns for us and monitors, as its own `erpc` does; calls do not wait for each other. Dropping the
//! last [`Link`] closes the connection; calls under way end with [`CallError::Link`].

mod call;
mod control;
mod flags;
mod handshake;
mod output;
mod pending;
mod reading;
mod writing;

pub use call::{Answer, Call, CallError, Class, Raised};

use crate::term::{Atom, Home};
use bytes::Bytes;
use pending::Pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

/// Frames that may wait to be written.
const FRAMES_WAITING: usize = 1024;

/// Who we are to the peer.
#[derive(Clone)]
pub struct Identity {
    /// Our node name. It becomes one atom in the peer, so it should be the same each time.
    pub node: String,
    /// The cluster's cookie.
    pub cookie: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Who the peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its node name.
    pub node: Atom,
    /// Which life of it: another one after each restart.
    pub creation: u32,
}

/// What carries the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// TCP.
    Plain,
    /// `inet_tls`: lengths have four bytes during the handshake too.
    Tls,
}

/// The bounds of a link.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What carries it.
    pub packet: Packet,
    /// The whole handshake.
    pub handshake_within: Duration,
    /// `net_ticktime` of the peer: silent for longer, it is gone.
    pub tick_time: Duration,
    /// Largest message that is taken; a larger one fails its call and is passed by.
    pub message_bytes_max: usize,
    /// Calls under way, also those that were given up and whose process has not ended yet.
    pub calls_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            packet: Packet::Plain,
            handshake_within: Duration::from_secs(5),
            tick_time: Duration::from_secs(60),
            message_bytes_max: 16 * 1024 * 1024,
            calls_max: 256,
        }
    }
}

/// Why there is no link (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer closed, or the network did.
    #[error("the connection closed: {0}")]
    Closed(String),
    /// It said nothing for so long.
    #[error("the node has been silent for {0:?}")]
    Silent(Duration),
    /// Another node answers at this address.
    #[error("{found} answers where {wanted} should be")]
    WrongNode {
        /// Who was meant.
        wanted: String,
        /// Who is there.
        found: String,
    },
    /// One of both sides has another cookie.
    #[error("the node has another cookie")]
    Cookie,
    /// The peer does not want us.
    #[error("the node refused the connection: {0}")]
    Refused(String),
    /// Not what the protocol says.
    #[error("not an Erlang node that can be spoken to: {0}")]
    Protocol(&'static str),
}

impl From<std::io::Error> for LinkError {
    fn from(error: std::io::Error) -> Self {
        Self::Closed(error.to_string())
    }
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.shared.close(LinkError::Closed("it was let go of".to_owned()));
    }
}

/// What the tasks and the callers share.
struct Shared {
    me: Home,
    peer: Peer,
    frames: mpsc::Sender<Bytes>,
    pending: Pending,
    room: Arc<Semaphore>,
    closed: watch::Sender<Option<LinkError>>,
    message_bytes_max: usize,
}

impl Shared {
    /// The first reason stays.
    fn close(&self, why: LinkError) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            if is_first {
                *closed = Some(why.clone());
            }
            is_first
        });
        self.pending.fail_all(&why);
    }

    /// A small frame of the protocol itself. A peer that takes nothing loses it, and soon the link.
    fn say(&self, frame: Bytes) {
        let _ = self.frames.try_send(frame);
    }
}

impl Link {
    /// Shakes hands over an open stream with the node called `wanted`, as a hidden node. Set `TCP_NODELAY` before.
    ///
    /// # Errors
    /// [`LinkError`] says which step failed.
    pub async fn connect<S>(
        mut stream: S,
        me: &Identity,
        wanted: &str,
        settings: &Settings,
    ) -> Result<Self, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let random = getrandom::u32().map_err(|_| LinkError::Protocol("no random numbers"))?;
        // 0 to 3 are what old versions used.
        let creation = random | 4;
        let shaking = handshake::shake(&mut stream, settings.packet, me, creation, wanted);
        let shaken = tokio::time::timeout(settings.handshake_within, shaking).await;
        let peer = shaken.map_err(|_| LinkError::Silent(settings.handshake_within))??;
        let (frames, outgoing) = mpsc::channel(FRAMES_WAITING);
        let shared = Arc::new(Shared {
            me: Home { node: Atom(me.node.clone()), creation },
            peer,
            frames,
            pending: Pending::default(),
            room: Arc::new(Semaphore::new(settings.calls_max)),
            closed: watch::Sender::new(None),
            message_bytes_max: settings.message_bytes_max,
        });
        let (reader, writer) = tokio::io::split(stream);
        let reading = tokio::spawn(reading::run(shared.clone(), reader, settings.tick_time));
        let writing = tokio::spawn(writing::run(shared.clone(), writer, outgoing, settings.tick_time));
        let tasks = [reading.abort_handle(), writing.abort_handle()];
        Ok(Self(Arc::new(Inner { shared, tasks })))
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.0.shared.peer
    }

    /// Whose processes are `<0.1.0>` in the texts of this link.
    pub fn home(&self) -> Home {
        Home { node: self.peer().node.clone(), creation: self.peer().creation }
    }

    /// Our own name at the other end.
    pub fn own_node(&self) -> &str {
        self.0.shared.me.node.as_str()
    }

    /// Why it is closed; nothing while it is open.
    pub fn why_closed(&self) -> Option<LinkError> {
        self.0.shared.closed.borrow().clone()
    }

    /// Waits until it is closed.
    pub async fn closed(&self) -> LinkError {
        let mut closed = self.0.shared.closed.subscribe();
        let why = closed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| LinkError::Closed("it was let go of".to_owned()))
    }

    /// Calls under way.
    pub fn calls_under_way(&self) -> usize {
        self.0.shared.pending.len()
    }
}
