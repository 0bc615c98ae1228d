//! What the door reads by itself, for any bytes: run as plain tests with some thousand inputs, and by a fuzzer without
//! end: `cargo bolero test -p lace-edge proxy::fuzz::NAME`.

use super::exchange::name_of;
use super::header::{self, Origin};
use super::page;
use bolero::check;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers out of bytes: `name NUL value NUL name NUL ...`; what is none is left out.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut parts = bytes.split(|b| *b == 0);
    let mut map = HeaderMap::new();
    // The table of hyper's side has a bound too.
    while let (Some(name), Some(value), true) = (parts.next(), parts.next(), map.len() < 100) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

const SEEDS: [&[u8]; 5] = [
    b"connection\0close, x-own\0x-own\x001\0te\0trailers\0x_forwarded_for\x006.6.6.6",
    b"upgrade\0websocket\0connection\0Upgrade\0cookie\0a=b; lace_node=0123456789abcdef",
    b"accept\0text/html;q=0.9, application/problem+json\0x-real-ip\x006.6.6.6",
    b"connection\0x-forwarded-for, host\0host\0a\0transfer-encoding\0chunked",
    b"proxy\0http://a\0forwarded\0for=6.6.6.6\0X-Forwarded-Proto\0https",
];

fn each(judge: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    SEEDS.iter().for_each(|seed| judge(seed));
    check!().with_iterations(4_000).for_each(|bytes| judge(bytes));
}

#[test]
fn a_node_gets_nothing_of_one_connection_and_no_forged_origin() {
    let peer = "203.0.113.9:1234".parse().expect("an address");
    let origin = Origin { peer, local: "127.0.0.1:7480".parse().expect("an address"), tls: true };
    each(|bytes| {
        let host = HeaderValue::from_static("shop.example.com");
        let mut map = headers(bytes);
        header::to_node(&mut map, &host, origin);
        for gone in
            ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy", "x-real-ip", "expect"]
        {
            assert!(!map.contains_key(gone), "{gone}");
        }
        let only = |name: &str, value: &str| {
            let all: Vec<_> = map.get_all(name).iter().collect();
            assert_eq!(all, [value], "{name}");
        };
        only("host", "shop.example.com");
        only("x-forwarded-for", "203.0.113.9");
        only("x-forwarded-proto", "https");
        assert!(map.get("te").is_none_or(|te| te == "trailers"));
        assert!(
            map.keys().all(|name| !name.as_str().replace('_', "-").starts_with("x-forwarded-f")
                || name == "x-forwarded-for")
        );
    });
}

#[test]
fn what_is_read_of_a_head_is_read_alike_twice() {
    each(|bytes| {
        let map = headers(bytes);
        assert_eq!(page::form(&map), page::form(&map));
        if let Some(mark) = header::mark(&map) {
            assert!(!mark.contains([';', '\n']), "{mark:?}");
        }
        let wanted = header::upgrade(&map);
        assert!(wanted.is_none() || map.contains_key("connection"));
        let mut once = map;
        header::strip(&mut once);
        let mut twice = once.clone();
        header::strip(&mut twice);
        assert_eq!(once, twice);
    });
}

#[test]
fn a_name_has_no_port_no_capitals_and_one_reading() {
    each(|bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        let name = name_of(&value);
        assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
        assert!(name.len() <= bytes.len());
    });
}
