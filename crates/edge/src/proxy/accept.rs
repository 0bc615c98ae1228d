//! The listening side: so many connections altogether, so many of one client.

use super::crew::{self, Carried, Crew, Hands};
use super::header::Origin;
use super::{Proxy, ProxyConfig, connection, tcp};
use crate::sockets::tcp_name;
use rustix::net::sockopt;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// Between tries of an address that is in use or not there yet.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// After a failed accept (out of descriptors).
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Who is told that there are too many may take so long to hear it.
const FULL_HEARD_WITHIN: Duration = Duration::from_millis(500);
/// Of so many at a time; others only find the connection closed.
const FULL_HEARERS_MAX: usize = 64;

/// The open connections.
pub(crate) struct Places {
    open: watch::Sender<usize>,
    clients: Mutex<HashMap<IpAddr, usize>>,
    /// For those that are told why they get none.
    hearers: Arc<Semaphore>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All clients have as many as there are.
    All,
    /// This client has its share.
    Client,
}

impl Full {
    pub fn code(self) -> &'static str {
        match self {
            Self::All => "too-many",
            Self::Client => "too-many-of-client",
        }
    }

    /// Said before anything of a request is read: nobody knows which form it would like.
    fn page(self) -> String {
        let what = match self {
            Self::All => "too many connections are open here",
            Self::Client => "too many connections are open from your address",
        };
        let text = format!("503 Service Unavailable\n\n{what}\nclose some, or try again a little later\n");
        format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
             cache-control: no-store\r\nx-lace-fault: {}\r\nretry-after: 2\r\nconnection: close\r\n\r\n{text}",
            text.len(),
            self.code()
        )
    }
}

/// One of them; given back when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    client: Option<IpAddr>,
    _carried: Option<Carried>,
}

impl Place {
    /// Served by a thread of the door.
    fn with(mut self, carried: Carried) -> Self {
        self._carried = Some(carried);
        self
    }
}

impl Places {
    pub fn new() -> Arc<Self> {
        let hearers = Arc::new(Semaphore::new(FULL_HEARERS_MAX));
        Arc::new(Self { open: watch::Sender::new(0), clients: Mutex::default(), hearers })
    }

