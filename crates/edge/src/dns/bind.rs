//! Getting hold of an address, which may not be there yet.

use crate::NetError;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::time::sleep;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 256;

pub(super) async fn udp(address: SocketAddr) -> Result<UdpSocket, NetError> {
    patiently(address, || open_udp(address)).await
}

pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, NetError> {
    patiently(address, || open_tcp(address)).await
}

/// Tries again while the address is missing or in use: the network of the nodes may come later than we do, and our
/// predecessor may still be leaving. Anything else (no permission, say) is final.
async fn patiently<T>(address: SocketAddr, open: impl Fn() -> io::Result<T>) -> Result<T, NetError> {
    let mut pause = PAUSE_MIN;
    loop {
        match open() {
            Ok(socket) => return Ok(socket),
            Err(error) if waiting_helps(&error) => {
                if pause == PAUSE_MIN {
                    tracing::warn!(%address, %error, "cannot answer DNS there yet, trying on");
                }
            }
            Err(source) => return Err(NetError::Listen { address, source }),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn waiting_helps(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse)
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    set_freebind(&socket, address);
    bind(&socket, &address)?;
    UdpSocket::from_std(socket.into())
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    set_freebind(&socket, address);
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// `IP_FREEBIND` (ip(7)): bind although no interface has the address yet. Without it we only wait longer.
fn set_freebind(socket: impl rustix::fd::AsFd, address: SocketAddr) {
    use rustix::net::sockopt::{set_ip_freebind, set_ipv6_freebind};
    let set = if address.is_ipv4() { set_ip_freebind(socket, true) } else { set_ipv6_freebind(socket, true) };
    if let Err(error) = set {
        tracing::debug!(%address, %error, "no free bind");
    }
}
