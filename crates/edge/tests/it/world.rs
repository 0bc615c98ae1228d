//! A running role `net`, and a client that asks it.

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use lace_edge::{NetClient, NetConfig, serve_until};
use lace_model::document::{Member, Topic};
use lace_model::{Generation, NodeId};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const WAIT: Duration = Duration::from_secs(5);

/// A loopback address that no other test uses: tests run in parallel, as threads or as processes.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, NEXT.fetch_add(1, Ordering::Relaxed), high, low)
}

pub struct World {
    pub dir: TempDir,
    pub config: NetConfig,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl World {
    pub async fn start(change: impl FnOnce(&mut NetConfig)) -> Self {
        let dir = TempDir::new().unwrap();
        let listen = SocketAddr::from((own_address(), 15_353));
        let mut config = NetConfig::new(dir.path().join("net"), vec![listen]);
        change(&mut config);
        let mut world = Self { dir, config, running: None };
        world.resume().await;
        world
    }

    pub async fn resume(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let config = self.config.clone();
        let task = tokio::spawn(async move {
            serve_until(config, async { drop(stopped.await) }).await.unwrap();
        });
        self.running = Some((stop, task));
        self.until_served().await;
    }

    pub async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        *self.config.dns_listen.last().unwrap()
    }

    pub fn client(&self) -> NetClient {
        NetClient::new(&self.config.control)
    }

    pub fn topic_file(&self, app: &str) -> std::path::PathBuf {
        Path::new(&self.config.state_dir).join(format!("topics/{app}.json"))
    }

    async fn until_served(&self) {
        self.client().held().await.unwrap();
        for _ in 0..200 {
            if TcpStream::connect(self.address()).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing listens at {}", self.address());
    }

    pub async fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.send(&question(name, kind)).await
    }

    pub async fn send(&self, message: &Message) -> Message {
        let bytes = self.datagram(&message.to_vec().unwrap()).await.expect("an answer in time");
        Message::from_vec(&bytes).unwrap()
    }

    pub async fn datagram(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(bytes, self.address()).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let (length, from) = timeout(WAIT, socket.recv_from(&mut buffer)).await.ok()?.unwrap();
        assert_eq!(from, self.address());
        buffer.truncate(length);
        Some(buffer)
    }

    pub async fn ask_tcp(&self, name: &str, kind: RecordType) -> Message {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        talk(&mut stream, &question(name, kind)).await
    }
}

pub async fn talk(stream: &mut TcpStream, message: &Message) -> Message {
    let bytes = message.to_vec().unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut reply = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    message.metadata.recursion_desired = true;
    message
}

pub fn with_edns(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

pub fn addresses(message: &Message) -> Vec<Ipv4Addr> {
    let mut found: Vec<_> = message
        .answers
        .iter()
        .filter_map(|r| if let RData::A(a) = r.data { Some(a.0) } else { None })
        .collect();
    found.sort();
    found
}

/// One line: code, flags, answers in order of text, and the number of authorities and additionals.
pub fn show(message: &Message) -> String {
    let mut answers: Vec<String> =
        message.answers.iter().map(|r| format!("{} {} {}", r.ttl, r.record_type(), r.data)).collect();
    answers.sort();
    let code = match message.response_code {
        ResponseCode::NoError => "ok".into(),
        code => format!("{code:?}").to_lowercase(),
    };
    let authority = if message.authoritative { " ours" } else { "" };
    let (more, extra) = (message.authorities.len(), message.additionals.len());
    format!("{code}{authority} [{}] {more} {extra}", answers.join(", "))
}

/// `game/1 up 10.192.0.1` in application shop: SERVICE/FAMILY/INDEX STATE ADDRESS.
pub fn member(app: &str, line: &str) -> Member {
    let words: Vec<&str> = line.split_whitespace().collect();
    Member {
        node: NodeId::derive(&[7; 32], line),
        path: format!("{app}/{}", words[0]).parse().unwrap(),
        address: words[2].parse().unwrap(),
        up: words[1] != "down",
        ready: words[1] == "ready",
        openings: Vec::new(),
        revision: 0,
        mesh: 0,
        joined: false,
    }
}

pub fn topic(app: &str, number: u64, lines: &[&str]) -> Topic {
    Topic {
        app: app.parse().unwrap(),
        generation: Generation { epoch: 1, number },
        members: lines.iter().map(|line| member(app, line)).collect(),
        ports: Default::default(),
        doors: Default::default(),
        shares: Default::default(),
        certificates: Vec::new(),
        challenges: Vec::new(),
        runtimes: Default::default(),
    }
}

/// An application with so many nodes in one family, all ready.
pub fn crowd(app: &str, count: u32) -> Topic {
    let line = |n: u32| format!("web/web/{n} ready {}", Ipv4Addr::from_bits(0x0AC0_0000 + n));
    let lines: Vec<String> = (1..=count).map(line).collect();
    topic(app, 1, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}
