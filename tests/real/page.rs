//! The page that the nodes of the door's tests serve: this very test program, started again inside a node.
//!
//! HTTP/1.1 by hand with a thread for each connection: `/` names the node and its version, `/big` is large and slow,
//! an upgrade to `echo` echoes. Where `/tmp/sick` is, its check finds it sick. It ends at once at SIGTERM: nothing but the door sees to it that nobody notices.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of `/big`, and of one piece of it.
pub const BIG: usize = 8 << 20;
const PIECE: usize = 256 << 10;
const PIECE_EVERY: Duration = Duration::from_millis(10);

/// A project whose release is this program.
pub fn project(dir: &Path, version: &str, count: u32) -> PathBuf {
    let rollout = "rollout = { strategy = \"rolling\", max_unavailable = 1, healthy_for = \"100ms\" }\n";
    project_with(dir, version, count, rollout)
}

/// The same with more to say of the service.
pub fn project_with(dir: &Path, version: &str, count: u32, more: &str) -> PathBuf {
    let root = dir.join("page");
    let bin = root.join("bin");
    std::fs::create_dir_all(&bin).expect("made");
    let program = bin.join("page");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().expect("exe"), &program).expect("copied");
    }
    std::fs::write(root.join("VERSION"), version).expect("written");
    std::fs::write(root.join("Procfile"), "web: bin/page --exact page::serve_pages --nocapture\n")
        .expect("written");
    let manifest = format!(
        "[application]\nname = \"shop\"\n\n[service.web]\nrelease = {{ path = \".\" }}\ncount = {count}\ncpu = 0.1\n\
         memory = \"128MiB\"\nenv = {{ PAGE_VERSION = \"{version}\" }}\n\
         check = {{ http = \":8080/health\", interval = \"200ms\" }}\nstop = {{ signal = \"TERM\", timeout = \"20s\" }}\n\
         {more}"
    );
    std::fs::write(root.join("lace.toml"), manifest).expect("written");
    root
}

/// The program in the node; without its environment it does nothing.
#[test]
fn serve_pages() {
    let Ok(version) = std::env::var("PAGE_VERSION") else { return };
    let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let node = node.trim().to_owned();
    let listener = TcpListener::bind("0.0.0.0:8080").expect("bound");
    for stream in listener.incoming().flatten() {
        let text = format!("{node} {version}\n");
        std::thread::spawn(move || drop(serve(stream, &text)));
    }
}

fn serve(stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    loop {
        let (mut line, mut upgrade, mut length) = (String::new(), false, 0);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            upgrade |= header.starts_with("upgrade:");
            if let Some(text) = header.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        if upgrade {
            to.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            )?;
            std::io::copy(&mut reader, &mut to)?;
            return Ok(());
        }
        if line.starts_with("GET /big") {
            write!(to, "HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n")?;
            for _ in 0..BIG / PIECE {
                to.write_all(&[b'x'; PIECE])?;
                std::thread::sleep(PIECE_EVERY);
            }
        } else if line.starts_with("GET /health") && Path::new("/tmp/sick").exists() {
            write!(to, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")?;
        } else {
            write!(to, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())?;
        }
    }
}
