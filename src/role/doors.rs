//! Serves the API's connections, so that none is held for nothing: half a request has its time, and whoever is not known
//! gives way.

use super::guests::{Bounds, Guests, Seat};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use lace_api::Introduction;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// Enough for every stream that the API keeps open, several times over.
pub const BOUNDS: Bounds = Bounds { all: 4096, unknown: 256, unknown_for: Duration::from_secs(60) };
/// The whole head of a request comes within this time, counted from when it may begin: also what a connection without
/// requests is kept for.
pub const HEAD_WITHIN: Duration = Duration::from_secs(20);
/// HTTP/2 connections are asked at this interval whether anybody is there.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// And have this long to answer.
const ALIVE_WITHIN: Duration = Duration::from_secs(20);

/// Serves for ever. `is_http2` says what a fresh connection speaks.
pub async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    is_http2: fn(&L::Io) -> bool,
    (bounds, head_within): (Bounds, Duration),
) {
    let guests = Guests::new(bounds);
    loop {
        let place = guests.room().await;
        let (io, _) = listener.accept().await;
        let builder = builder(is_http2(&io), head_within);
        tokio::spawn(converse(io, builder, router.clone(), guests.admit(place), head_within));
    }
}

fn builder(http2: bool, head_within: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_within);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(ALIVE_WITHIN);
    if http2 { builder.http2_only() } else { builder.http1_only() }
}

async fn converse<I>(
    io: I,
    builder: Builder<TokioExecutor>,
    router: Router,
    seat: Seat,
    first_within: Duration,
) where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let seat = Arc::new(seat);
    let asked = Arc::new(AtomicBool::new(false));
    let introduction = Introduction::new({
        let seat = seat.clone();
        move || seat.know()
    });
    let first = asked.clone();
    let service = router.map_request(move |mut request: Request<Incoming>| {
        first.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(introduction.clone());
        request.map(Body::new)
    });
    let conversation =
        builder.serve_connection_with_upgrades(TokioIo::new(io), TowerToHyperService::new(service));
    // The protocols' own timers begin only once they have begun.
    let silent = async {
        tokio::time::sleep(first_within).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // How it ended is told to whoever asked.
        _ = conversation => {}
        () = seat.overstays() => {}
        () = silent => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(600);

    /// A listener with `/known`, where one is known, and `/open`, where one is not.
    async fn listening(bounds: Bounds, head_within: Duration) -> SocketAddr {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = tcp.local_addr().expect("address");
        let known = |request: Request| async move {
            request.extensions().get::<Introduction>().expect("handed in").made();
        };
        let router = Router::new().route("/known", get(known)).route("/open", get(|| async {}));
        tokio::spawn(serve(tcp, router, |_| false, (bounds, head_within)));
        address
    }

    async fn says(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("written");
        stream
    }

    /// Waits for the other side to end the connection.
    async fn ends(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }

    /// Is it served (again)?
    async fn is_served(stream: &mut TcpStream, path: &str) -> bool {
        let asked = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        let mut answer = [0; 512];
        asked.is_ok()
            && stream.read(&mut answer).await.is_ok_and(|n| answer[..n].starts_with(b"HTTP/1.1 200"))
    }

    #[tokio::test]
    async fn half_a_request_has_its_time() {
        let bounds = Bounds { all: 100, unknown: 100, unknown_for: LONG };
        let address = listening(bounds, SHORT).await;
        for text in ["", "G", "PRI * HTTP/2.0\r\n", "GET /open HTTP/1.1\r\nHost: a\r\nX-Slow:"] {
            ends(&mut says(address, text).await).await;
        }
    }

    #[tokio::test]
    async fn who_stays_unknown_has_its_time_too() {
        let bounds = Bounds { all: 100, unknown: 100, unknown_for: SHORT };
        let address = listening(bounds, LONG).await;
        let mut known = says(address, "").await;
        assert!(is_served(&mut known, "/known").await);
        let mut unknown = says(address, "").await;
        assert!(is_served(&mut unknown, "/open").await);
        ends(&mut unknown).await;
        assert!(is_served(&mut known, "/open").await, "who is known stays");
    }

    #[tokio::test]
    async fn the_oldest_unknown_gives_way() {
        let bounds = Bounds { all: 100, unknown: 2, unknown_for: LONG };
        let address = listening(bounds, LONG).await;
        let mut known = says(address, "").await;
        assert!(is_served(&mut known, "/known").await);
        let mut silent = Vec::new();
        for _ in 0..10 {
            let mut stream = says(address, "").await;
            assert!(is_served(&mut stream, "/open").await, "a newcomer is served");
            silent.push(stream);
        }
        for stream in &mut silent[..8] {
            ends(stream).await;
        }
        assert!(is_served(&mut known, "/open").await);
        assert!(is_served(&mut silent[9], "/open").await);
    }
}
