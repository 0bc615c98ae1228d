//! Clients that ask at a bounded rate and count every answer that is not as it should be.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
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
    /// What a door that goes away had not begun.
    pub asked_again: AtomicU64,
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

/// Where clients ask, for which host, and whether encrypted.
#[derive(Clone)]
struct Way {
    door: SocketAddr,
    host: String,
    tls: Option<Arc<ClientConfig>>,
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
        Self::begin_by(&Way { door, host: host.to_owned(), tls: None }, clients, every)
    }

    /// The same over TLS.
    pub fn begin_tls(
        door: SocketAddr,
        host: &str,
        tls: Arc<ClientConfig>,
        clients: usize,
        every: Duration,
    ) -> Self {
        Self::begin_by(&Way { door, host: host.to_owned(), tls: Some(tls) }, clients, every)
    }

    fn begin_by(way: &Way, clients: usize, every: Duration) -> Self {
        let tally = Arc::new(Tally::default());
        let spawn = |work: fn(&Way, &Tally, Duration)| {
            let (way, tally) = (way.clone(), tally.clone());
            std::thread::spawn(move || work(&way, &tally, every))
        };
        let mut threads: Vec<_> = (0..clients).map(|_| spawn(ask)).collect();
        threads.push(spawn(download));
        threads.push(spawn(echo));
        threads.push(spawn(post));
        Self { tally, clients: threads }
    }

    /// So many clients over h2, each as [`Load::begin`]'s; they ask again what the door says that it did not begin, and nothing
    /// else.
    pub fn begin_h2(door: SocketAddr, host: &str, clients: usize, every: Duration) -> Self {
        let tally = Arc::new(Tally::default());
        let spawn = |_| {
            let (host, tally) = (host.to_owned(), tally.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(h2::ask(door, &host, &tally, every));
            })
        };
        let clients = (0..clients).map(spawn).collect();
        Self { tally, clients }
    }

    pub fn end(self) -> Arc<Tally> {
        self.tally.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client"));
        self.tally
    }
}

trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

/// A connection that is kept, as a browser keeps it.
pub struct Connection(BufReader<Box<dyn Line>>);

impl Connection {
    pub fn open(door: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(BufReader::new(Box::new(dial(door)?))))
    }

    fn open_by(way: &Way) -> std::io::Result<Self> {
        let Some(tls) = &way.tls else { return Self::open(way.door) };
        let name = ServerName::try_from(way.host.clone()).map_err(std::io::Error::other)?;
        let session = ClientConnection::new(tls.clone(), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(session, dial(way.door)?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    /// Status, body, and whether the connection may be used again.
    pub fn get(&mut self, host: &str, path: &str, more: &str) -> std::io::Result<(u16, Vec<u8>, bool)> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n")?;
        self.answer()
    }

    /// Asks, and reads the head of the answer: status and length.
    pub fn begin(&mut self, host: &str, path: &str) -> std::io::Result<(u16, usize)> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")?;
        self.head().map(|(status, length, _)| (status, length))
    }

    /// Reads so much of a body.
    pub fn rest(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
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
        let (status, length, stays) = self.head()?;
        Ok((status, self.rest(length)?, stays))
    }

    fn head(&mut self) -> std::io::Result<(u16, usize, bool)> {
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
        Ok((status, length, stays))
    }
}

fn dial(door: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(door)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(way: &Way, tally: &Tally, every: Duration) {
    let (mut kept, mut due) = (None, Instant::now());
    while !tally.is_over() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due = Instant::now().max(due + every);
        let asked = once(&mut kept, way, "/");
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

fn once(kept: &mut Option<Connection>, way: &Way, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open_by(way)?,
    };
    let (status, body, stays) = connection.get(&way.host, path, "")?;
    *kept = stays.then_some(connection);
    Ok((status, body))
}

fn download(way: &Way, tally: &Tally, _: Duration) {
    while !tally.is_over() {
        match once(&mut None, way, "/big") {
            Ok((200, body)) if body.len() == crate::page::BIG => {
                tally.downloaded.fetch_add(1, Ordering::Relaxed);
            }
            Ok((status, body)) => tally.fail(format!("download: {status}, {} bytes", body.len())),
            Err(error) => tally.fail(format!("download: {error}")),
        }
    }
}

fn post(way: &Way, tally: &Tally, every: Duration) {
    let mut kept = None;
    while !tally.is_over() {
        let opened = kept.take().map_or_else(|| Connection::open_by(way), Ok);
        let posted = opened.and_then(|mut c| c.post(&way.host, 10, every).map(|answer| (c, answer)));
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
fn echo(way: &Way, tally: &Tally, every: Duration) {
    while !tally.is_over() {
        let upgrade = "connection: upgrade\r\nupgrade: echo\r\n";
        let opened =
            Connection::open_by(way).and_then(|mut c| c.get(&way.host, "/", upgrade).map(|a| (c, a.0)));
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

/// A client of h2 that keeps its connection.
mod h2 {
    use super::{PATIENCE, Tally};
    use hyper::body::{Body, Incoming};
    use hyper::client::conn::http2::{SendRequest, handshake};
    use hyper::{Request, Response};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::error::Error;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::atomic::Ordering;
    use std::time::Duration;
    use tokio::net::TcpStream;
    use tokio::time::{sleep, timeout};

    /// What h2 says of a stream that the other side did not begin, because it goes away.
    const NOT_BEGUN: &str = "not a result of an error";

    pub async fn ask(door: SocketAddr, host: &str, tally: &Tally, every: Duration) {
        while !tally.is_over() {
            let stream = match TcpStream::connect(door).await {
                Ok(stream) => stream,
                Err(error) => return tally.fail(format!("h2: {error}")),
            };
            match handshake(TokioExecutor::new(), TokioIo::new(stream)).await {
                Ok((sender, connection)) => {
                    let connection = tokio::spawn(connection);
                    over(sender, host, tally, every).await;
                    connection.abort();
                }
                Err(error) => tally.fail(format!("h2: no handshake: {error}")),
            }
        }
    }

    /// As long as the connection takes requests.
    async fn over(mut sender: SendRequest<String>, host: &str, tally: &Tally, every: Duration) {
        while !tally.is_over() && sender.ready().await.is_ok() {
            let request = Request::get(format!("http://{host}/")).body(String::new()).expect("a request");
            let asked = async { read(sender.send_request(request).await?).await };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(200)) => drop(tally.served.fetch_add(1, Ordering::Relaxed)),
                Ok(Ok(status)) => tally.fail(format!("h2: {status}")),
                Ok(Err(error)) if error.is_canceled() || says(&error).contains(NOT_BEGUN) => {
                    tally.asked_again.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(Err(error)) => tally.fail(format!("h2: {}", says(&error))),
                Err(_) => return tally.fail("h2: no answer in time".to_owned()),
            }
            sleep(every).await;
        }
    }

    async fn read(response: Response<Incoming>) -> hyper::Result<u16> {
        let (head, mut body) = response.into_parts();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            frame?;
        }
        Ok(head.status.as_u16())
    }

    fn says(error: &hyper::Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}
