//! The agent's side of a node's control socket.

mod events;
mod exec;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use events::Events;
pub use exec::ExecHandle;

use crate::boot::SOCKET;
use crate::error::{Error, Result};
use crate::protocol::{self, Life, Reply, Request, Status};
use crate::spec::{ProcessSpec, VoteSeats};
use crate::sys::fdpass;

/// PID 1 answers at once, except for a stop, which waits for the process.
const ANSWER: Duration = Duration::from_secs(30);

/// A node that can be talked to. Every request opens a connection of its own, so a handle may be
/// shared between threads, and survives a re-exec of PID 1.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    id: String,
    dir: PathBuf,
}

/// One connection: frames in both directions.
pub(crate) struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    fds: Vec<OwnedFd>,
    /// Protocol version of the node's PID 1.
    pub version: u32,
}

impl Connection {
    fn open(dir: &Path) -> io::Result<Connection> {
        let stream = connect(dir)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let mut connection = Connection { stream, inbox: Vec::new(), fds: Vec::new(), version: 0 };
        match connection.receive()? {
            Some(Reply::Hello { version }) => connection.version = version,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no greeting")),
        }
        Ok(connection)
    }

    fn send(&self, request: &Request, fds: &[BorrowedFd]) -> io::Result<()> {
        let frame = protocol::encode(request);
        let mut rest = &frame[fdpass::send(self.stream.as_fd(), &frame, fds)?..];
        while !rest.is_empty() {
            rest = &rest[fdpass::send(self.stream.as_fd(), rest, &[])?..];
        }
        Ok(())
    }

