//! How fast names are looked up: 10,000 members in one table.
//!
//! Run with `cargo run --release -p lace-edge --example lookups`. Prints questions per second and the 99th
//! percentile, first for the logic alone and then over UDP on loopback, where client and server share the machine.
#![allow(clippy::print_stdout)]

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use lace_edge::dns::{Dice, Responder, Step, Transport};
use lace_edge::names::Topics;
use lace_edge::{NetClient, NetConfig, NetLimits, serve_until};
use lace_model::document::{Member, Topic};
use lace_model::{Generation, NodeId};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

const MEMBERS: u32 = 10_000;
const QUESTIONS: u32 = 200_000;
const CLIENTS: u32 = 4;

fn topic() -> Result<Topic, Box<dyn Error>> {
    let member = |n: u32| -> Result<Member, Box<dyn Error>> {
        let path = format!("big/web/f{}/{}", n % 10, n / 10 + 1).parse()?;
        let address = Ipv4Addr::from_bits(0x0AC0_0000 + n);
        let node = NodeId::derive(&[1; 32], &n.to_string());
        Ok(Member {
            node,
            path,
            address,
            up: true,
            ready: true,
            openings: Vec::new(),
            revision: 0,
            mesh: 0,
            joined: false,
        })
    };
    let members = (0..MEMBERS).map(member).collect::<Result<_, _>>()?;
    let generation = Generation { epoch: 1, number: 1 };
    Ok(Topic {
        app: "big".parse()?,
        generation,
        members,
        ports: Default::default(),
        doors: Default::default(),
        shares: Default::default(),
        certificates: Vec::new(),
        challenges: Vec::new(),
        runtimes: Default::default(),
    })
}

fn question(n: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let n = n.wrapping_mul(2_654_435_761) % MEMBERS;
    let name = format!("f{}-{}.web.big.lace.internal.", n % 10, n / 10 + 1);
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name)?, RecordType::A));
    Ok(message.to_vec()?)
}

fn report(what: &str, count: u32, all: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let rate = f64::from(count) / all.as_secs_f64();
    println!("{what}: {rate:.0} questions/s, p99 {:.1} us", p99.as_secs_f64() * 1e6);
}

fn alone(responder: &Responder, what: &str, questions: &[Vec<u8>]) {
    let mut dice = Dice::new(1);
    let mut times = Vec::with_capacity(questions.len());
    let start = Instant::now();
    for bytes in questions {
        let begin = Instant::now();
        let step = responder.step(bytes, Transport::Udp, &mut dice);
        times.push(begin.elapsed());
        assert!(matches!(step, Step::Answer(ref answer) if answer[7] > 0), "no answer");
    }
    report(what, questions.len() as u32, start.elapsed(), times);
}

async fn client(server: SocketAddr, questions: Vec<Vec<u8>>) -> std::io::Result<Vec<Duration>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(server).await?;
    let mut times = Vec::with_capacity(questions.len());
    let mut buffer = [0; 1_500];
    for bytes in questions {
        let begin = Instant::now();
        socket.send(&bytes).await?;
        socket.recv(&mut buffer).await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

async fn over_udp(questions: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::TempDir::new()?;
    let server: SocketAddr = "127.83.1.1:15353".parse()?;
    let mut config = NetConfig::new(dir.path(), vec![server]);
    config.limits = NetLimits { queries_per_second: 10_000_000, queries_burst: 10_000_000, ..config.limits };
    let control = config.control.clone();
    let running = tokio::spawn(serve_until(config, std::future::pending()));
    let begin = Instant::now();
    NetClient::new(control).put(topic()?).await?;
    println!("taking a topic of {MEMBERS}: {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    let share = questions.len() / CLIENTS as usize;
    let start = Instant::now();
    let clients: Vec<_> =
        questions.chunks_exact(share).map(|part| tokio::spawn(client(server, part.to_vec()))).collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    report("over UDP, 4 clients in turn", times.len() as u32, start.elapsed(), times);
    running.abort();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::TempDir::new()?;
    let topics = Topics::open(dir.path())?;
    topics.put(topic()?).await?;
    let config = NetConfig::new(dir.path(), vec!["10.192.0.1:53".parse()?]);
    let responder = Responder::new(topics.names(), &config);
    let questions = (0..QUESTIONS).map(question).collect::<Result<Vec<_>, _>>()?;
    alone(&responder, "one name of 10,000", &questions);
    let mut set = Message::query();
    set.add_query(Query::query(Name::from_ascii("web.big.lace.internal.")?, RecordType::A));
    alone(&responder, "a set of 10,000, cut to 28", &vec![set.to_vec()?; 50_000]);
    over_udp(&questions).await
}
