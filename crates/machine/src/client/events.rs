//! Events of a node, pushed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::{Connection, NodeHandle};
use crate::error::Result;
use crate::protocol::{Event, Reply, Request, Status};

/// A subscription. It survives a re-exec of PID 1 and ends with the node; a reader that is too
/// slow (256 KiB behind) is cut off and subscribes again.
pub struct Events {
    node: NodeHandle,
    connection: Connection,
    /// The state when the subscription began: no event between it and the first one is lost.
    pub status: Status,
}

impl NodeHandle {
    /// Subscribes to what happens to the process.
    ///
    /// # Errors
    /// [`crate::Error::Control`] when PID 1 does not answer.
    pub fn subscribe(&self) -> Result<Events> {
        let mut connection = self.open()?;
        let sent = connection.send(&Request::Subscribe, &[]);
        sent.map_err(|cause| self.failed(cause))?;
        match connection.receive().map_err(|cause| self.failed(cause))? {
            Some(Reply::Status { status }) => Ok(Events { node: self.clone(), connection, status: *status }),
            other => Err(self.refused(format!("unexpected answer {other:?}"))),
        }
    }
}

impl Events {
    /// The next event; `None` when the node ended or nothing came in time.
    ///
    /// # Errors
    /// [`crate::Error::Control`] when the connection broke.
    pub fn next_within(&mut self, timeout: Option<Duration>) -> Result<Option<Event>> {
        let set = self.connection.stream.set_read_timeout(timeout);
        set.map_err(|cause| self.node.failed(cause))?;
        loop {
            match self.connection.receive() {
                Ok(Some(Reply::Event { event })) => return Ok(Some(event)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(cause) => return Err(self.node.failed(cause)),
            }
        }
    }

    /// For poll(2): readable when an event is there or the node ended.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.stream.as_fd()
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.next_within(None).ok().flatten()
    }
}
