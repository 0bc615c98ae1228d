//! Clients that ask at a bounded rate and count every answer that is not as it should be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An answer must be there within this time.
const PATIENCE: Duration = Duration::from_secs(15);

/// A part of what is posted.
const PART: [u8; 1024] = [b'p'; 1024];

/// What happened so far.
#[derive(Default)]
pub struct Tally {
    pub served: AtomicU64,
    pub echoed: AtomicU64,
    pub downloaded: AtomicU64,
    pub posted: AtomicU64,
    failed: Mutex<Vec<String>>,
    /// Answers by their text.
    answers: Mutex<BTreeMap<String, u64>>,
    over: AtomicBool,
}

impl Tally {
    fn fail(&self, what: String) {
        self.failed.lock().expect("tally").push(what);
    }

    pub fn failures(&self) -> Vec<String> {
        self.failed.lock().expect("tally").clone()
    }

    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.answers.lock().expect("tally").clone()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// The clients at work.
pub struct Load {
    pub tally: Arc<Tally>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many clients, each asking every so often over a connection that it keeps; beside them one that downloads,
    /// one that echoes and one that posts what must not be sent twice.
    pub fn begin(door: SocketAddr, host: &str, clients: usize, every: Duration) -> Self {
        let tally = Arc::new(Tally::default());
        let spawn = |work: fn(SocketAddr, &str, &Tally, Duration)| {
            let (host, tally) = (host.to_owned(), tally.clone());
            std::thread::spawn(move || work(door, &host, &tally, every))
        };
        let mut threads: Vec<_> = (0..clients).map(|_| spawn(ask)).collect();
        threads.push(spawn(download));
        threads.push(spawn(echo));
        threads.push(spawn(post));
        Self { tally, clients: threads }
    }

    pub fn end(self) -> Arc<Tally> {
        self.tally.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client"));
        self.tally
    }
}

/// A connection that is kept, as a browser keeps it.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(door: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(door)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Status, body, and whether the connection may be used again.
    pub fn get(&mut self, host: &str, path: &str, more: &str) -> std::io::Result<(u16, Vec<u8>, bool)> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n")?;
        self.answer()
    }

    /// The same for what is sent in parts, with a pause after each: a node that drains must take it to its end.
    fn post(&mut self, host: &str, parts: u32, every: Duration) -> std::io::Result<(u16, Vec<u8>, bool)> {
        let to = self.0.get_mut();
        let length = parts as usize * PART.len();
        write!(to, "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n")?;
        for _ in 0..parts {
            std::thread::sleep(every);
            to.write_all(&PART)?;
        }
        self.answer()
    }

    fn answer(&mut self) -> std::io::Result<(u16, Vec<u8>, bool)> {
        let (mut status, mut length, mut stays) = (0, 0, true);
        for number in 0.. {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::Error::other(format!("cut off after {number} lines")));
            }
            let line = line.trim().to_ascii_lowercase();
            if number == 0 {
                status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            } else if line.is_empty() {
                break;
            } else if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            } else if line == "connection: close" {
                stays = false;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, body, stays))
    }
}

fn ask(door: SocketAddr, host: &str, tally: &Tally, every: Duration) {
    let (mut kept, mut due) = (None, Instant::now());
    while !tally.is_over() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due = Instant::now().max(due + every);
        let asked = once(&mut kept, door, host, "/");
        match asked {
            Ok((200, body)) => {
                tally.served.fetch_add(1, Ordering::Relaxed);
                let text = String::from_utf8_lossy(&body).trim().to_owned();
                *tally.answers.lock().expect("tally").entry(text).or_default() += 1;
            }
            Ok((status, body)) => tally.fail(format!("{status}: {}", String::from_utf8_lossy(&body))),
            Err(error) => tally.fail(error.to_string()),
        }
    }
}

fn once(
    kept: &mut Option<Connection>,
    door: SocketAddr,
    host: &str,
    path: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(door)?,
    };
    let (status, body, stays) = connection.get(host, path, "")?;
    *kept = stays.then_some(connection);
    Ok((status, body))
}

fn download(door: SocketAddr, host: &str, tally: &Tally, _: Duration) {
    while !tally.is_over() {
        match once(&mut None, door, host, "/big") {
            Ok((200, body)) if body.len() == crate::page::BIG => {
                tally.downloaded.fetch_add(1, Ordering::Relaxed);
            }
            Ok((status, body)) => tally.fail(format!("download: {status}, {} bytes", body.len())),
            Err(error) => tally.fail(format!("download: {error}")),
        }
    }
}

fn post(door: SocketAddr, host: &str, tally: &Tally, every: Duration) {
    let mut kept = None;
    while !tally.is_over() {
        let opened = kept.take().map_or_else(|| Connection::open(door), Ok);
        let posted = opened.and_then(|mut c| c.post(host, 10, every).map(|answer| (c, answer)));
        match posted {
            Ok((connection, (200, _, stays))) => {
                tally.posted.fetch_add(1, Ordering::Relaxed);
                kept = stays.then_some(connection);
            }
            Ok((_, (status, body, _))) => {
                tally.fail(format!("post: {status}: {}", String::from_utf8_lossy(&body)));
            }
            Err(error) => tally.fail(format!("post: {error}")),
        }
    }
}

/// A socket lives as long as its node or its door; between two messages it may end, within one it may not.
fn echo(door: SocketAddr, host: &str, tally: &Tally, every: Duration) {
    while !tally.is_over() {
        let opened = Connection::open(door)
            .and_then(|mut c| c.get(host, "/", "connection: upgrade\r\nupgrade: echo\r\n").map(|a| (c, a.0)));
        let Ok((mut socket, 101)) = opened else {
            tally.fail(format!("socket not opened: {:?}", opened.map(|o| o.1)));
            continue;
        };
        // Asked again after a while, as a page does that is left and opened.
        for n in 0..500 {
            let word = format!("message {n:>6}\n");
            let mut back = String::new();
            let sent =
                socket.0.get_mut().write_all(word.as_bytes()).and_then(|()| socket.0.read_line(&mut back));
            match sent {
                Ok(_) if back == word => drop(tally.echoed.fetch_add(1, Ordering::Relaxed)),
                Ok(0) | Err(_) if n > 0 => break,
                other => tally.fail(format!("socket: {other:?} {back:?}")),
            }
            if tally.is_over() {
                return;
            }
            std::thread::sleep(every);
        }
    }
}
