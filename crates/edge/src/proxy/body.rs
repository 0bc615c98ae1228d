//! Bodies on their way through: nothing is gathered, everything has a bound.

use super::account::Account;
use super::exchange::Exchange;
use super::gate::Turn;
use super::pool::Sender;
use super::seat::Seat;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the body is larger than allowed")]
    TooLarge,
    #[error("the body does not go on")]
    Stalled,
}

/// What became of an upload, and whom it waits for; read when the node's side failed, or takes its time.
#[derive(Clone)]
pub(crate) struct Verdict {
    word: Arc<AtomicU8>,
    received: Arc<AtomicU64>,
    begun: Instant,
    /// Since when it is the node's turn, in milliseconds since it began; [`CLIENTS_TURN`] while the client is to go on.
    turn: Arc<AtomicU64>,
}

const CLIENTS_TURN: u64 = u64::MAX;

impl Default for Verdict {
    fn default() -> Self {
        Self { word: Arc::default(), received: Arc::default(), begun: Instant::now(), turn: Arc::default() }
    }
}

const TOO_LARGE: u8 = 1;
const STALLED: u8 = 2;
const BROKEN: u8 = 3;

impl Verdict {
    /// Bytes so far.
    pub fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    pub fn is_too_large(&self) -> bool {
        self.word.load(Ordering::Acquire) == TOO_LARGE
    }

    pub fn is_stalled(&self) -> bool {
        self.word.load(Ordering::Acquire) == STALLED
    }

    /// The client went away in the middle of it, or wrote what is no body.
    pub fn is_broken(&self) -> bool {
        self.word.load(Ordering::Acquire) == BROKEN
    }

    /// Since when the node has everything that the client sent so far, and is to take more or to answer. Nothing while
    /// the client is to go on.
    fn nodes_turn(&self) -> Option<Instant> {
        let since = self.turn.load(Ordering::Acquire);
        (since != CLIENTS_TURN).then(|| self.begun + Duration::from_millis(since))
    }

    fn is_nodes_turn(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(CLIENTS_TURN - 1);
        self.turn.store(since, Ordering::Release);
    }

    fn is_clients_turn(&self) {
        self.turn.store(CLIENTS_TURN, Ordering::Release);
    }

    /// Over when it was the node's turn for so long without a pause. The time that a client takes for its upload is not
    /// the node's.
    pub async fn late(&self, within: Duration) {
        let begun = Instant::now();
        let mut until = begun + within;
        loop {
            tokio::time::sleep_until(until).await;
            let now = Instant::now();
            until = match self.nodes_turn() {
                Some(since) if since.max(begun) + within <= now => return,
                Some(since) => since.max(begun) + within,
                None => now + within,
            };
        }
    }
}

/// A request's body on its way to a node.
pub(crate) enum Upload {
    Nothing,
    Stream(Box<Stream>),
}

pub(crate) struct Stream {
    /// Given back before the body is: its end lets the next request begin.
    _turn: Turn,
    from: Incoming,
    left: u64,
    idle: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
    verdict: Verdict,
}

impl Upload {
    pub fn of(
        from: Incoming,
        (bytes_max, idle): (u64, Duration),
        verdict: &Verdict,
        exchange: &Arc<Exchange>,
    ) -> Self {
        if from.is_end_stream() {
            return Self::Nothing;
        }
        let (verdict, turn) = (verdict.clone(), Turn::of(exchange));
        Self::Stream(Box::new(Stream { _turn: turn, from, left: bytes_max, idle, alarm: None, verdict }))
    }
}

impl Stream {
    fn fail(&self, verdict: u8, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.verdict.word.store(verdict, Ordering::Release);
        Poll::Ready(Some(Err(error)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.from).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.alarm = None;
                self.verdict.is_nodes_turn();
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.verdict.received.fetch_add(length, Ordering::Relaxed);
                match self.left.checked_sub(length) {
                    Some(left) => self.left = left,
                    None => return self.fail(TOO_LARGE, BodyError::TooLarge),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail(BROKEN, error.into()),
            Poll::Ready(None) => {
                self.verdict.is_nodes_turn();
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.verdict.is_clients_turn();
                let idle = self.idle;
                let alarm = self
                    .alarm
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
                ready!(alarm.as_mut().poll(cx));
                self.fail(STALLED, BodyError::Stalled)
            }
        }
    }
}

impl Drop for Stream {
    /// Who sends it needs nothing more of it.
    fn drop(&mut self) {
        self.verdict.is_nodes_turn();
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Nothing => Poll::Ready(None),
            Self::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Stream(stream) => stream.from.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.from.size_hint(),
        }
    }
}

/// An answer's body on its way to the client.
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    Stream(Download),
}

/// Holds the seat at the node; gives the connection back where the answer was read to its end.
pub(crate) struct Download {
    from: Incoming,
    sender: Option<Sender>,
    seat: Seat,
    account: Option<Account>,
}

impl Download {
    pub fn new(from: Incoming, sender: Option<Sender>, seat: Seat) -> Self {
        Self { from, sender, seat, account: None }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take().filter(|_| self.from.is_end_stream()) {
            self.seat.member().pool.give_back(sender);
        }
    }
}

impl Answer {
    /// Whose bytes these are; the account ends with them.
    pub fn carry(&mut self, mut account: Account) {
        match self {
            Self::Whole(bytes) => account.sent(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(download) => download.account = Some(account),
        }
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Whole(Some(text.into()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(download) => {
                let frame = ready!(Pin::new(&mut download.from).poll_frame(cx));
                if let (Some(Ok(frame)), Some(account)) = (&frame, &mut download.account)
                    && let Some(data) = frame.data_ref()
                {
                    account.sent(data.len() as u64);
                }
                if frame.is_none()
                    && let Some(sender) = download.sender.take()
                {
                    download.seat.member().pool.give_back(sender);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(download) => download.from.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(download) => download.from.size_hint(),
        }
    }
}

/// An answer and the turn that it ends.
pub(crate) struct Held {
    answer: Answer,
    _turn: Turn,
}

impl Held {
    pub fn new(answer: Answer, turn: Turn) -> Self {
        Self { answer, _turn: turn }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().answer).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
