//! How fast nodes start, next to `unshare` and `bwrap` where they are installed.
//!
//! `start_bench [nodes] [threads]`: p50 and p99 of one start after the other, the time for all
//! `nodes` from `threads` threads, and the memory of each PID 1 (PSS). Needs root.

#![allow(clippy::print_stdout, missing_docs)]

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use lace_machine::{Cidr, Image, Isolation, Limits, Machine, MachineConfig, NodeSpec, ProcessSpec};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == "pid1") {
        lace_machine::pid1::main(&args[1..]);
    }
    let number = |at: usize, default| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (nodes, threads) = (number(0, 100u32), number(1, 4u32));
    let space = Cidr::new(Ipv4Addr::new(10, 238, 0, 0), 16).expect("a block");
    let state = std::env::temp_dir().join("lace-start-bench");
    let machine = Machine::open(MachineConfig::new(&state, "bench", space, space)).expect("open");
    machine.sweep(&[]).expect("sweep");
    one_by_one(&machine, 50);
    peer("unshare", &["-Umpinfr", "--mount-proc", "true"]);
    let bubble = ["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "true"];
    peer("bwrap", &bubble);
    machine.sweep(&[]).expect("sweep");
    at_once(&machine, nodes, threads);
    memory(&machine);
    let begun = Instant::now();
    machine.sweep(&[]).expect("sweep");
    println!("remove {nodes} nodes, one by one: {:?}", begun.elapsed());
    machine.close_all().expect("close");
    let _ = std::fs::remove_dir_all(state);
}

fn spec(n: u32) -> NodeSpec {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 238, 0, 10).to_bits() + n);
    NodeSpec {
        id: format!("bench-{n}"),
        hostname: format!("b{n}"),
        fqdn: String::new(),
        address,
        hosts: Vec::new(),
        nameserver: None,
        search: None,
        image: Image::Host,
        layers: Vec::new(),
        files: Vec::new(),
        volumes: Vec::new(),
        limits: Limits { cpu_millis: Some(1000), memory_bytes: Some(256 << 20), pids: Some(200) },
        isolation: Isolation::Border,
        process: Some(ProcessSpec { argv: vec!["sleep".into(), "100000".into()], ..ProcessSpec::default() }),
        votes: None,
    }
}

fn one_by_one(machine: &Machine, count: u32) {
    let start = |n| machine.start(&spec(n)).expect("start").took;
    print_quantiles("start to exec, one by one", (0..count).map(start).collect());
}

fn peer(program: &str, args: &[&str]) {
    let run = || {
        let begun = Instant::now();
        let status = Command::new(program).args(args).status();
        status.ok().filter(|s| s.success()).map(|_| begun.elapsed())
    };
    let times: Option<Vec<Duration>> = (0..50).map(|_| run()).collect();
    match times {
        Some(times) => print_quantiles(&format!("{program} (no network, no limits, no cleanup)"), times),
        None => println!("{program}: not installed or refused"),
    }
}

fn at_once(machine: &Machine, nodes: u32, threads: u32) {
    let begun = Instant::now();
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let worker = |t| {
            let starts = (t..nodes).step_by(threads as usize);
            scope.spawn(move || starts.map(|n| machine.start(&spec(n)).expect("start").took).collect())
        };
        let workers: Vec<_> = (0..threads).map(worker).collect();
        workers.into_iter().flat_map(|w| -> Vec<Duration> { w.join().expect("worker") }).collect()
    });
    println!("{nodes} nodes from {threads} threads: {:?}", begun.elapsed());
    print_quantiles("  each", times);
}

fn memory(machine: &Machine) {
    let pss = |pid: i32| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|l| l.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let mut sizes: Vec<u64> = machine.list().iter().filter_map(|s| pss(s.pid?)).collect();
    sizes.sort_unstable();
    if let (Some(middle), Some(most)) = (sizes.get(sizes.len() / 2), sizes.last()) {
        println!("PSS of pid1 (KiB): p50 {middle}, most {most}");
    }
}

fn print_quantiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    println!("{what}: p50 {:?}, p99 {:?}, least {:?}", at(0.5), at(0.99), times[0]);
}
