//! What stands between hyper and the socket of a connection of HTTP/1.1.
//!
//! hyper answers a head that it cannot read by itself, with a status and nothing else. The gate knows when no request is
//! open: what hyper writes then is such an answer. It is kept back, and the connection ends with a page of ours. What is
//! not here: a reader of HTTP. Two readers of one head are one too many (decision 19).

use super::exchange::Exchange;
use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of the next head is there.
    Quiet,
    /// A part of a head is there.
    Head,
    /// A request is under way.
    Busy,
    /// No longer HTTP.
    Through,
}

/// The state that the gate, the requests and the one who watches the time share.
#[derive(Default)]
pub(crate) struct Desk {
    phase: AtomicU8,
    /// Bodies in both directions that somebody still holds.
    open: AtomicU32,
    /// Requests so far.
    turns: AtomicU32,
    /// The status that hyper wanted to answer by itself.
    refused: AtomicU16,
    /// The client may still be sending when we close.
    is_last: AtomicBool,
    /// Something was written that is not with the kernel, here or in hyper's buffer: a client that reads slowly.
    is_owed: AtomicBool,
}

impl Desk {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Quiet,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Through,
        }
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// No body in either direction is held by anybody.
    pub fn is_idle(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Requests so far.
    pub fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The phase, and which turn it belongs to. A request whose bodies are both gone is no longer under way.
    pub fn seen(&self) -> (Phase, u32) {
        let phase = match self.phase() {
            Phase::Busy if self.is_idle() && !self.is_owed.load(Ordering::Acquire) => Phase::Quiet,
            phase => phase,
        };
        (phase, self.turns())
    }

    /// The connection goes over to another protocol: nothing is ours any more.
    pub fn goes_over(&self) {
        self.set(Phase::Through);
    }

    /// The connection ends with this answer, though the client may still be sending.
    pub fn ends(&self) {
        self.is_last.store(true, Ordering::Release);
    }

    pub fn is_last(&self) -> bool {
        self.is_last.load(Ordering::Acquire)
    }

    /// The status that hyper wanted to answer by itself, if it did.
    pub fn refused(&self) -> Option<u16> {
        Some(self.refused.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// Everything of the last answer is with the kernel.
    fn flushed(&self) {
        self.is_owed.store(false, Ordering::Release);
        if self.phase() == Phase::Busy && self.is_idle() {
            self.set(Phase::Quiet);
        }
    }
}

/// A request is under way as long as one of these lives.
pub(crate) struct Turn(Arc<Exchange>);

impl Turn {
    /// The next request begins.
    pub fn begin(exchange: &Arc<Exchange>) -> Self {
        let desk = &exchange.desk;
        desk.turns.fetch_add(1, Ordering::Relaxed);
        desk.set(Phase::Busy);
        Self::of(exchange)
    }

    /// Another part of it.
    pub fn of(exchange: &Arc<Exchange>) -> Self {
        exchange.desk.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(exchange))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.desk.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The socket as hyper sees it.
pub(crate) struct Gate<T> {
    pub io: T,
    /// Read before by another of us.
    ahead: Bytes,
    exchange: Arc<Exchange>,
}

impl<T> Gate<T> {
    pub fn new(io: T, ahead: Bytes, exchange: Arc<Exchange>) -> Self {
        exchange.desk.set(Phase::Quiet);
        Self { io, ahead, exchange }
    }

    fn desk(&self) -> &Desk {
        &self.exchange.desk
    }

    fn heard(&self, length: usize) {
        if length > 0 && self.desk().phase() == Phase::Quiet {
            self.desk().set(Phase::Head);
        }
    }

    /// Is it an answer that no request of ours belongs to? Then it goes nowhere.
    fn refuses(&self, written: &[u8]) -> bool {
        if matches!(self.desk().phase(), Phase::Busy | Phase::Through) {
            return false;
        }
        let status = written.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
        let status = status.and_then(|status| status.parse().ok()).unwrap_or(400);
        let _ = self.desk().refused.compare_exchange(0, status, Ordering::AcqRel, Ordering::Relaxed);
        true
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let before = buf.filled().len();
        if gate.ahead.is_empty() {
            ready!(Pin::new(&mut gate.io).poll_read(cx, buf))?;
        } else {
            let length = gate.ahead.len().min(buf.remaining());
            buf.put_slice(&gate.ahead[..length]);
            gate.ahead.advance(length);
        }
        gate.heard(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        if gate.refuses(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        gate.desk().is_owed.store(true, Ordering::Release);
        Pin::new(&mut gate.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        if gate.refuses(bufs.first().map_or(&[], |buf| buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        gate.desk().is_owed.store(true, Ordering::Release);
        Pin::new(&mut gate.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        ready!(Pin::new(&mut gate.io).poll_flush(cx))?;
        gate.desk().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        // Whoever has the last word shuts it.
        if gate.desk().refused().is_some() || gate.desk().is_last() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut gate.io).poll_shutdown(cx)
    }
}
