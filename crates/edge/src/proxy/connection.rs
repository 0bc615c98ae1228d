//! One connection of a client: which HTTP it speaks, and its orderly end.

use super::accept::Place;
use super::exchange::Exchange;
use super::fault::Fault;
use super::gate::{Desk, Gate, Phase};
use super::header::Origin;
use super::page;
use super::{Proxy, ProxyLimits};
use bytes::Bytes;
use http::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;

/// The first bytes of h2 (RFC 9113 section 3.4); no method of HTTP/1.1 begins like this.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// A part of the preface is there: when the rest is looked for, doubled with each look up to the second.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);
/// A quiet h2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A connection on which nothing happens for so long lets go of its buffers: they are made anew in some microseconds.
const QUIET_FOR: Duration = Duration::from_millis(100);
/// One that is at work is looked at less often.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// How long a client that is still sending is listened to after our last word: who closes at once takes the word back,
/// because what was not read makes TCP reset the connection (RFC 9112 section 9.6).
const LAST_WORD: Duration = Duration::from_secs(2);
/// Header fields for which hyper has room without asking for memory.
const HEADERS_INLINE: usize = 100;

/// A socket, plain or encrypted.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Waits until something can be read. Nothing may be left over from the last read.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Line for TcpStream {
    async fn readable(&self) -> io::Result<()> {
        TcpStream::readable(self).await
    }
}

impl Line for Box<TlsStream<TcpStream>> {
    async fn readable(&self) -> io::Result<()> {
        self.get_ref().0.readable().await
    }
}

/// What the first bytes are.
enum First {
    H1,
    H2,
    /// The client went away, or said nothing.
    Nothing,
    /// It began and did not go on.
    Late,
}

/// Serves a plain connection to its end.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: TcpStream, origin: Origin, place: Place) {
    let first = Box::pin(first(&stream, proxy.limits.head_within)).await;
    let exchange = Arc::new(Exchange { proxy, origin, place: Arc::new(place), desk: Desk::default() });
    match first {
        First::Nothing => {}
        First::H1 => serve_h1(exchange, stream).await,
        First::H2 => Box::pin(serve_h2(exchange, stream)).await,
        First::Late => {
            let fault = Fault::HeadLate { seconds: exchange.proxy.limits.head_within.as_secs() };
            Box::pin(refuse(&exchange, stream, (fault, Bytes::new()))).await;
        }
    }
}

/// Looks at the first bytes and leaves them.
async fn first(stream: &TcpStream, within: Duration) -> First {
    let until = Instant::now() + within;
    let mut seen = [0; H2_PREFACE.len()];
    let (mut length, mut pause) = (0, LOOK_AGAIN);
    while Instant::now() < until {
        length = match tokio::time::timeout_at(until, stream.peek(&mut seen)).await {
            Ok(Ok(1..)) if seen.starts_with(H2_PREFACE) => return First::H2,
            Ok(Ok(length @ 1..)) if !H2_PREFACE.starts_with(&seen[..length]) => return First::H1,
            Ok(Ok(length @ 1..)) => length,
            _ => return First::Nothing,
        };
        tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
        pause = longer(pause);
    }
    if length == 0 { First::Nothing } else { First::Late }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LOOK_AGAIN_MAX)
}

/// HTTP/1.1 and upgrades. While nothing happens, no more is held than the socket and where it came from.
pub(crate) async fn serve_h1(exchange: Arc<Exchange>, mut line: impl Line) {
    let mut ahead = Bytes::new();
    loop {
        match Box::pin(talk(&exchange, line, ahead)).await {
            Left::Quiet(same, read) => (line, ahead) = (same, read),
            Left::Refused(line, why) => return Box::pin(refuse(&exchange, line, why)).await,
            Left::Last(line) => return Box::pin(last_word(line, b"")).await,
            Left::Nothing => return,
        }
        if ahead.is_empty() && !goes_on(&exchange.proxy, &line).await {
            return;
        }
    }
}

/// What is left when the talk stops.
enum Left<T> {
    /// Nothing happens. The bytes were read and belong to the next request.
    Quiet(T, Bytes),
    /// It was no request. The bytes are what is there of its head.
    Refused(T, (Fault, Bytes)),
    /// The last answer is sent; the client may not have noticed.
    Last(T),
    /// The end, or another protocol.
    Nothing,
}

/// Requests and answers, until there is a pause.
async fn talk<T: Line>(exchange: &Arc<Exchange>, line: T, ahead: Bytes) -> Left<T> {
    let limits = &exchange.proxy.limits;
    let own = Arc::clone(exchange);
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&own);
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits.head_bytes_max).max_header_size(limits.head_bytes_max);
    if limits.headers_max != HEADERS_INLINE {
        builder.max_headers(limits.headers_max);
    }
    let gate = Gate::new(line, ahead, Arc::clone(exchange));
    let mut connection = builder.serve_connection(TokioIo::new(gate), service).with_upgrades();
    let alarm = pin!(sleep(QUIET_FOR));
    let mut watch = Watch::new(alarm);
    let stopped = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Stopped::Ended(ended)),
        Poll::Pending => watch.poll(&exchange.desk, limits.head_within, cx),
    });
    let stopped = stopped.await;
    let Some(parts) = connection.into_parts() else { return Left::Nothing };
    let (line, head) = (parts.io.into_inner().io, parts.read_buf);
    match stopped {
        // Bytes that are none would hold the buffer that they are not in.
        Stopped::Quiet if head.is_empty() => Left::Quiet(line, Bytes::new()),
        Stopped::Quiet => Left::Quiet(line, head),
        Stopped::Late => {
            let fault = Fault::HeadLate { seconds: limits.head_within.as_secs() };
            Left::Refused(line, (fault, head))
        }
        Stopped::Ended(ended) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended");
            }
            match exchange.desk.refused() {
                Some(status) => Left::Refused(line, (fault_of(limits, status, &head), head)),
                None if exchange.desk.is_last() => Left::Last(line),
                None => Left::Nothing,
            }
        }
    }
}

