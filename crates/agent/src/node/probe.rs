//! One probe: HTTP, TCP or a command.

use super::ask;
use crate::beam;
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::check::{Check, Probe};
use lace_model::document::NodeEntry;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Enough of an answer for its first line.
const HEAD_BYTES_MAX: usize = 512;

/// Asks once; the error says in words what was wrong.
pub async fn probe(check: &Check, entry: &NodeEntry, node: &NodeHandle) -> Result<(), String> {
    let timeout = Duration::from_millis(check.timeout.0.max(1));
    let asked = async {
        match &check.probe {
            Probe::Tcp { port } => connect(entry.address, *port).await.map(drop),
            Probe::Http { port, path } => get(entry.address, *port, path).await,
            Probe::Exec { argv } => run(node, argv, timeout).await,
        }
    };
    let late = |_| Err(format!("check: no answer within {}", check.timeout));
    tokio::time::timeout(timeout, asked).await.unwrap_or_else(late)
}

async fn connect(address: Ipv4Addr, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((address, port)).await.map_err(|e| format!("check: port {port}: {e}"))
}

/// HTTP/1.1 by hand (RFC 9112): only the status line is of interest.
async fn get(address: Ipv4Addr, port: u16, path: &str) -> Result<(), String> {
    let mut stream = connect(address, port).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}:{port}\r\nuser-agent: lace-check\r\nconnection: close\r\n\r\n"
    );
    let broken = |e: std::io::Error| format!("check: GET :{port}{path}: {e}");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    while !head.contains(&b'\n') && head.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
            break;
        }
    }
    match status_of(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("check: GET :{port}{path} answers {status}")),
        None => Err(format!("check: GET :{port}{path} answers no HTTP")),
    }
}

/// The body of a page that answers with 200, whole.
pub async fn page(address: Ipv4Addr, port: u16, path: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let broken = |e: std::io::Error| format!("GET :{port}{path}: {e}");
    let mut stream = TcpStream::connect((address, port)).await.map_err(broken)?;
    // HTTP/1.0: no pieces, and the end of the answer is the end of the connection (RFC 1945).
    let request =
        format!("GET {path} HTTP/1.0\r\nhost: {address}:{port}\r\nuser-agent: lace-figures\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    let most = bytes_max as u64 + 1;
    stream.take(most).read_to_end(&mut answer).await.map_err(broken)?;
    if answer.len() > bytes_max {
        return Err(format!("GET :{port}{path}: more than {bytes_max} bytes"));
    }
    if status_of(&answer) != Some(200) {
        return Err(format!("GET :{port}{path} does not answer 200"));
    }
    let end =
        answer.windows(4).position(|some| some == b"\r\n\r\n").ok_or("the answer has no end of its head")?;
    Ok(answer.split_off(end + 4))
}

fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|b| *b == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/")?;
    std::str::from_utf8(rest).ok()?.split(' ').nth(1)?.trim().parse().ok()
}

async fn run(node: &NodeHandle, argv: &[String], within: Duration) -> Result<(), String> {
    let command = ExecSpec::new(argv.to_vec()).with(beam::no_dump());
    let (exit, out, err) = ask(node, move |node| node.output_within(&command, within)).await?;
    if exit.code == Some(0) {
        return Ok(());
    }
    let words = if err.is_empty() { out } else { err };
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().last().unwrap_or_default();
    Err(format!("check: {}: {} {}", argv.join(" "), exit.reason, last.chars().take(200).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        let table: [(&[u8], Option<u16>); 5] = [
            (b"HTTP/1.1 200 OK\r\n", Some(200)),
            (b"HTTP/1.0 503\r\n", Some(503)),
            (b"HTTP/1.1 302 Found", Some(302)),
            (b"SSH-2.0-x\r\n", None),
            (b"", None),
        ];
        for (head, expected) in table {
            assert_eq!(status_of(head), expected);
        }
    }
}
