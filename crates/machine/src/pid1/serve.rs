//! The control socket: connections, requests, answers.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::process::Then;
use super::put;
use super::reexec;
use super::supervisor::Supervisor;
use crate::protocol::{self, Reply, Request, VERSION};
use crate::sys::{self, check, fdpass, own};

/// Connections at the same time: 128 commands, some subscribers, some questions.
const CLIENTS_MAX: usize = 192;
/// Bytes waiting for a slow reader before it is cut off; it reconnects and reads the status.
const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// One connection.
pub(super) struct Client {
    pub id: u64,
    pub socket: OwnedFd,
    pub inbox: Vec<u8>,
    pub fds: Vec<OwnedFd>,
    pub outbox: Vec<u8>,
    pub subscribed: bool,
    /// Waits for the end of a stop.
    pub waiting: bool,
    /// The command that it started.
    pub session: Option<i32>,
    pub gone: bool,
}

impl Client {
    pub fn new(id: u64, socket: OwnedFd) -> Self {
        Client {
            id,
            socket,
            inbox: Vec::new(),
            fds: Vec::new(),
            outbox: Vec::new(),
            subscribed: false,
            waiting: false,
            session: None,
            gone: false,
        }
    }

    pub fn poll(&self) -> libc::pollfd {
        let write = if self.outbox.is_empty() { 0 } else { libc::POLLOUT };
        libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN | write, revents: 0 }
    }

    pub fn send(&mut self, reply: &Reply) {
        self.outbox.extend_from_slice(&protocol::encode(reply));
        self.flush(&[]);
    }

    fn send_with(&mut self, reply: &Reply, fd: BorrowedFd) {
        self.flush(&[]);
        if !self.outbox.is_empty() {
            self.gone = true;
            return;
        }
        self.outbox = protocol::encode(reply);
        self.flush(&[fd]);
    }

    fn flush(&mut self, fds: &[BorrowedFd]) {
        let mut fds = fds;
        while !self.outbox.is_empty() && !self.gone {
            match fdpass::send(self.socket.as_fd(), &self.outbox, fds) {
                Ok(n) => {
                    self.outbox.drain(..n);
                    fds = &[];
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => self.gone = true,
            }
        }
        self.gone |= self.outbox.len() > OUTBOX_BYTES_MAX;
    }

    /// Reads what is there; false at the end of the stream.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match fdpass::receive(self.socket.as_fd(), &mut buffer, &mut self.fds) {
                Ok(0) => return false,
                Ok(n) => self.inbox.extend_from_slice(&buffer[..n]),
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
            if self.inbox.len() > protocol::FRAME_BYTES_MAX + 4096 || self.fds.len() > 8 {
                return false;
            }
        }
    }
}

impl Supervisor {
    pub(super) fn accept(&mut self) {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let listener = self.listener.as_raw_fd();
        let none = std::ptr::null_mut();
        // SAFETY: no address is asked for.
        let Ok(fd) = check(unsafe { libc::accept4(listener, none, none.cast(), flags) }.into()) else {
            return;
        };
        let socket = own(fd);
        if self.clients.len() >= CLIENTS_MAX {
            return;
        }
        let id = self.clients.iter().map(|c| c.id).max().unwrap_or(0) + 1;
        let mut client = Client::new(id, socket);
        client.send(&Reply::Hello { version: VERSION });
        self.clients.push(client);
    }

