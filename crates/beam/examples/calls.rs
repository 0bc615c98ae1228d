//! What a call, a sample and a link cost, here and in the runtime:
//! `cargo run --release -p lace-beam --example calls -- NAME@HOST ADDRESS:PORT COOKIE`.
//!
//! `scripts/bench.sh beam` starts the runtime beside it.

#![allow(clippy::print_stdout)]

use lace_beam::link::Settings;
use lace_beam::vm::{Ranker, Sampler};
use lace_beam::{Call, Identity, Link, Term};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, address, cookie] = arguments.as_slice() else {
        return Err("NAME@HOST ADDRESS:PORT COOKIE".into());
    };
    let (node, cookie) = (node.clone(), cookie.clone());
    let me = Identity { node: "lace@bench.lace.internal".to_owned(), cookie };
    drop(reach(address).await?);
    let begin = Instant::now();
    let link = connect(address, &me, &node).await?;
    println!("connect {:?}", begin.elapsed());
    calls(&link).await?;
    many(&link).await?;
    samples(&link).await?;
    memory(address, &node, &me.cookie).await
}

/// Tries until the runtime listens.
async fn reach(address: &str) -> std::io::Result<tokio::net::TcpStream> {
    let until = Instant::now() + WITHIN;
    loop {
        match tokio::net::TcpStream::connect(address).await {
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            reached => return reached,
        }
    }
}

async fn connect(address: &str, me: &Identity, node: &str) -> Result<Link, Box<dyn std::error::Error>> {
    let stream = reach(address).await?;
    stream.set_nodelay(true)?;
    Ok(Link::connect(stream, me, node, &Settings::default()).await?)
}

/// Processor time of this process, and of the runtime, in milliseconds.
async fn spent(link: &Link) -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat.split_whitespace().skip(13).take(2).filter_map(|f| f.parse().ok()).collect();
    let ours = fields.iter().sum::<u64>() * 10;
    let theirs = link.call(Call::new("erlang", "statistics", vec![Term::atom("runtime")])).await;
    let theirs = theirs.ok().and_then(|t| t.as_tuple()?.first()?.as_count()).unwrap_or(0);
    (ours, theirs)
}

async fn calls(link: &Link) -> Result<(), Box<dyn std::error::Error>> {
    let mut times = Vec::with_capacity(ROUNDS);
    let before = spent(link).await;
    for n in 0..ROUNDS {
        let begin = Instant::now();
        link.call(Call::new("erlang", "abs", vec![Term::Int(-(n as i64))])).await?;
        times.push(begin.elapsed());
    }
    tell("call, one after the other", times, before, spent(link).await);
    Ok(())
}

async fn many(link: &Link) -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let link = link.clone();
        workers.spawn(async move {
            for _ in 0..ROUNDS / 64 {
                link.call(Call::new("erlang", "node", vec![])).await?;
            }
            Ok::<_, lace_beam::CallError>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    let per_second = ROUNDS as f64 / begin.elapsed().as_secs_f64();
    println!("64 callers on one link: {per_second:.0} calls/s");
    Ok(())
}

async fn samples(link: &Link) -> Result<(), Box<dyn std::error::Error>> {
    let sampler = Sampler::prepare(link).await?;
    let before = spent(link).await;
    let mut times = Vec::new();
    for _ in 0..1000 {
        let begin = Instant::now();
        sampler.sample(link, WITHIN).await?;
        times.push(begin.elapsed());
    }
    tell("sample", times, before, spent(link).await);
    let ranker = Ranker::prepare(link).await?;
    let before = spent(link).await;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        ranker.top(link, 10, WITHIN).await?;
        times.push(begin.elapsed());
    }
    tell("top 10", times, before, spent(link).await);
    Ok(())
}

fn tell(what: &str, mut times: Vec<Duration>, before: (u64, u64), after: (u64, u64)) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    let each = |ms: u64| ms as f64 * 1000.0 / times.len() as f64;
    println!(
        "{what}: p50 {} us, p99 {} us, max {} us; processor time each: {:.1} us here, {:.1} us there",
        at(0.5),
        at(0.99),
        at(1.0),
        each(after.0 - before.0),
        each(after.1 - before.1)
    );
}

/// What links that have been used take in this process.
async fn memory(address: &str, node: &str, cookie: &str) -> Result<(), Box<dyn std::error::Error>> {
    let before = resident();
    let mut links = Vec::new();
    for n in 0..100 {
        let me = Identity { node: format!("lace{n}@bench.lace.internal"), cookie: cookie.to_owned() };
        let link = connect(address, &me, node).await?;
        let sampler = Sampler::prepare(&link).await?;
        sampler.sample(&link, WITHIN).await?;
        links.push((link, sampler));
    }
    println!("memory of a link with its sampler: {} KiB (100 links)", (resident() - before) / 100 / 1024);
    Ok(())
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
