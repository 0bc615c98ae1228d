//! Connections to one node: kept open, taken again, opened when none is free.

use super::body::Upload;
use super::crew;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Unused connections that are kept for one node by one thread.
const IDLE_MAX: usize = 128;
/// A thread keeps its own on one of these.
const SHELVES: usize = 16;
/// An unused connection is closed after this time: before the usual 5 s of web servers, so that a request seldom meets
/// a node that is about to close it.
const IDLE_FOR: Duration = Duration::from_secs(4);
/// A connection that was just given back is ready within this time.
const READY_WITHIN: Duration = Duration::from_millis(5);
/// A node whose host vanished says nothing: a quiet connection is probed after this time, and again so often (tcp(7)).
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// So many probes without an answer end a connection. One that is alive and takes nothing for long (a tunnel whose reader
/// pauses) stays: there is no timeout for what is not acknowledged but the kernel's own.
const PROBES: u32 = 9;
/// A silent h2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A connection of HTTP/1.1 to a node. It ends with this, whatever it is about to do: a task that sends a body to a node
/// which takes none would keep both for ever.
pub(crate) struct Sender {
    requests: http1::SendRequest<Upload>,
    task: AbortHandle,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a request was not answered.
pub(crate) enum Failure {
    /// Nothing of it was sent: it may be given to anybody.
    Unsent(Box<Request<Upload>>),
    /// It may have arrived.
    Broken(hyper::Error),
}

/// The free connections of a node.
#[derive(Default)]
pub(crate) struct Pool {
    /// By the thread of the door that opened them: nobody is woken by another thread's node.
    idle: [Mutex<Vec<(Sender, Instant)>>; SHELVES],
    h2: tokio::sync::Mutex<Option<http2::SendRequest<Upload>>>,
}

impl Pool {
    fn own(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.idle[crew::seat() % SHELVES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection back whose answer was read to its end.
    pub fn give_back(&self, sender: Sender) {
        if sender.requests.is_closed() {
            return;
        }
        let mut idle = self.own();
        if idle.first().is_some_and(|(_, since)| since.elapsed() > IDLE_FOR) {
            idle.retain(|(_, since)| since.elapsed() <= IDLE_FOR);
        }
        if idle.len() < IDLE_MAX {
            idle.push((sender, Instant::now()));
        }
    }

    fn pop(&self) -> Option<(Sender, Instant)> {
        self.own().pop()
    }

    async fn free(&self) -> Option<Sender> {
        while let Some((mut sender, since)) = self.pop() {
            if since.elapsed() > IDLE_FOR {
                continue;
            }
            let requests = &mut sender.requests;
            if requests.is_ready() || matches!(timeout(READY_WITHIN, requests.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
        None
    }

    /// Sends over HTTP/1.1. The connection comes back with the answer.
    pub async fn send(
        &self,
        address: SocketAddr,
        within: Duration,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Sender), Failure> {
        while let Some(mut sender) = self.free().await {
            match sender.requests.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                // It was closed while nobody looked.
                Err(error) => request = unsent(error)?,
            }
        }
        let mut sender = match connect(address, within).await {
            Ok(sender) => sender,
            Err(error) => {
                tracing::debug!(%address, %error, "node not reached");
                return Err(Failure::Unsent(Box::new(request)));
            }
        };
        match sender.requests.try_send_request(request).await {
            Ok(response) => Ok((response, sender)),
            Err(error) => Err(Failure::Unsent(Box::new(unsent(error)?))),
        }
    }

    /// Sends over h2 with prior knowledge; all requests share one connection.
    pub async fn send_h2(
        &self,
        address: SocketAddr,
        within: Duration,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut sender = match self.shared(address, within).await {
            Ok(sender) => sender,
            Err(error) => {
                tracing::debug!(%address, %error, "node not reached");
                return Err(Failure::Unsent(Box::new(request)));
            }
        };
        match sender.try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(error) => Err(Failure::Unsent(Box::new(unsent(error)?))),
        }
    }

    async fn shared(&self, address: SocketAddr, within: Duration) -> io::Result<http2::SendRequest<Upload>> {
        let mut shared = self.h2.lock().await;
        if let Some(sender) = shared.as_ref().filter(|s| !s.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = dial(address, within).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .adaptive_window(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        *shared = Some(sender.clone());
        Ok(sender)
    }
}

/// The request, where it was not sent.
fn unsent(mut error: TrySendError<Request<Upload>>) -> Result<Request<Upload>, Failure> {
    error.take_message().ok_or_else(|| Failure::Broken(error.into_error()))
}

async fn connect(address: SocketAddr, within: Duration) -> io::Result<Sender> {
    let stream = dial(address, within).await?;
    let (requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let task = tokio::spawn(connection.with_upgrades()).abort_handle();
    Ok(Sender { requests, task })
}

/// A new connection to a node.
pub(super) async fn dial(address: SocketAddr, within: Duration) -> io::Result<TcpStream> {
    let stream = timeout(within, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(&stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(&stream, PROBES)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_vanished_is_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let at = listener.local_addr().expect("bound");
        let stream = dial(at, Duration::from_secs(5)).await.expect("connected");
        assert!(sockopt::socket_keepalive(&stream).expect("an option"));
        assert_eq!(sockopt::tcp_keepidle(&stream).expect("an option"), PROBE_AFTER);
        assert_eq!(sockopt::tcp_keepcnt(&stream).expect("an option"), PROBES);
    }
}
