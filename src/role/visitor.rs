//! Somebody who looks at a page all the time, while everything behind it changes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks: fifty a second.
const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// A page is there within this time, or it has failed.
const PATIENCE: Duration = Duration::from_secs(15);
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What was seen.
#[derive(Default)]
struct Seen {
    served: u64,
    failed: u64,
    /// The last failure.
    cause: String,
    nodes: BTreeMap<String, u64>,
}

/// The visitor; goes away when dropped.
pub struct Visitor {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
}

impl Visitor {
    /// Begins to look at the page of `host` through the door.
    pub fn begin(door: SocketAddr, host: String) -> Self {
        let visitor = Self { seen: Arc::default(), over: Arc::default() };
        let (seen, over) = (visitor.seen.clone(), visitor.over.clone());
        std::thread::spawn(move || {
            let mut kept = None;
            while !over.load(Ordering::Relaxed) {
                note(&mut lock(&seen), look(&mut kept, door, &host));
                std::thread::sleep(LOOKS_EVERY);
            }
        });
        visitor
    }

    /// `812 served, 0 failed, by ball-1 (271), ...`.
    pub fn words(&self) -> String {
        let seen = lock(&self.seen);
        let nodes: Vec<_> = seen.nodes.iter().map(|(node, count)| format!("{node} ({count})")).collect();
        let cause = if seen.failed > 0 { format!("; the last: {}", seen.cause) } else { String::new() };
        format!("the page: {} served, {} failed{cause}, by {}", seen.served, seen.failed, nodes.join(", "))
    }

    /// How many pages did not come.
    pub fn failed(&self) -> u64 {
        lock(&self.seen).failed
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(seen: &mut Seen, looked: Result<String, Error>) {
    match looked {
        Ok(page) => {
            seen.served += 1;
            *seen.nodes.entry(node_of(&page)).or_default() += 1;
        }
        Err(error) => {
            seen.failed += 1;
            seen.cause = error.to_string();
        }
    }
}

/// `ball 1.0.0 on ball@ball-1.ball.ball.lace.internal` is by `ball-1`.
fn node_of(page: &str) -> String {
    let line = page.lines().next().unwrap_or_default();
    let name = line.rsplit_once(" on ").map_or(line, |(_, name)| name);
    let host = name.rsplit_once('@').map_or(name, |(_, host)| host);
    host.split('.').next().unwrap_or_default().to_owned()
}

/// One look over a connection that is kept, as a browser does it.
fn look(kept: &mut Option<BufReader<TcpStream>>, door: SocketAddr, host: &str) -> Result<String, Error> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(door)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        }
    };
    write!(connection.get_mut(), "GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")?;
    let mut head = Vec::new();
    while head.last().is_none_or(|line: &String| !line.is_empty()) {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(Error::other("the connection was closed"));
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length = field("content-length:").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; usize::min(length, PAGE_BYTES_MAX)];
    connection.read_exact(&mut body)?;
    if field("connection:") != Some("close") {
        *kept = Some(connection);
    }
    match head.first().is_some_and(|line| line.starts_with("http/1.1 200")) {
        true => Ok(String::from_utf8_lossy(&body).into_owned()),
        false => Err(Error::other(head.first().cloned().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_who_made_it() {
        assert_eq!(node_of("ball 1.0.0 on ball@ball-1.ball.ball.lace.internal\nmore"), "ball-1");
        assert_eq!(node_of("web-2"), "web-2");
        assert_eq!(node_of(""), "");
    }
}
