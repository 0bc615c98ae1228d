//! Routes: ways in from outside.

use crate::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest host name (RFC 1035 section 2.3.4, as text).
const HOST_BYTES_MAX: usize = 253;
/// Longest path.
const PATH_BYTES_MAX: usize = 1024;
/// Longest page, in bytes: each host keeps it.
pub const PAGE_BYTES_MAX: usize = 64 << 10;
/// The heaviest part of a family.
pub const WEIGHT_MAX: u16 = 10_000;
/// Most routes of a service.
pub const ROUTES_MAX: usize = 256;

/// What a route does about TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteTls {
    /// Plain HTTP.
    Off,
    /// TLS where a certificate is held for this name or can be obtained from the public authority, plain HTTP otherwise.
    #[default]
    Auto,
    /// The same with a certificate of the installation's own authority, for clients that trust it.
    Internal,
}

/// One way in, as a manifest says it and as hosts are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteSpec {
    /// Host name in small letters; `SERVICE.APP.localhost` where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `/`, or a beginning of the path without a slash at its end.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub path: String,
    /// TCP instead of HTTP: the port that hosts listen on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<u16>,
    /// Port of the nodes.
    pub port: u16,
    /// TLS.
    #[serde(default)]
    pub tls: RouteTls,
    /// A client stays with the node that it got first, as long as that is ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
    /// Each request is written to the access log of the host that served it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Only these families, each with its part of the requests: `{ backend = 90, canary = 10 }`. None said: every node of
    /// the service alike.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub families: BTreeMap<Name, u16>,
    /// Requests that a node gets through this route at a time; more wait for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

fn root() -> String {
    "/".to_owned()
}

fn is_root(path: &str) -> bool {
    path == "/"
}

impl RouteSpec {
    /// The usual way in at a port.
    pub fn new(port: u16) -> Self {
        let (host, listen) = (None, None);
        let (tls, families) = (RouteTls::default(), BTreeMap::new());
        Self { host, path: root(), listen, port, tls, sticky: false, log: false, families, concurrency: None }
    }

    /// What only one service may have: `shop.example.com/api`, `tcp:5432`. `usual` is the host name where none is said.
    pub fn door(&self, usual: &str) -> String {
        match (self.listen, &self.host) {
            (Some(port), _) => format!("tcp:{port}"),
            (None, host) => format!("{}{}", host.as_deref().unwrap_or(usual), self.path),
        }
    }
}

/// A host name as routes have it: small letters, digits, `-` and dots, no empty label, no port.
///
/// # Errors
/// What is wrong with it.
pub fn host_name(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is not a host name such as shop.example.com");
    let name = text.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let good = name.len() <= HOST_BYTES_MAX && name.split('.').all(label);
    if good { Ok(name) } else { Err(bad()) }
}

/// A beginning of paths: `/`, `/api`; a slash at the end is left out.
///
/// # Errors
/// What is wrong with it.
pub fn path_prefix(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is not a beginning of paths such as /api");
    let good = text.starts_with('/')
        && text.len() <= PATH_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"?#%".contains(&b))
        && !text.split('/').any(|part| part == "." || part == "..")
        && !text.contains("//");
    if !good {
        return Err(bad());
    }
    let cut = text.strip_suffix('/').unwrap_or(text);
    Ok(if cut.is_empty() { root() } else { cut.to_owned() })
}

/// The usual host name of a service: it leads to the machine itself, without any DNS (RFC 6761 section 6.3).
pub fn usual_host(service: &crate::ServicePath) -> String {
    format!("{}.{}.localhost", service.service, service.app)
}

/// A service is under repair: its doors say so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintenance {
    /// Is it?
    pub on: bool,
    /// The page (HTML) that is shown instead of the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_paths_are_read_once() {
        let hosts = [
            ("shop.example.com", Some("shop.example.com")),
            ("Shop.Example.COM", Some("shop.example.com")),
            ("a", Some("a")),
            ("", None),
            ("a..b", None),
            ("-a.b", None),
            ("a_b.c", None),
            ("a.b:80", None),
        ];
        for (text, expected) in hosts {
            assert_eq!(host_name(text).ok().as_deref(), expected, "{text}");
        }
        let paths = [
            ("/", Some("/")),
            ("/api", Some("/api")),
            ("/api/", Some("/api")),
            ("/a/b", Some("/a/b")),
            ("api", None),
            ("/a//b", None),
            ("/a/../b", None),
            ("/%2e", None),
            ("/a?b", None),
        ];
        for (text, expected) in paths {
            assert_eq!(path_prefix(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_door_has_one_name() {
        let route = |host: Option<&str>, path: &str, listen| RouteSpec {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            listen,
            ..RouteSpec::new(80)
        };
        assert_eq!(route(None, "/", None).door("web.shop.localhost"), "web.shop.localhost/");
        assert_eq!(route(Some("a.b"), "/x", None).door("-"), "a.b/x");
        assert_eq!(route(None, "/", Some(5432)).door("-"), "tcp:5432");
    }
}