    pub fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// A place, unless there are too many. Clients on this machine count together only.
    pub fn enter(self: &Arc<Self>, peer: IpAddr, all_max: usize, client_max: usize) -> Result<Place, Full> {
        if *self.open.borrow() >= all_max {
            return Err(Full::All);
        }
        let client = Some(peer.to_canonical()).filter(|ip| !ip.is_loopback());
        if let Some(client) = client {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            let count = clients.entry(client).or_default();
            if *count >= client_max {
                return Err(Full::Client);
            }
            *count += 1;
        }
        self.open.send_modify(|open| *open += 1);
        Ok(Place { places: Arc::clone(self), client, _carried: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.open.send_modify(|open| *open -= 1);
        let Some(client) = self.client else { return };
        let mut clients = self.places.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

/// What a listening address is for, and who serves what comes there.
struct Entrance {
    proxy: Arc<Proxy>,
    tls: bool,
    hands: Arc<Hands>,
}

/// Listens on all addresses until the proxy is closed; then waits for the last connection, for a while.
pub(crate) async fn run(proxy: Arc<Proxy>, config: ProxyConfig) {
    if config.listen.is_empty() && config.listen_tls.is_empty() {
        let _ = proxy.closing.subscribe().wait_for(|closing| *closing).await;
        return;
    }
    let crew = loop {
        match Crew::start() {
            Ok(crew) => break crew,
            Err(error) => tracing::warn!(%error, "the door has no threads yet"),
        }
        sleep(TRY_AGAIN).await;
    };
    let places = Arc::clone(&proxy.places);
    let (mut doors, mut ports) = (JoinSet::new(), JoinSet::new());
    if let Some(first) = config.listen.first() {
        ports.spawn(tcp::run(Arc::clone(&proxy), first.ip(), Arc::clone(&places)));
    }
    let plain = config.listen.iter().map(|address| (*address, false));
    for (address, tls) in plain.chain(config.listen_tls.iter().map(|address| (*address, true))) {
        let entrance = Entrance { proxy: Arc::clone(&proxy), tls, hands: Arc::clone(&crew.hands) };
        doors.spawn(keep(Arc::new(entrance), address));
    }
    let mut closing = proxy.closing.subscribe();
    let _ = closing.wait_for(|closing| *closing).await;
    ports.shutdown().await;
    while doors.join_next().await.is_some() {}
    let mut open = places.open.subscribe();
    let _ = timeout(proxy.patience(), open.wait_for(|open| *open == 0)).await;
}

/// Every thread accepts; the kernel wakes those that have nothing to do. Over when the door closes and nobody accepts.
async fn keep(entrance: Arc<Entrance>, address: SocketAddr) {
    let mut closing = entrance.proxy.closing.subscribe();
    let listener = tokio::select! {
        listener = bound(&entrance.proxy, address) => listener,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    tracing::info!(%address, tls = entrance.tls, "the door is open");
    // Nobody accepts here, so nobody is to be woken here; but the socket is kept.
    let Ok(listener) = listener.into_std() else { return };
    let mut acceptors = JoinSet::new();
    for runtime in entrance.hands.runtimes() {
        match listener.as_fd().try_clone_to_owned() {
            Ok(own) => drop(acceptors.spawn_on(accept(Arc::clone(&entrance), own), runtime)),
            Err(error) => tracing::warn!(%error, "a thread of the door does not accept"),
        }
    }
    let _ = closing.wait_for(|closing| *closing).await;
    acceptors.shutdown().await;
}

async fn accept(entrance: Arc<Entrance>, socket: OwnedFd) {
    let listener = match TcpListener::from_std(std::net::TcpListener::from(socket)) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "a thread of the door does not accept"),
    };
    let mut quiet = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                quiet = false;
                receive(&entrance, stream, peer);
            }
            Err(error) => {
                // Said once: it is tried again fifty times a second.
                if !std::mem::replace(&mut quiet, true) {
                    tracing::warn!(%error, "the door does not accept");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Listens: with the socket of a former process, or with a new one as soon as that can be had.
pub(super) async fn bound(proxy: &Proxy, address: SocketAddr) -> TcpListener {
    let name = tcp_name(address);
    if let Some(kept) = proxy.keeper.take(&name) {
        match resume(kept) {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%address, %error, "the socket that was kept is of no use"),
        }
    }
    let mut quiet = false;
    loop {
        match bind(address) {
            Ok(listener) => {
                proxy.keeper.keep(&name, listener.as_fd());
                return listener;
            }
            Err(error) if !quiet => tracing::warn!(%address, %error, "the door cannot be opened yet"),
            Err(_) => {}
        }
        quiet = true;
        sleep(TRY_AGAIN).await;
    }
}

fn resume(kept: OwnedFd) -> io::Result<TcpListener> {
    rustix::net::listen(&kept, BACKLOG as i32)?;
    let listener = std::net::TcpListener::from(kept);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn receive(entrance: &Arc<Entrance>, stream: TcpStream, peer: SocketAddr) {
    let (proxy, tls) = (&entrance.proxy, entrance.tls);
    let limits = &proxy.limits;
    let place = match proxy.places.enter(peer.ip(), limits.connections_max, limits.connections_per_client) {
        Ok(place) => place,
        Err(full) => {
            proxy.tables.books().stray.fault(full.code());
            // A handshake only to say so would cost more than to serve.
            if !tls && let Ok(heard) = Arc::clone(&proxy.places.hearers).try_acquire_owned() {
                tokio::spawn(turn_away(stream, full, heard));
            }
            return;
        }
    };
    let Ok(local) = prepare(&stream, limits.stalled_after) else { return };
    let origin = Origin { peer, local, tls };
    let seat = entrance.hands.other();
    let place = place.with(entrance.hands.carries(seat.unwrap_or_else(crew::seat)));
    let Some(runtime) = seat.and_then(|seat| entrance.hands.runtime(seat)) else {
        return serve(Arc::clone(proxy), stream, origin, place);
    };
    if let Ok(stream) = stream.into_std() {
        let proxy = Arc::clone(proxy);
        runtime.spawn(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(proxy, stream, origin, place);
            }
        });
    }
}

/// Each sort is a task of its own: a plain connection has no room for what TLS needs.
fn serve(proxy: Arc<Proxy>, stream: TcpStream, origin: Origin, place: Place) {
    if origin.tls {
        tokio::spawn(super::tls::serve(proxy, stream, origin, place));
    } else {
        tokio::spawn(connection::serve(proxy, stream, origin, place));
    }
}

/// Says why, and listens until the client has noticed: who closes before it has read takes the word back.
async fn turn_away(mut stream: TcpStream, full: Full, _heard: OwnedSemaphorePermit) {
    let said = async {
        stream.write_all(full.page().as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut [0; 1024]).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(FULL_HEARD_WITHIN, said).await;
}

/// No waiting for more to send; an end that went away without a word is noticed.
pub(super) fn prepare(stream: &TcpStream, stalled_after: Duration) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(stalled_after.as_millis()).unwrap_or(u32::MAX))?;
    stream.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_altogether_and_by_client() {
        let places = Places::new();
        let (far, near): (IpAddr, IpAddr) = ([203, 0, 113, 9].into(), [127, 0, 0, 1].into());
        let first = places.enter(far, 3, 1).expect("room");
        assert_eq!(places.enter(far, 3, 1).err(), Some(Full::Client), "one client, one place");
        let _second = places.enter(near, 3, 1).expect("room");
        let _third = places.enter(near, 3, 1).expect("this machine is not bound by itself");
        assert_eq!(places.enter(near, 3, 1).err(), Some(Full::All), "full");
        drop(first);
        assert!(places.enter(far, 3, 1).is_ok());
    }
}