/// Why the talk stopped.
enum Stopped {
    Ended(hyper::Result<()>),
    Quiet,
    Late,
}

/// Looks now and then where a connection stands: no request sets a clock of its own.
struct Watch<'a> {
    alarm: Pin<&'a mut Sleep>,
    last: (Phase, u32),
    since: Instant,
}

impl<'a> Watch<'a> {
    fn new(alarm: Pin<&'a mut Sleep>) -> Self {
        Self { alarm, last: (Phase::Busy, 0), since: Instant::now() }
    }

    fn poll(&mut self, desk: &Desk, head_within: Duration, cx: &mut Context<'_>) -> Poll<Stopped> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let (now, seen) = (Instant::now(), desk.seen());
            let same = seen == self.last;
            if !same {
                (self.last, self.since) = (seen, now);
            }
            let pause = match seen.0 {
                Phase::Quiet if same => return Poll::Ready(Stopped::Quiet),
                Phase::Head if same && now >= self.since + head_within => return Poll::Ready(Stopped::Late),
                // The request may be over in a millisecond.
                Phase::Head => (self.since + head_within).saturating_duration_since(now).min(BUSY_FOR),
                Phase::Busy | Phase::Through if same => BUSY_FOR,
                _ => QUIET_FOR,
            };
            self.alarm.as_mut().reset(now + pause);
        }
    }
}

/// Of the three that hyper knows, only the first line that is too long is seen better from here.
fn fault_of(limits: &ProxyLimits, status: u16, head: &[u8]) -> Fault {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
    match StatusCode::from_u16(status) {
        Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) if line <= limits.target_bytes_max => {
            Fault::HeadTooLarge { bytes_max: limits.head_bytes_max, headers_max: limits.headers_max }
        }
        Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG) => {
            Fault::LineTooLong { bytes_max: limits.target_bytes_max }
        }
        _ => Fault::HeadUnreadable,
    }
}

/// Says why, and ends.
async fn refuse(exchange: &Exchange, line: impl Line, (fault, head): (Fault, Bytes)) {
    let stray = &exchange.proxy.tables.books().stray;
    stray.fault(fault.code());
    stray.answered(fault.status(), Duration::ZERO);
    last_word(line, page::last_words(&fault, page::form_of(&head)).as_bytes()).await;
}

/// Sends it, ends our side, and waits until the client has noticed.
async fn last_word(mut line: impl Line, word: &[u8]) {
    let said = async {
        line.write_all(word).await?;
        line.shutdown().await?;
        let mut rest = [0; 4096];
        while line.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LAST_WORD, said).await;
}

/// Waits for the next request; no when the client has none for too long, or when the door closes and none comes soon.
async fn goes_on(proxy: &Proxy, line: &impl Line) -> bool {
    let mut closing = proxy.closing.subscribe();
    tokio::select! {
        more = timeout(proxy.limits.head_within, line.readable()) => matches!(more, Ok(Ok(()))),
        () = async { drop(closing.wait_for(|closing| *closing).await); sleep(proxy.linger()).await } => false,
    }
}

/// h2, with the bounds that keep a flood of streams and resets cheap (CVE-2023-44487).
pub(crate) async fn serve_h2(
    exchange: Arc<Exchange>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let (proxy, own) = (Arc::clone(&exchange.proxy), Arc::clone(&exchange));
    let limits = &proxy.limits;
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&own);
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    // A head that is up to twice too large gets a page; h2 refuses a larger one by itself, with a status only.
    let head_bytes_max = u32::try_from(limits.head_bytes_max * 2).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(head_bytes_max)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .adaptive_window(true)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut closing = proxy.closing.subscribe();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = async { drop(closing.wait_for(|closing| *closing).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = unused(&exchange.desk, limits.head_within) => {
            // Who never asked anything has nothing to lose; of an answer something may be on its way still.
            if exchange.desk.turns() == 0 {
                return;
            }
            connection.as_mut().graceful_shutdown();
            timeout(limits.stalled_after, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Over when no stream was open for so long. Pings do not count: who only answers them asks for nothing.
async fn unused(desk: &Desk, within: Duration) {
    let (mut turns, mut since) = (desk.turns(), Instant::now());
    loop {
        tokio::time::sleep_until(since + within).await;
        let (is_idle, now) = (desk.is_idle(), desk.turns());
        if is_idle && now == turns {
            return;
        }
        // When the last one ended nobody wrote down: it has the whole time from here.
        (turns, since) = (now, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_preface_is_looked_at_seldom() {
        let pauses = std::iter::successors(Some(LOOK_AGAIN), |pause| Some(longer(*pause)));
        let until = |within: Duration| {
            let mut left = within;
            let looks = pauses.clone().take_while(|pause| {
                let goes_on = left > Duration::ZERO;
                left = left.saturating_sub(*pause);
                goes_on
            });
            looks.count()
        };
        assert_eq!(until(Duration::from_millis(15)), 2, "soon at first");
        assert!(until(Duration::from_secs(60)) < 140, "and not all the time");
    }
}