    /// The next frame; `None` at the end of the stream.
    fn receive(&mut self) -> io::Result<Option<Reply>> {
        loop {
            if let Some(frame) = protocol::take_frame(&mut self.inbox)? {
                let reply = serde_json::from_slice(&frame);
                return reply.map(Some).map_err(io::Error::other);
            }
            let mut buffer = [0; 4096];
            match fdpass::receive(self.stream.as_fd(), &mut buffer, &mut self.fds) {
                Ok(0) => return Ok(None),
                Ok(n) => self.inbox.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Addresses of unix sockets hold 107 bytes: long paths go through a descriptor.
fn connect(dir: &Path) -> io::Result<UnixStream> {
    let direct = dir.join(SOCKET);
    if direct.as_os_str().len() < 100 {
        return UnixStream::connect(direct);
    }
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let dir = crate::sys::open_at(libc::AT_FDCWD, dir, flags, 0)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

impl NodeHandle {
    pub(crate) fn connect(id: &str, dir: &Path) -> Result<NodeHandle> {
        if !dir.is_dir() {
            return Err(Error::Unknown(id.to_owned()));
        }
        let handle = NodeHandle { id: id.to_owned(), dir: dir.to_owned() };
        handle.open()?;
        Ok(handle)
    }

    /// The node's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn open(&self) -> Result<Connection> {
        Connection::open(&self.dir).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::Control { id: self.id.clone(), cause }
    }

    fn refused(&self, message: String) -> Error {
        Error::Refused { id: self.id.clone(), message }
    }

    fn gone(&self) -> Error {
        self.failed(io::ErrorKind::UnexpectedEof.into())
    }

    fn ask(&self, request: &Request, wait: Option<Duration>, fds: &[BorrowedFd]) -> Result<Reply> {
        let mut connection = self.open()?;
        let set = connection.stream.set_read_timeout(wait);
        let sent = set.and_then(|()| connection.send(request, fds));
        sent.map_err(|cause| self.failed(cause))?;
        match connection.receive() {
            Ok(Some(Reply::Error { message })) => Err(self.refused(message)),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(self.gone()),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    fn order(&self, request: &Request, wait: Option<Duration>) -> Result<()> {
        self.ask(request, wait, &[]).map(drop)
    }

    /// How the process is.
    ///
    /// # Errors
    /// [`Error::Control`] when PID 1 does not answer.
    pub fn status(&self) -> Result<Status> {
        match self.ask(&Request::Status, Some(ANSWER), &[])? {
            Reply::Status { status } => Ok(*status),
            other => Err(self.refused(format!("unexpected answer {other:?}"))),
        }
    }

    /// The protocol version of the node's PID 1.
    ///
    /// # Errors
    /// [`Error::Control`] when it does not answer.
    pub fn version(&self) -> Result<u32> {
        self.open().map(|connection| connection.version)
    }

    /// Ends the process, and after the grace (of its specification unless given) everything in
    /// the node. Returns when it is done. Signal 0 leaves the ending to a command in a session of the
    /// node: the process is not started again when it ends.
    ///
    /// # Errors
    /// [`Error::Control`] when PID 1 does not answer.
    pub fn stop(&self, signal: Option<i32>, grace: Option<Duration>) -> Result<()> {
        let grace_ms = grace.map(|g| g.as_millis() as u64);
        self.order(&Request::Stop { signal, grace_ms }, None)
    }

    /// Starts the process, as a new one when a specification is given; a running one is stopped
    /// first. Returns when exec succeeded.
    ///
    /// # Errors
    /// [`Error::Refused`] with the failing step.
    pub fn start(&self, process: Option<&ProcessSpec>) -> Result<()> {
        let process = process.cloned().map(Box::new);
        self.order(&Request::Start { process }, None)
    }

    /// Stops, then starts. Returns when exec succeeded. With a life, what was found of one life of the process never ends the
    /// next one.
    ///
    /// # Errors
    /// [`Error::Refused`] with the failing step, or because another life runs by now, or none.
    pub fn restart(&self, life: Option<Life>) -> Result<()> {
        self.order(&Request::Restart { life }, None)
    }

    /// Sends the process a signal.
    ///
    /// # Errors
    /// [`Error::Refused`] when none is running.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.order(&Request::Signal { signal }, Some(ANSWER))
    }

    /// Stops the process and ends the node. Returns when PID 1 is about to go.
    ///
    /// # Errors
    /// [`Error::Control`] when PID 1 does not answer.
    pub fn shutdown(&self, grace: Option<Duration>) -> Result<()> {
        let grace_ms = grace.map(|g| g.as_millis() as u64);
        match self.order(&Request::Shutdown { grace_ms }, None) {
            // The end of the stream is an answer too.
            Err(Error::Control { cause, .. })
                if cause.kind() == io::ErrorKind::UnexpectedEof
                    || cause.kind() == io::ErrorKind::ConnectionReset =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Replaces a file in the node, whole; its directory must exist.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason, also by a PID 1 that is too old to know how.
    pub fn put(&self, path: &Path, mode: u32, content: &[u8]) -> Result<()> {
        let memory = crate::sys::memory_file().map_err(|cause| self.failed(cause))?;
        crate::sys::write_all(memory.as_fd(), content).map_err(|cause| self.failed(cause))?;
        let request = Request::Put { path: path.to_owned(), mode };
        self.ask(&request, Some(ANSWER), &[memory.as_fd()]).map(drop)
    }

    /// Tells it who votes on its family's one copy. What is older than what it knows is ignored.
    ///
    /// # Errors
    /// [`Error::Refused`] when the node has no part in votes.
    pub fn vote_set(&self, set: &VoteSeats) -> Result<()> {
        self.order(&Request::VoteSet { set: set.clone() }, Some(ANSWER))
    }

    /// What the witness of its family's votes says.
    ///
    /// # Errors
    /// [`Error::Refused`] when the node has no part in votes.
    pub fn witness(&self, message: lace_vote::Message) -> Result<()> {
        self.order(&Request::Witness { message }, Some(ANSWER))
    }

    /// Its process can run the one copy and wants to; whoever holds with a lower preference makes room.
    ///
    /// # Errors
    /// [`Error::Refused`] when another process runs by now.
    pub fn stand(&self, life: Life, preference: u64) -> Result<()> {
        self.order(&Request::Stand { life, preference }, Some(ANSWER))
    }

    /// The copy is about to be started: from now on the process is killed when the votes are lost.
    ///
    /// # Errors
    /// [`Error::Refused`] when the node does not hold; then the copy must not be started.
    pub fn begin_use(&self, life: Life) -> Result<()> {
        self.order(&Request::BeginUse { life }, Some(ANSWER))
    }

    /// The copy was stopped in order.
    ///
    /// # Errors
    /// [`Error::Refused`] when another process runs by now.
    pub fn end_use(&self, life: Life) -> Result<()> {
        self.order(&Request::EndUse { life }, Some(ANSWER))
    }

    /// Replaces PID 1 by another executable; processes, commands and subscriptions go on.
    /// The executable should be static: a dynamic one is completed by the node's own libraries.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason; the old PID 1 goes on then.
    pub fn reexec(&self, executable: &Path) -> Result<()> {
        let file = crate::sys::open_at(libc::AT_FDCWD, executable, libc::O_RDONLY, 0);
        let file = file.map_err(|cause| self.failed(cause))?;
        self.ask(&Request::Reexec, Some(ANSWER), &[file.as_fd()]).map(drop)
    }
}
