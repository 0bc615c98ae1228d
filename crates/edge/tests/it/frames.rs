//! h2 by hand (RFC 9113, RFC 7541): frames that no library would send.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as literals without indexing and without Huffman's code (RFC 7541 section 6.2.2).
pub fn fields(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in lines {
        bytes.push(0);
        for text in [name, value] {
            // Lengths below 127 fit the first byte (RFC 7541 section 5.1).
            bytes.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The head of a request.
pub fn head(stream: u32, flags: u8, lines: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &fields(lines))
}

pub struct Frames {
    stream: TcpStream,
}

impl Frames {
    pub async fn open(mut stream: TcpStream) -> Self {
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream }
    }

    /// An error says that the other side closed.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(Duration::from_secs(20), self.stream.write_all(bytes)).await.expect("taken in time")
    }

    /// The next frame: kind, flags, stream, payload. Nothing where the connection ended.
    pub async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let read = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some((head[3], head[4], stream, payload))
        };
        timeout(Duration::from_secs(20), read).await.expect("a frame or an end in time")
    }

    /// What becomes of a stream: the frames of it, or the end of everything.
    pub async fn fate(&mut self, wanted: u32) -> Fate {
        loop {
            match self.next().await {
                None => return Fate::Closed,
                Some((GOAWAY, _, _, _)) => return Fate::Closed,
                Some((RST_STREAM, _, stream, _)) if stream == wanted => return Fate::Reset,
                Some((HEADERS, _, stream, block)) if stream == wanted => {
                    return Fate::Answered(status(&block));
                }
                Some((SETTINGS, flags, _, _)) if flags & ACK == 0 => {
                    let _ = self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                }
                Some(_) => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Closed,
    Reset,
    Answered(u16),
}

/// The status of an answer: the static table has the usual ones (RFC 7541 appendix A), others are literals.
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(index @ 0x88..=0x8e) => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        // A literal with the name of the table's entry 8, indexed (0x48), or not (0x08).
        Some(0x48 | 0x08) => match block.get(1).copied() {
            Some(length) if length & 0x80 == 0 => {
                let text = block.get(2..2 + usize::from(length)).unwrap_or_default();
                String::from_utf8_lossy(text).parse().unwrap_or(1)
            }
            // Three digits in Huffman's code: which does not matter here.
            _ => 2,
        },
        _ => 0,
    }
}
