//! The agents' listener. A connection without a host's certificate is for joining only, and does not stay.

use super::Failure;
use super::guests::{Bounds, Guests, Seat};
use super::program::{HandOut, Joiners};
use futures::Stream;
use lace_fleet::Fleet;
use lace_wire::link::serve::LinkServer;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tonic::Request;
use tonic::service::interceptor::InterceptorLayer;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// A host has one session, and a connection for each stream at most.
const BOUNDS: Bounds = Bounds { all: 16_384, unknown: 128, unknown_for: Duration::from_secs(30) };
/// A handshake that takes longer is ended.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// A host is asked at this interval whether it is there, and has as long to answer.
const ALIVE: Duration = Duration::from_secs(10);

/// Serves for ever.
pub async fn serve(
    listen: SocketAddr,
    fleet: Fleet,
    ca: String,
    identity: Identity,
    joiners: Arc<dyn Joiners>,
) -> Result<(), Failure> {
    let tcp = TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    let tls = ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(Certificate::from_pem(ca))
        .client_auth_optional(true)
        .timeout(HANDSHAKE_WITHIN);
    let seats = Arc::new(Seats::default());
    let seen = seats.clone();
    let meet = move |request: Request<()>| {
        if request.peer_certs().is_some_and(|chain| !chain.is_empty()) {
            seen.know(request.remote_addr());
        }
        Ok(request)
    };
    let seen = seats.clone();
    let hand_out = HandOut::new(joiners, Arc::new(move |from| seen.know(Some(from))));
    let server = Server::builder()
        // Machines that have no program yet ask for it with what their image has.
        .accept_http1(true)
        .tls_config(tls)?
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE))
        .layer(InterceptorLayer::new(meet))
        .add_service(LinkServer::new(Arc::new(fleet.link())))
        .add_service(hand_out);
    Ok(server.serve_with_incoming(incoming(tcp, BOUNDS, seats)).await?)
}

/// Seats by the address at the other end, which is how a request finds its connection.
#[derive(Default)]
struct Seats(Mutex<HashMap<SocketAddr, Weak<Seat>>>);

impl Seats {
    fn know(&self, from: Option<SocketAddr>) {
        let seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = from.and_then(|from| seats.get(&from)).and_then(Weak::upgrade) {
            seat.know();
        }
    }

    fn put(&self, from: SocketAddr, seat: &Arc<Seat>) {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.len() >= 2 * BOUNDS.all {
            seats.retain(|_, seat| seat.strong_count() > 0);
        }
        seats.insert(from, Arc::downgrade(seat));
    }
}

fn incoming(tcp: TcpListener, bounds: Bounds, seats: Arc<Seats>) -> impl Stream<Item = io::Result<Wire>> {
    let guests = Guests::new(bounds);
    futures::stream::unfold((tcp, guests, seats), |(tcp, guests, seats)| async move {
        loop {
            let place = guests.room().await;
            match tcp.accept().await {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    let seat = Arc::new(guests.admit(place));
                    seats.put(from, &seat);
                    return Some((Ok(Wire::new(stream, seat)), (tcp, guests, seats)));
                }
                // Too many open files, or a peer that left in the queue.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
}

/// A connection that ends when its time is over.
struct Wire {
    stream: TcpStream,
    /// None once it is over.
    stays: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Wire {
    fn new(stream: TcpStream, seat: Arc<Seat>) -> Self {
        Self { stream, stays: Some(Box::pin(async move { seat.overstays().await })) }
    }
}

impl Connected for Wire {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let over = self.stays.as_mut().is_none_or(|stays| stays.as_mut().poll(cx).is_ready());
        if over {
            self.stays = None;
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn strangers_do_not_stay() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = tcp.local_addr().expect("address");
        let bounds = Bounds { all: 8, unknown: 8, unknown_for: Duration::from_millis(200) };
        let seats = Arc::new(Seats::default());
        let mut incoming = Box::pin(incoming(tcp, bounds, seats.clone()));
        let _stranger = TcpStream::connect(address).await.expect("connected");
        let mut wire = incoming.next().await.expect("one").expect("accepted");
        let mut host = TcpStream::connect(address).await.expect("connected");
        let mut host_wire = incoming.next().await.expect("one").expect("accepted");
        seats.know(host.local_addr().ok());
        let mut byte = [0];
        let error = wire.read(&mut byte).await.expect_err("its time is over");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(wire.read(&mut byte).await.is_err(), "and stays over");
        host.write_all(b"x").await.expect("written");
        host_wire.read_exact(&mut byte).await.expect("a host stays");
    }
}