    pub(super) fn serve_clients(&mut self, ready: &impl Fn(RawFd) -> bool) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if !ready(client.socket.as_raw_fd()) {
                continue;
            }
            client.flush(&[]);
            let open = client.fill();
            self.take_requests(index);
            self.clients[index].gone |= !open;
        }
        let gone = |c: &Client| c.gone.then_some(c.id);
        let gone: Vec<u64> = self.clients.iter().filter_map(gone).collect();
        self.clients.retain(|c| !c.gone);
        for id in gone {
            self.abandon(id);
        }
    }

    fn take_requests(&mut self, index: usize) {
        loop {
            let client = &mut self.clients[index];
            let frame = match protocol::take_frame(&mut client.inbox) {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(_) => {
                    client.gone = true;
                    return;
                }
            };
            let request = serde_json::from_slice(&frame).unwrap_or(Request::Unknown);
            if let Some(reply) = self.handle(index, request) {
                self.clients[index].send(&reply);
            }
        }
    }

    /// Does what is asked; `None` when the answer was given or comes later.
    fn handle(&mut self, index: usize, request: Request) -> Option<Reply> {
        match request {
            Request::Status => Some(self.status_reply()),
            Request::Exec { spec } => self.handle_exec(index, &spec),
            Request::ExecSignal { signal } => Some(self.signal_session(index, signal)),
            Request::Stop { signal, grace_ms } => {
                self.clients[index].waiting = true;
                self.stop_main(signal, grace_ms, Then::Stopped);
                None
            }
            Request::Restart { life } if life.is_some_and(|life| !self.is_alive(life)) => {
                Some(error("that process does not run"))
            }
            Request::Restart { .. } => {
                self.clients[index].waiting = true;
                self.stop_main(None, None, Then::Restart);
                None
            }
            Request::Shutdown { grace_ms } => {
                self.clients[index].waiting = true;
                self.shut_down(grace_ms);
                None
            }
            Request::Start { process } => self.handle_start(index, process.map(|p| *p)),
            Request::Signal { signal } => Some(self.signal_main(signal)),
            Request::Subscribe => {
                self.clients[index].subscribed = true;
                Some(self.status_reply())
            }
            Request::Reexec => {
                let fd = self.clients[index].fds.pop();
                let message = reexec::replace(self, index, fd).to_string();
                Some(Reply::Error { message })
            }
            Request::Put { path, mode } => {
                let content = self.clients[index].fds.pop();
                let put = content.map(|content| put::put(&path, mode, content, self.user));
                Some(match put {
                    Some(Ok(())) => Reply::Done,
                    Some(Err(failed)) => error(&format!("put {}: {failed}", path.display())),
                    None => error("put: a descriptor must come along"),
                })
            }
            Request::VoteSet { set } => Some(self.handle_vote(|ballot| ballot.order(set))),
            Request::Witness { message } => Some(self.handle_witness(message)),
            Request::Stand { life, preference } => Some(self.handle_stand(life, preference)),
            Request::BeginUse { life } => Some(self.handle_begin_use(life)),
            Request::EndUse { life } => Some(self.handle_end_use(life)),
            Request::Unknown => Some(error("this node's pid1 does not know the request")),
        }
    }

    fn status_reply(&self) -> Reply {
        Reply::Status { status: Box::new(self.status()) }
    }

    fn handle_exec(&mut self, index: usize, spec: &crate::spec::ExecSpec) -> Option<Reply> {
        let client = &mut self.clients[index];
        let (id, fds) = (client.id, std::mem::take(&mut client.fds));
        if client.session.is_some() {
            return Some(error("this connection has a command already"));
        }
        match self.exec(id, spec, fds) {
            Err(failed) => Some(error(&failed.to_string())),
            Ok((pid, master)) => {
                let client = &mut self.clients[index];
                client.session = Some(pid);
                let reply = Reply::ExecStarted { pid };
                match master {
                    Some(master) => client.send_with(&reply, master.as_fd()),
                    None => client.send(&reply),
                }
                None
            }
        }
    }

    fn handle_start(&mut self, index: usize, process: Option<crate::spec::ProcessSpec>) -> Option<Reply> {
        if let Some(spec) = process {
            self.log.set_bounds(spec.log_bytes_max, spec.log_files);
            self.spec = Some(spec);
        }
        self.failures = 0;
        self.restarts = 0;
        if self.main.is_some() {
            self.clients[index].waiting = true;
            self.stop_main(None, None, Then::Restart);
            return None;
        }
        Some(match self.start_main() {
            Ok(()) => Reply::Done,
            Err(failed) => error(&failed.to_string()),
        })
    }

    fn signal_main(&self, signal: i32) -> Reply {
        let sent = self.main.as_ref().map(|m| sys::process::kill(m.pid, signal));
        match sent {
            Some(Ok(())) => Reply::Done,
            Some(Err(failed)) => error(&format!("signal {signal}: {failed}")),
            None => error("no process is running"),
        }
    }

    fn signal_session(&self, index: usize, signal: i32) -> Reply {
        let sent = self.clients[index].session.map(|sid| {
            // The foreground group of a terminal may be another one than the leader's.
            sys::process::kill(-sid, signal).or_else(|_| sys::process::kill(sid, signal))
        });
        match sent {
            Some(Ok(())) => Reply::Done,
            _ => error("no command is running on this connection"),
        }
    }
}

pub(super) fn error(message: &str) -> Reply {
    Reply::Error { message: message.to_owned() }
}
