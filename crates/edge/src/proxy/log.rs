//! The access log, for routes that ask for one: a line of JSON for each request, in files of bounded size.
//!
//! Requests never wait for the disk: where it is behind, lines are dropped and counted. Queries are left out of the
//! paths, because people put secrets into them.

use serde::{Serialize, Serializer};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Lines that may wait for the disk.
const WAITING: usize = 4_096;
/// Bytes of a path that are written.
const PATH_BYTES_MAX: usize = 1_024;
/// A file that is longer becomes the former one.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Former files that are kept.
const FORMER_KEPT: u32 = 3;

/// One request.
#[derive(Serialize)]
pub(crate) struct Line {
    /// When it came, in milliseconds since 1970.
    at: u64,
    #[serde(serialize_with = "text")]
    route: Arc<str>,
    client: std::net::IpAddr,
    method: String,
    path: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    #[serde(serialize_with = "perhaps", skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    pub received: u64,
    pub sent: u64,
    /// To the head of the answer.
    pub first_ms: u64,
    /// To the end.
    pub ms: u64,
}

fn text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn perhaps<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

impl Line {
    pub fn new(route: &Arc<str>, client: std::net::IpAddr, method: &http::Method, path: &str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let end = path.floor_char_boundary(PATH_BYTES_MAX);
        Self {
            at: u64::try_from(now.as_millis()).unwrap_or(0),
            route: Arc::clone(route),
            client: client.to_canonical(),
            method: method.as_str().chars().take(32).collect(),
            path: path[..end].to_owned(),
            status: 0,
            fault: None,
            node: None,
            received: 0,
            sent: 0,
            first_ms: 0,
            ms: 0,
        }
    }
}

/// The way to the file. The thread that writes it begins with the first line.
pub(crate) struct Log {
    path: PathBuf,
    to: Mutex<Option<SyncSender<Line>>>,
    dropped: AtomicU64,
}

impl Log {
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, to: Mutex::default(), dropped: AtomicU64::new(0) })
    }

    /// Lines that nobody will read.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub fn write(&self, line: Line) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let to = to.get_or_insert_with(|| {
            let (to, lines) = sync_channel(WAITING);
            let path = self.path.clone();
            std::thread::spawn(move || run(&path, &lines));
            to
        });
        if to.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

fn run(path: &Path, lines: &Receiver<Line>) {
    let mut file = None;
    while let Ok(line) = lines.recv() {
        if let Err(error) = write_all(path, &mut file, line, lines) {
            tracing::warn!(path = %path.display(), %error, "access log");
            file = None;
        }
    }
}

/// One line, and those that came meanwhile.
fn write_all(
    path: &Path,
    file: &mut Option<BufWriter<File>>,
    first: Line,
    lines: &Receiver<Line>,
) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(line) = next {
        let to = match file.take() {
            Some(to) if to.get_ref().metadata()?.len() < FILE_BYTES_MAX => file.insert(to),
            full => {
                drop(full);
                file.insert(BufWriter::new(begin(path)?))
            }
        };
        serde_json::to_writer(&mut *to, &line)?;
        to.write_all(b"\n")?;
        next = lines.try_recv().ok();
    }
    file.as_mut().map_or(Ok(()), Write::flush)
}

/// The file to go on with: the one that is there, or a new one where that is full.
fn begin(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() >= FILE_BYTES_MAX) {
        let former = |n: u32| path.with_extension(format!("log.{n}"));
        for n in (1..FORMER_KEPT).rev() {
            let _ = std::fs::rename(former(n), former(n + 1));
        }
        std::fs::rename(path, former(1))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_room_and_few_are_kept() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("access.log");
        for _ in 0..6 {
            let file = begin(&path).expect("a file");
            file.set_len(FILE_BYTES_MAX).expect("as if full");
        }
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["access.log", "access.log.1", "access.log.2", "access.log.3"]);
    }

    #[test]
    fn a_path_is_cut_where_a_character_ends() {
        let path = format!("/{}", "é".repeat(PATH_BYTES_MAX));
        let line = Line::new(&"a/".into(), [127, 0, 0, 1].into(), &http::Method::GET, &path);
        assert!(line.path.len() <= PATH_BYTES_MAX);
    }
}
