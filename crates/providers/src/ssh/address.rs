//! Which server, and as whom.

/// The port where nobody says another (RFC 4253).
const PORT: u16 = 22;

/// A server and the user that logs in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port of its SSH.
    pub port: u16,
    /// Who logs in.
    pub user: String,
}

impl Server {
    /// Reads `ADDRESS`, `ADDRESS:PORT` or `[V6]:PORT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn at(address: &str, user: &str) -> Result<Self, String> {
        let (host, port) =
            split(address).ok_or_else(|| format!("{address:?} is no ADDRESS or ADDRESS:PORT"))?;
        let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port > 0));
        let port = port.ok_or_else(|| format!("{address:?} has no port from 1 to 65535"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
            return Err(format!("{host:?} is neither a name nor an address of a server"));
        }
        if user.is_empty()
            || user.starts_with('-')
            || user.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(format!("{user:?} is no name of a user"));
        }
        Ok(Self { host: host.to_owned(), port, user: user.to_owned() })
    }
}

/// Host and port; an address of IPv6 with a port stands in brackets.
fn split(address: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port {
            "" => Some((host, None)),
            port => Some((host, Some(port.strip_prefix(':')?))),
        };
    }
    match address.matches(':').count() {
        1 => address.split_once(':').map(|(host, port)| (host, Some(port))),
        _ => Some((address, None)),
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.port, self.host.contains(':')) {
            (PORT, _) => write!(f, "{}@{}", self.user, self.host),
            (port, true) => write!(f, "{}@[{}]:{port}", self.user, self.host),
            (port, false) => write!(f, "{}@{}:{port}", self.user, self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_the_usual_one() {
        let good = [
            ("10.0.0.1", "root@10.0.0.1"),
            ("10.0.0.1:22", "root@10.0.0.1"),
            ("web.example.com:2222", "root@web.example.com:2222"),
            ("fd00::1", "root@fd00::1"),
            ("[fd00::1]", "root@fd00::1"),
            ("[fd00::1]:23", "root@[fd00::1]:23"),
        ];
        for (text, shown) in good {
            assert_eq!(Server::at(text, "root").expect(text).to_string(), shown);
        }
        for bad in
            ["", ":22", "a:0", "a:x", "a:70000", "-oProxyCommand=x", "a b", "[fd00::1", "[::1]22", "a;b"]
        {
            assert!(Server::at(bad, "root").is_err(), "{bad}");
        }
        for bad in ["", "-x", "a b"] {
            assert!(Server::at("a", bad).is_err(), "{bad}");
        }
    }
}
