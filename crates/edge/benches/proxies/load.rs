//! One run of wrk, and what it says.

use crate::rivals::Rival;
use std::io;
use std::process::Command;

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub path: &'static str,
    pub tls: bool,
    /// A connection for each request.
    pub close: bool,
    pub connections: u32,
}

/// What came.
#[derive(Clone, Copy)]
pub struct Measured {
    pub per_second: f64,
    pub megabytes: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Errors of sockets, and answers that are no success.
    pub failed: u64,
}

/// Loads a proxy for some seconds.
pub fn run(rival: &Rival, case: Case, seconds: u64) -> io::Result<Measured> {
    let (scheme, port) = if case.tls { ("https", rival.tls) } else { ("http", rival.plain) };
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "--latency", "-H", &format!("Host: {}", crate::rivals::NAME)]);
    wrk.args(["-c", &case.connections.to_string(), "-d", &format!("{seconds}s")]);
    if case.close {
        wrk.args(["-H", "Connection: close"]);
    }
    // By a name: the door presents a certificate for the one that is asked for, and an address is none.
    let out = wrk.arg(format!("{scheme}://localhost:{port}{}", case.path)).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    read(&text).ok_or_else(|| io::Error::other(format!("wrk at {}: {text}", rival.name)))
}

fn read(text: &str) -> Option<Measured> {
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let count = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        Some(line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>())
    };
    Some(Measured {
        per_second: after("Requests/sec:")?.parse().ok()?,
        megabytes: scaled(
            &after("Transfer/sec:")?,
            &[("GB", 1024.0), ("MB", 1.0), ("KB", 1.0 / 1024.0), ("B", 0.0)],
        )?,
        p50_ms: milliseconds(&after("50%")?)?,
        p99_ms: milliseconds(&after("99%")?)?,
        failed: count("Socket errors:").unwrap_or(0) + count("Non-2xx or 3xx responses:").unwrap_or(0),
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    scaled(text, &[("us", 0.001), ("ms", 1.0), ("s", 1_000.0)])
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}
