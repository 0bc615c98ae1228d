//! A node that keeps every byte that it gets, and reads them by rules of its own: strict RFC 9112, nothing forgiven.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as a strict reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// It ended as it said.
    pub whole: bool,
}

impl Seen {
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What came on each connection.
type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

pub struct Witness {
    pub at: SocketAddr,
    taken: Taken,
    task: JoinHandle<()>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Witness {
    pub async fn start(ip: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let taken = Taken::default();
        let kept = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut all = kept.lock().unwrap();
                all.push(Vec::new());
                let index = all.len() - 1;
                drop(all);
                tokio::spawn(serve(stream, Arc::clone(&kept), index));
            }
        });
        Self { at, taken, task }
    }

    /// What came since the last time, read strictly; an error names the rule that was broken.
    pub fn take(&self) -> Result<Vec<Seen>, String> {
        let mut all = self.taken.lock().unwrap();
        let mut seen = Vec::new();
        for bytes in all.iter_mut() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (one, left) = read(rest)?;
                seen.push(one);
                rest = left;
            }
            bytes.clear();
        }
        Ok(seen)
    }
}

async fn serve(mut stream: TcpStream, taken: Taken, index: usize) {
    let (mut pending, mut some) = (Vec::new(), [0; 16 << 10]);
    while let Ok(length @ 1..) = stream.read(&mut some).await {
        taken.lock().unwrap()[index].extend_from_slice(&some[..length]);
        pending.extend_from_slice(&some[..length]);
        while let Ok((one, left)) = read(&pending) {
            if !one.whole {
                break;
            }
            pending = left.to_vec();
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await.is_err() {
                return;
            }
            if pending.is_empty() {
                break;
            }
        }
    }
}

/// The first request of some bytes, and what follows it.
fn read(bytes: &[u8]) -> Result<(Seen, &[u8]), String> {
    let partly = |line: &str| Seen { line: line.into(), headers: Vec::new(), body: Vec::new(), whole: false };
    let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok((partly(&String::from_utf8_lossy(bytes)), &[]));
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
    if head.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(format!("a line ends in less than CRLF: {head:?}"));
    }
    let mut lines = head.split("\r\n");
    let mut seen = partly(lines.next().unwrap_or_default());
    if seen.line.split(' ').count() != 3 || !seen.line.ends_with(" HTTP/1.1") {
        return Err(format!("no request line: {:?}", seen.line));
    }
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(format!("no header: {line:?}"))?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("no name of a header: {line:?}"));
        }
        seen.headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    if seen.all("host").len() != 1 {
        return Err(format!("hosts: {:?}", seen.all("host")));
    }
    body(seen, &bytes[end + 4..])
}

fn body(mut seen: Seen, bytes: &[u8]) -> Result<(Seen, &[u8]), String> {
    let codings: Vec<String> = seen.all("transfer-encoding").into_iter().map(str::to_owned).collect();
    let lengths: Vec<String> = seen.all("content-length").into_iter().map(str::to_owned).collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => {
            seen.whole = true;
            Ok((seen, bytes))
        }
        ([], [length]) if length.bytes().all(|b| b.is_ascii_digit()) => {
            let length: usize = length.parse().map_err(|_| "a length that is no number")?;
            seen.whole = bytes.len() >= length;
            let (body, left) = bytes.split_at(length.min(bytes.len()));
            seen.body = body.to_vec();
            Ok((seen, left))
        }
        ([coding], []) if coding == "chunked" => chunks(seen, bytes),
        other => Err(format!("a body with two ends or a strange one: {other:?}")),
    }
}

fn chunks(mut seen: Seen, mut bytes: &[u8]) -> Result<(Seen, &[u8]), String> {
    loop {
        let Some(end) = bytes.windows(2).position(|end| end == b"\r\n") else { return Ok((seen, &[])) };
        let size = std::str::from_utf8(&bytes[..end]).map_err(|_| "a size that is no text")?;
        if size.is_empty() || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("no size of a chunk: {size:?}"));
        }
        let size = usize::from_str_radix(size, 16).map_err(|e| e.to_string())?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            // Trailers, up to the empty line.
            let mut rest = bytes;
            while let Some(end) = rest.windows(2).position(|end| end == b"\r\n") {
                rest = &rest[end + 2..];
                if end == 0 {
                    seen.whole = true;
                    return Ok((seen, rest));
                }
            }
            return Ok((seen, &[]));
        }
        let Some(chunk) = bytes.get(..size + 2) else { return Ok((seen, &[])) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk that is longer than it says".into());
        }
        seen.body.extend_from_slice(&chunk[..size]);
        bytes = &bytes[size + 2..];
    }
}

#[test]
fn it_reads_strictly() {
    let host = "host: a\r\n";
    let good = [
        format!("GET / HTTP/1.1\r\n{host}\r\n"),
        format!("POST / HTTP/1.1\r\n{host}content-length: 2\r\n\r\nab"),
        format!("POST / HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    ];
    for text in good {
        let (seen, left) = read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(seen.whole && left.is_empty(), "{text}");
    }
    let bad = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}content-length: 1\r\ncontent-length: 1\r\n\r\nx"),
        format!("GET / HTTP/1.1\r\n{host}transfer-encoding: xchunked\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x : 1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: 1\rGET / HTTP/1.1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n"),
    ];
    for text in bad {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
}
