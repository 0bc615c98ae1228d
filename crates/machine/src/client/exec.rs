//! Commands in a node.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{ANSWER, Connection, NodeHandle};
use crate::error::{Error, Result};
use crate::protocol::{Exit, Reply, Request};
use crate::spec::ExecSpec;

/// A command that runs in a node. Dropping it before the end kills the command's session, unless
/// it was started detached.
pub struct ExecHandle {
    node: NodeHandle,
    connection: Connection,
    /// Its pid inside the node.
    pub pid: i32,
    /// The master of its terminal, when one was asked for.
    pub terminal: Option<OwnedFd>,
}

impl NodeHandle {
    /// Starts a command with the given standard input, output and error; with
    /// [`ExecSpec::pty`] none are sent and the terminal's master comes back.
    ///
    /// # Errors
    /// [`Error::Refused`] with the failing step, for example `exec foo: ENOENT`.
    pub fn exec(&self, spec: &ExecSpec, stdio: [BorrowedFd; 3]) -> Result<ExecHandle> {
        let mut connection = self.open()?;
        let fds = if spec.pty.is_some() { &[][..] } else { &stdio[..] };
        let request = Request::Exec { spec: spec.clone() };
        connection.send(&request, fds).map_err(|cause| self.failed(cause))?;
        match connection.receive().map_err(|cause| self.failed(cause))? {
            Some(Reply::ExecStarted { pid }) => {
                Ok(ExecHandle { node: self.clone(), terminal: connection.fds.pop(), connection, pid })
            }
            Some(Reply::Error { message }) => Err(self.refused(message)),
            Some(other) => Err(self.refused(format!("unexpected answer {other:?}"))),
            None => Err(self.gone()),
        }
    }

    /// Runs a command to its end and takes its output (stdout, stderr), each up to 16 MiB. It ends with the command itself; what
    /// that leaves in the background is not waited for.
    ///
    /// # Errors
    /// As [`NodeHandle::exec`].
    pub fn output(&self, spec: &ExecSpec) -> Result<(Exit, Vec<u8>, Vec<u8>)> {
        self.output_within(spec, UNBOUNDED)
    }

    /// As [`NodeHandle::output`], at most so long: then the command is killed with everything in its session.
    ///
    /// # Errors
    /// As [`NodeHandle::exec`]; [`Error::Timeout`] when the command was killed.
    pub fn output_within(&self, spec: &ExecSpec, within: Duration) -> Result<(Exit, Vec<u8>, Vec<u8>)> {
        let until = Instant::now() + within;
        let failed = |cause: io::Error| self.failed(cause);
        let null = std::fs::File::open("/dev/null").map_err(failed)?;
        let (out, out_writer) = io::pipe().map_err(failed)?;
        let (err, err_writer) = io::pipe().map_err(failed)?;
        let mut handle = self.exec(spec, [null.as_fd(), out_writer.as_fd(), err_writer.as_fd()])?;
        drop((out_writer, err_writer));
        let (mut out, mut err) = (Said::new(out).map_err(failed)?, Said::new(err).map_err(failed)?);
        while !wait_for(&handle, [&out, &err], until).map_err(failed)? {
            if Instant::now() >= until {
                return Err(Error::Timeout("the command", within.as_millis() as u64));
            }
            out.take();
            err.take();
        }
        let exit = handle.wait(Some(ANSWER))?;
        out.take();
        err.take();
        Ok((exit, out.bytes, err.bytes))
    }
}

/// One of a command's outputs, taken without waiting.
struct Said {
    pipe: Option<io::PipeReader>,
    bytes: Vec<u8>,
}

impl Said {
    fn new(pipe: io::PipeReader) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), bytes: Vec::new() })
    }

    /// Takes what is there, of who never stops some at a time; what is beyond the bound is dropped.
    fn take(&mut self) {
        let mut some = [0; 8 << 10];
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { return };
            match io::Read::read(pipe, &mut some) {
                Ok(1..) if self.bytes.len() as u64 >= OUTPUT_BYTES_MAX => {}
                Ok(length @ 1..) => self.bytes.extend_from_slice(&some[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => self.pipe = None,
            }
        }
    }
}

/// Sleeps until the command has ended (true), something was said, or the time is over.
fn wait_for(handle: &ExecHandle, said: [&Said; 2], until: Instant) -> io::Result<bool> {
    if !handle.connection.inbox.is_empty() {
        // The end of a short command comes along with the word that it began: nothing would announce it.
        return Ok(true);
    }
    let mut fds = vec![PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
    let pipes = said.into_iter().filter_map(|said| said.pipe.as_ref());
    fds.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    match poll(&mut fds, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(!fds[0].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}

/// Bytes of output taken by [`NodeHandle::output`].
const OUTPUT_BYTES_MAX: u64 = 16 << 20;

/// Longer than any command takes.
const UNBOUNDED: Duration = Duration::from_secs(365 * 86_400);

impl ExecHandle {
    /// Waits for the end, at most so long (for ever when absent).
    ///
    /// # Errors
    /// [`Error::Timeout`], or [`Error::Control`] when the node ends first.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Exit> {
        let set = self.connection.stream.set_read_timeout(timeout);
        set.map_err(|cause| self.node.failed(cause))?;
        loop {
            match self.connection.receive() {
                Ok(Some(Reply::ExecExited { exit })) => return Ok(exit),
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.node.gone()),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    let waited = timeout.unwrap_or(ANSWER).as_millis() as u64;
                    return Err(Error::Timeout("the command", waited));
                }
                Err(cause) => return Err(self.node.failed(cause)),
            }
        }
    }

    /// Sends the command a signal; for a terminal, to its process group.
    ///
    /// # Errors
    /// [`Error::Control`] when the node is gone.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let request = Request::ExecSignal { signal };
        self.connection.send(&request, &[]).map_err(|cause| self.node.failed(cause))
    }

    /// Kills the command with everything in its session.
    pub fn kill(self) {
        // PID 1 kills the session when the connection ends.
    }

    /// Sets the size of the terminal.
    ///
    /// # Errors
    /// [`Error::Refused`] without a terminal.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let Some(terminal) = &self.terminal else {
            return Err(self.node.refused("the command has no terminal".to_owned()));
        };
        crate::pid1::set_size(terminal, rows, columns).map_err(|cause| self.node.failed(cause))
    }

    /// Becomes readable when the end of the command can be taken with [`ExecHandle::wait`]. A short command's may have come
    /// along with the word that it began: try to take it first.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.stream.as_fd()
    }
}
