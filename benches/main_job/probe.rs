//! What is read from outside: answers, memory, processes.

use crate::Failure;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// In which the kernel tells processor time (USER_HZ, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Asks until `path` is answered with 200.
pub fn until_answers(at: SocketAddr, path: &str, within: Duration) -> Result<(), Failure> {
    let until = Instant::now() + within;
    while !answers(at, path) {
        if Instant::now() > until {
            return Err(format!("http://{at}{path} does not answer").into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

fn answers(at: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Anonymous memory of a process in MiB (`RssAnon` of /proc/PID/status).
pub fn rss_anon_mib(pid: i32) -> Option<f64> {
    field_mib(&format!("/proc/{pid}/status"), "RssAnon:")
}

/// Memory of a process in MiB, its share of what it shares included (`Pss` of /proc/PID/smaps_rollup).
pub fn pss_mib(pid: i32) -> Option<f64> {
    field_mib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Processor time of a process, and of its children that ended and were waited for, in seconds (proc_pid_stat(5)).
pub fn cpu_seconds(pid: i32) -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(4).filter_map(|n| n.parse().ok()).collect();
    let [user, system, children_user, children_system] = ticks[..] else { return None };
    Some(((user + system) / TICKS_PER_SECOND, (children_user + children_system) / TICKS_PER_SECOND))
}

/// Processor time of a process with one thread in seconds, where ticks are too coarse (`/proc/PID/schedstat`).
pub fn cpu_seconds_fine(pid: i32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// Processor time of everything on this machine since boot, in seconds.
pub fn busy_seconds() -> f64 {
    let (all, idle) = processor_ticks();
    (all - idle) as f64 / TICKS_PER_SECOND
}

/// All ticks and idle ticks since boot: the first line of /proc/stat (proc_stat(5)).
pub fn processor_ticks() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().take(8).sum(), idle)
}

fn field_mib(path: &str, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let kib: f64 =
        text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// The PID 1s of nodes whose cgroups hang below `name`.
pub fn first_processes(name: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_first(*pid) && is_below(*pid, name)).collect()
}

/// 1 in its own pid namespace, and another number here.
fn is_first(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|l| l.strip_prefix("NSpid:"));
    numbers.is_some_and(|n| n.split_whitespace().skip(1).last() == Some("1"))
}

fn is_below(pid: i32, name: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.contains(&format!("/{name}/"))
}

/// How long a command takes from start to end; an error unless it ends well.
pub fn run_time(command: &mut Command) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let ended = ended.map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let took = begun.elapsed();
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("{}: {}: {}", command.get_program().display(), ended.status, said.trim()).into());
    }
    Ok(took)
}

/// Is a program there?
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| Path::new(&dir).join(program).exists())
}

/// A process's children and theirs.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<i32> = children
            .flat_map(|c| c.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
            .collect();
        found.extend(&children);
        open.extend(children);
    }
    found
}
