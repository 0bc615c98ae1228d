//! One connection of a client: which HTTP it speaks, and its orderly end.

use super::Proxy;
use super::accept::Place;
use super::exchange::Exchange;
use super::header::Origin;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The first bytes of h2 (RFC 9113 section 3.4); no method of HTTP/1.1 begins like this.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// A part of the preface is there: when the rest is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A quiet h2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves a plain connection to its end.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: TcpStream, origin: Origin, place: Place) {
    let within = proxy.limits.head_within;
    let Ok(Some(is_h2)) = timeout(within, speaks_h2(&stream)).await else { return };
    let exchange = Arc::new(Exchange { proxy, origin, place: Arc::new(place) });
    if is_h2 { serve_h2(exchange, stream).await } else { serve_h1(exchange, stream).await }
}

/// Looks at the first bytes and leaves them; nothing when the client went away.
async fn speaks_h2(stream: &TcpStream) -> Option<bool> {
    let mut first = [0; H2_PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await.ok()?;
        match first.get(..length)? {
            [] => return None,
            seen if seen == H2_PREFACE => return Some(true),
            seen if !H2_PREFACE.starts_with(seen) => return Some(false),
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}

/// HTTP/1.1 and upgrades. While closing, each answer says that it is the last; so no client is cut off while it asks.
pub(crate) async fn serve_h1(
    exchange: Arc<Exchange>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let proxy = Arc::clone(&exchange.proxy);
    let limits = &proxy.limits;
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(limits.head_bytes_max)
        .max_headers(limits.headers_max)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut closing = proxy.closing.subscribe();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = async { drop(closing.wait_for(|closing| *closing).await); sleep(proxy.linger()).await } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// h2, with the bounds that keep a flood of streams and resets cheap (CVE-2023-44487).
pub(crate) async fn serve_h2(
    exchange: Arc<Exchange>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let proxy = Arc::clone(&exchange.proxy);
    let limits = &proxy.limits;
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
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
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
