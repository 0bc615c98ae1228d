//! Under which addresses this machine is reached, where it was told to listen on all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses behind a listening one: itself, or all of this machine's.
pub fn behind(listen: IpAddr) -> Vec<IpAddr> {
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut all = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    all.extend(own(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default()));
    all.extend(first_outward());
    all.sort_unstable();
    all.dedup();
    all
}

/// What to dial from this machine.
pub fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// What to tell others to dial.
pub fn from_elsewhere(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    first_outward().map_or_else(|| from_here(listen), |ip| SocketAddr::new(ip, listen.port()))
}

/// The API's address in words. Beyond loopback it speaks TLS.
pub fn url(listen: SocketAddr, dialled: SocketAddr) -> String {
    let scheme = if listen.ip().is_loopback() { "http" } else { "https" };
    format!("{scheme}://{dialled}")
}

/// The address that the default route would leave with. A datagram socket is connected without sending anything; the
/// target is documentation's (RFC 5737).
fn first_outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// This machine's IPv4 addresses in the kernel's routing table (/proc/net/fib_trie).
fn own(trie: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_those_marked_so() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.0.0.0\n        \
                    /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link \
                    BROADCAST\n";
        assert_eq!(own(trie), [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))]);
    }

    #[test]
    fn listening_everywhere_is_reached_somewhere() {
        let check = |listen: &str, here: &str| {
            let listen: SocketAddr = listen.parse().expect("an address");
            assert_eq!(url(listen, from_here(listen)), here);
            assert!(!from_elsewhere(listen).ip().is_unspecified());
            assert!(behind(listen.ip()).contains(&from_here(listen).ip()));
        };
        check("127.0.0.1:7440", "http://127.0.0.1:7440");
        check("0.0.0.0:7440", "https://127.0.0.1:7440");
        check("[::]:7440", "https://[::1]:7440");
        check("10.1.2.3:1", "https://10.1.2.3:1");
    }
}
