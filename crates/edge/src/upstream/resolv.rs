//! The resolvers of the host.

use std::net::{IpAddr, SocketAddr};

/// As many as glibc looks at (resolv.conf(5), `MAXNS`).
const SERVERS_MAX: usize = 3;

/// The `nameserver` lines of a resolv.conf(5), without our own addresses (that would be a loop).
pub fn nameservers(text: &str, own: &[SocketAddr]) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|w| *w == "nameserver").and(words.next())?;
            // A zone index (`fe80::1%eth0`) cannot be kept across namespaces and is left out.
            Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, 53))
        })
        .filter(|address| !own.contains(address))
        .take(SERVERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let own = ["10.192.0.1:53".parse().unwrap()];
        let found: Vec<String> = nameservers(text, &own).iter().map(|a| a.to_string()).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn nameserver_lines_are_read_and_nothing_else() {
        check("", &[]);
        check("nameserver 127.0.0.53\noptions edns0\n", &["127.0.0.53:53"]);
        check("# nameserver 1.1.1.1\n ; x\nnameserver\t9.9.9.9 # x\n", &["9.9.9.9:53"]);
        check("nameserver 10.192.0.1\nnameserver ::1\n", &["[::1]:53"]);
        check("nameserver fe80::1%eth0\nnameserver x\nsearch a b\n", &[]);
        let many = "nameserver 1.0.0.1\n".repeat(5);
        check(&many, &["1.0.0.1:53"; 3]);
    }
}
