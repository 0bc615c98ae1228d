//! The door beside HAProxy and nginx, each as plain reverse proxy to the same back end, in one interleaved run:
//! `cargo bench -p lace-edge --bench proxies [-- --quick | --idle]`. Wants haproxy, nginx and wrk (Debian).
//!
//! Absolute numbers of a busy machine mean little; the ratio inside a round means something, and the median over the
//! rounds is printed.

mod idle;
mod load;
mod rivals;

use load::{Case, Measured};
use rivals::{Rival, Stage};
use std::process::ExitCode;
use std::time::Duration;

const CASES: [Case; 5] = [
    Case { name: "small answers, keep-alive", path: "/small", tls: false, close: false, connections: 32 },
    Case {
        name: "small answers, one a connection",
        path: "/small",
        tls: false,
        close: true,
        connections: 32,
    },
    Case { name: "small answers, TLS, keep-alive", path: "/small", tls: true, close: false, connections: 32 },
    Case {
        name: "small answers, TLS, one a connection",
        path: "/small",
        tls: true,
        close: true,
        connections: 16,
    },
    Case { name: "1 MB answers", path: "/big", tls: false, close: false, connections: 8 },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, dir] = &words[..]
        && role == rivals::DOOR
    {
        return rivals::serve_door(dir.as_ref());
    }
    let quick = words.iter().any(|word| word == "--quick");
    let only_idle = words.iter().any(|word| word == "--idle");
    let cases = if only_idle { &[][..] } else { &CASES[..] };
    match run(cases, if quick { (2, 1) } else { (5, 4) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxies: not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cases: &[Case], (rounds, seconds): (usize, u64)) -> std::io::Result<()> {
    let dir = tempfile::tempdir()?;
    let stage = Stage::set(dir.path())?;
    let rivals = stage.rivals()?;
    for &case in cases {
        // Once around unseen: connections, caches, pages.
        rivals.iter().try_for_each(|rival| load::run(rival, case, 1).map(drop))?;
        let mut rows: Vec<Vec<Measured>> = vec![Vec::new(); rivals.len()];
        for round in 0..rounds {
            for turn in 0..rivals.len() {
                let at = (turn + round) % rivals.len();
                rows[at].push(load::run(&rivals[at], case, seconds)?);
            }
        }
        report(case, &rivals, &rows);
    }
    memory(&rivals)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn report(case: Case, rivals: &[Rival], rows: &[Vec<Measured>]) {
    println!("\n{} ({} connections)", case.name, case.connections);
    println!(
        "{:>10} {:>10} {:>9} {:>9} {:>9} {:>12} {:>7}",
        "", "req/s", "MB/s", "p50 ms", "p99 ms", "of haproxy", "failed"
    );
    let peer = rivals.iter().position(|rival| rival.name == "haproxy").unwrap_or_default();
    for (rival, row) in rivals.iter().zip(rows) {
        let of = |pick: fn(&Measured) -> f64| median(row.iter().map(pick).collect());
        let ratios = row.iter().zip(&rows[peer]).map(|(own, peer)| own.per_second / peer.per_second.max(1.0));
        println!(
            "{:>10} {:>10.0} {:>9.1} {:>9.2} {:>9.2} {:>11.0}% {:>7}",
            rival.name,
            of(|m| m.per_second),
            of(|m| m.megabytes),
            of(|m| m.p50_ms),
            of(|m| m.p99_ms),
            100.0 * median(ratios.collect()),
            row.iter().map(|m| m.failed).sum::<u64>(),
        );
    }
}

#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn memory(rivals: &[Rival]) -> std::io::Result<()> {
    println!("\nmemory at {} idle connections (PSS, beside what it was before)", idle::CONNECTIONS);
    for (tls, what) in [(false, "plain"), (true, "TLS")] {
        for rival in rivals {
            let (before, after) = idle::measure(rival, tls)?;
            let each = (after.saturating_sub(before)) as f64 / idle::CONNECTIONS as f64;
            println!("{:>10} {what:>6} {:>7} KiB -> {after:>7} KiB, {each:.1} KiB each", rival.name, before);
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    Ok(())
}
