//! What a proxy changes in a head: what belongs to one connection goes, where it came from is added.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use std::net::{IpAddr, SocketAddr};

/// RFC 9110 section 7.6.1, and what older software says. `te: trailers` is the one that may go on.
const OF_ONE_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What nodes may believe of where a request came from, or what it was for: only we say it. `proxy` becomes the variable
/// HTTP_PROXY in programs of the CGI sort (CVE-2016-5385).
const CLAIMS: [&str; 13] = [
    "forwarded",
    "proxy",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Where a request came from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tls: bool,
}

impl Origin {
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// How large a head of h2 is (RFC 9113 section 6.5.2).
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Which protocol the client wants to go over to on this connection (RFC 9110 section 7.8). Never h2: requests that come
/// later on such a connection would pass us unread, with whatever they claim of their origin.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = |value: &HeaderValue| tokens(value).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let is_h2 = |token: &str| {
        let name = token.split('/').next().unwrap_or_default().trim();
        ["h2c", "h2"].iter().any(|h2| name.eq_ignore_ascii_case(h2)) || token.eq_ignore_ascii_case("http/2.0")
    };
    let wanted = headers.get(UPGRADE).filter(|value| value.to_str().is_ok() && !tokens(value).any(is_h2))?;
    headers.get_all(CONNECTION).iter().any(asks).then(|| wanted.clone())
}

/// Takes away what belongs to one connection.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let takes_trailers = headers
        .get_all(TE)
        .iter()
        .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case("trailers")));
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(tokens)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
            .collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    let is_bound = |name: &&HeaderName| OF_ONE_CONNECTION.contains(name);
    let bound: Vec<HeaderName> = headers.keys().filter(is_bound).cloned().collect();
    bound.iter().for_each(|name| drop(headers.remove(name)));
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// The cookie of sessions that stay with a node.
const STICKY: &str = "lace_node";

/// Which node a client was with.
pub(crate) fn mark(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == STICKY).then_some(value)
    })
}

/// Has the client come back to this node.
pub(crate) fn set_mark(headers: &mut HeaderMap, mark: &str, tls: bool) {
    let secure = if tls { "; Secure" } else { "" };
    let cookie = format!("{STICKY}={mark}; Path=/; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Clients of h2 may send each pair as a field of its own; HTTP/1.1 has one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// Is it one of the claims? Programs that make variables of headers read `_` as `-`: so do we.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let alike = |(a, b): (&u8, u8)| *a == b || (*a == b'_' && b == b'-');
    matches!(name.first(), Some(b'f' | b'p' | b'x'))
        && CLAIMS.iter().any(|c| c.len() == name.len() && name.iter().zip(c.bytes()).all(alike))
}

/// Makes a client's head one that a node gets. What a client claims of where it came from is not believed.
pub(crate) fn to_node(headers: &mut HeaderMap, host: &HeaderValue, origin: Origin) {
    strip(headers);
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    claims.iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(EXPECT);
    join_cookies(headers);
    headers.insert(HOST, host.clone());
    let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
    let ip = origin.peer.ip().to_canonical();
    let host_text = host.to_str().unwrap_or_default();
    let node = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        // RFC 7239 section 6: in brackets, and therefore quoted.
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    headers.insert(FORWARDED, text(format!("for={node};host=\"{host_text}\";proto={}", origin.scheme())));
    headers.insert(X_FORWARDED_FOR, text(ip.to_string()));
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme()));
    headers.insert(X_FORWARDED_PORT, HeaderValue::from(origin.local.port()));
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_bytes(name.as_bytes()).expect("name"), value.parse().expect("value"));
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_one_connection_goes() {
        let table: [(Lines, &[&str]); 5] = [
            (&[("connection", "close"), ("a", "1")], &["a"]),
            (&[("connection", "keep-alive, X-Own"), ("x-own", "1"), ("keep-alive", "5"), ("b", "2")], &["b"]),
            (
                &[("connection", "host, content-length"), ("host", "h"), ("content-length", "1")],
                &["content-length", "host"],
            ),
            (&[("te", "gzip, trailers")], &["te"]),
            (
                &[
                    ("te", "gzip"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "x"),
                    ("proxy-authorization", "p"),
                ],
                &[],
            ),
        ];
        for (given, expected) in table {
            let mut headers = map(given);
            strip(&mut headers);
            assert_eq!(names(&headers), expected, "{given:?}");
        }
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let table: [(Lines, bool); 6] = [
            (&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], true),
            (&[("connection", "keep-alive"), ("upgrade", "websocket")], false),
            (&[("connection", "upgrade")], false),
            (&[("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings")], false),
            (&[("upgrade", "websocket, H2C"), ("connection", "Upgrade")], false),
            (&[("upgrade", "HTTP/2.0"), ("connection", "Upgrade")], false),
        ];
        for (given, expected) in table {
            assert_eq!(upgrade(&map(given)).is_some(), expected, "{given:?}");
        }
    }

    #[test]
    fn forged_words_about_the_origin_are_replaced() {
        let origin = |peer: &str| Origin {
            peer: peer.parse().expect("address"),
            local: "127.0.0.1:7480".parse().expect("address"),
            tls: false,
        };
        let host = HeaderValue::from_static("shop.example.com");
        let mut headers = map(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("expect", "100-continue"),
        ]);
        to_node(&mut headers, &host, origin("203.0.113.9:1234"));
        let get = |name: &str| headers.get(name).map(|v| v.to_str().expect("text").to_owned());
        assert_eq!(get("x-forwarded-for").as_deref(), Some("203.0.113.9"));
        assert_eq!(get("forwarded").as_deref(), Some("for=203.0.113.9;host=\"shop.example.com\";proto=http"));
        assert_eq!(get("x-forwarded-proto").as_deref(), Some("http"));
        assert_eq!(get("x-forwarded-port").as_deref(), Some("7480"));
        assert_eq!(get("host").as_deref(), Some("shop.example.com"));
        assert_eq!(get("expect"), None);
        to_node(&mut headers, &host, origin("[2001:db8::1]:1"));
        assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"shop.example.com\";proto=http");
    }
}
