//! `lace cp`: files to and from a node, as a tar stream.

use super::session::{cannot_read, cannot_write};
use super::{Exit, Outcome, Session};
use bytes::Bytes;
use clap::Args;
use lace_model::{Code, NodePath, Problem};
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use tokio::sync::mpsc;

/// `lace cp`.
#[derive(Args, Debug)]
#[command(after_help = "\
One of both is NODE:PATH with an absolute path. A destination that ends in / is a directory to put it
into; otherwise it is the new name.

Example:
  lace cp ./game.conf shop/game/2:/etc/game.conf
  lace cp shop/game/2:/var/log/game ./logs/")]
pub struct CpArgs {
    /// What
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Where to
    #[arg(value_name = "DST")]
    pub destination: String,
}

/// Runs `lace cp`.
pub async fn run(args: CpArgs, s: &mut Session) -> Outcome {
    match (remote(&args.source)?, remote(&args.destination)?) {
        (None, Some((node, path))) => copy_in(s, &args.source, &node, &path).await,
        (Some((node, path)), None) => copy_out(s, &node, &path, &args.destination).await,
        (None, None) => Err(Problem::new(Code::Usage, "neither of both is in a node")
            .hint("write NODE:PATH, such as shop/game/2:/etc/game.conf")),
        (Some(_), Some(_)) => Err(Problem::new(Code::Usage, "both are in nodes")
            .hint("copy to this machine first, then to the other node")),
    }
}

/// `NODE:PATH`, or `None` for a path of this machine.
fn remote(text: &str) -> Result<Option<(NodePath, String)>, Problem> {
    let Some((node, path)) = text.split_once(':').filter(|_| !text.starts_with(['.', '/'])) else {
        return Ok(None);
    };
    let node = node.parse().map_err(|e| Problem::new(Code::Usage, format!("{e}")))?;
    if !path.starts_with('/') {
        return Err(Problem::new(Code::Usage, format!("{path:?} is not an absolute path"))
            .hint(format!("write {node}:/{path}")));
    }
    Ok(Some((node, path.to_owned())))
}

/// The directory and the name that a destination means for something called `name`.
fn split(path: &str, name: &str) -> (String, String) {
    match path.rsplit_once('/') {
        Some((dir, "")) => (format!("{dir}/"), name.to_owned()),
        Some((dir, last)) => (format!("{dir}/"), last.to_owned()),
        None => (String::new(), path.to_owned()),
    }
}

fn base_name(path: &Path) -> Result<String, Problem> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = full.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Problem::new(Code::Usage, format!("{} has no name", path.display())))
}

async fn copy_in(s: &mut Session, source: &str, node: &NodePath, path: &str) -> Outcome {
    let local = s.at(source);
    std::fs::symlink_metadata(&local).map_err(|e| cannot_read(Path::new(source), &e))?;
    let (dir, name) = split(path, &base_name(&local)?);
    let action = StreamAction::CopyIn { path: dir };
    let open = StreamOpen { target: node.to_string(), action };
    let mut stream = s.client()?.open(&open).await?;
    let to = stream.to.clone();
    let packing = tokio::task::spawn_blocking(move || pack(&local, &name, to));
    let answer = last(&mut stream.from).await;
    let packed = packing.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    answer?;
    packed.map_err(|e| cannot_read(Path::new(source), &e))?;
    Ok(Exit::DONE)
}

fn pack(local: &Path, name: &str, to: mpsc::Sender<StreamFrame>) -> std::io::Result<()> {
    let writer = std::io::BufWriter::with_capacity(STREAM_FRAME_BYTES_MAX, ToStream(to.clone()));
    let mut tar = tar::Builder::new(writer);
    tar.follow_symlinks(false);
    if std::fs::symlink_metadata(local)?.is_dir() {
        tar.append_dir_all(name, local)?;
    } else {
        tar.append_path_with_name(local, name)?;
    }
    tar.into_inner()?.flush()?;
    to.blocking_send(StreamFrame::StdinEnd).map_err(std::io::Error::other)
}

/// Waits for the end of a stream that has nothing to say but its status.
async fn last(from: &mut mpsc::Receiver<StreamFrame>) -> Result<(), Problem> {
    let mut said = Vec::new();
    while let Some(frame) = from.recv().await {
        match frame {
            StreamFrame::Exit(0) => return Ok(()),
            StreamFrame::Exit(status) => return Err(failed(status, &said)),
            StreamFrame::Failed(problem) => return Err(problem),
            StreamFrame::Stderr(bytes) => said.extend_from_slice(&bytes),
            _ => {}
        }
    }
    Err(broken())
}

fn failed(status: i32, said: &[u8]) -> Problem {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    Problem::new(Code::Error, format!("the copy failed in the node with status {status}")).details(lines)
}

fn broken() -> Problem {
    Problem::new(Code::NodeUnreachable, "the stream ended before the copy was complete")
}

struct ToStream(mpsc::Sender<StreamFrame>);

impl Write for ToStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = bytes.len().min(STREAM_FRAME_BYTES_MAX);
        let frame = StreamFrame::Stdin(Bytes::copy_from_slice(&bytes[..n]));
        self.0.blocking_send(frame).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn copy_out(s: &mut Session, node: &NodePath, path: &str, destination: &str) -> Outcome {
    let name = base_name(Path::new(path))?;
    let mut goal = s.at(destination);
    if destination.ends_with('/') || goal.is_dir() {
        goal.push(&name);
    }
    if goal.is_dir() {
        return Err(Problem::new(Code::Conflict, format!("{} is there already", goal.display()))
            .hint("name another destination, or move it away"));
    }
    out_of(s, node.to_string(), path, goal).await?;
    Ok(Exit::DONE)
}

/// Copies a path out of a node or a job to a place that is not there yet.
pub async fn out_of(s: &mut Session, target: String, path: &str, goal: PathBuf) -> Result<(), Problem> {
    let action = StreamAction::CopyOut { path: path.to_owned() };
    let mut stream = s.client()?.open(&StreamOpen { target, action }).await?;
    let (bytes, reader) = mpsc::channel(16);
    let place = goal.clone();
    let unpacking = tokio::task::spawn_blocking(move || unpack(FromStream::new(reader), &place));
    let answer = feed(&mut stream.from, bytes).await;
    let unpacked = unpacking.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    answer?;
    unpacked.map_err(|e| cannot_write(&goal, &e))
}

async fn feed(
    from: &mut mpsc::Receiver<StreamFrame>,
    bytes: mpsc::Sender<Option<Bytes>>,
) -> Result<(), Problem> {
    let mut said = Vec::new();
    while let Some(frame) = from.recv().await {
        match frame {
            StreamFrame::Stdout(piece) => {
                let _ = bytes.send(Some(piece)).await;
            }
            StreamFrame::Stderr(piece) => said.extend_from_slice(&piece),
            StreamFrame::Exit(0) => {
                let _ = bytes.send(None).await;
                return Ok(());
            }
            StreamFrame::Exit(status) => return Err(failed(status, &said)),
            StreamFrame::Failed(problem) => return Err(problem),
            _ => {}
        }
    }
    Err(broken())
}

/// Unpacks beside the goal, then moves it there: whole or not at all.
fn unpack(from: FromStream, goal: &Path) -> std::io::Result<()> {
    let parent = goal.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let beside = parent.join(format!(".lace-cp-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&beside);
    std::fs::create_dir(&beside)?;
    let done = unpack_into(from, &beside, goal);
    let _ = std::fs::remove_dir_all(&beside);
    done
}

fn unpack_into(mut from: FromStream, beside: &Path, goal: &Path) -> std::io::Result<()> {
    let mut tops: std::collections::BTreeSet<PathBuf> = std::collections::BTreeSet::new();
    let mut archive = tar::Archive::new(&mut from);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let top = path.components().find(|part| matches!(part, Component::Normal(_)));
        tops.extend(top.map(|top| PathBuf::from(top.as_os_str())));
        entry.unpack_in(beside)?;
    }
    std::io::copy(&mut from, &mut std::io::sink())?;
    if !from.whole {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    match tops.into_iter().collect::<Vec<_>>().as_slice() {
        [one] => std::fs::rename(beside.join(one), goal),
        _ => std::fs::rename(beside, goal),
    }
}

/// The bytes of a stream; `whole` once the other side said that all was sent.
struct FromStream {
    receiver: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    whole: bool,
}

impl FromStream {
    fn new(receiver: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self { receiver, current: Bytes::new(), whole: false }
    }
}

impl Read for FromStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() && !self.whole {
            match self.receiver.blocking_recv() {
                Some(Some(bytes)) => self.current = bytes,
                Some(None) => self.whole = true,
                None => return Ok(0),
            }
        }
        let n = self.current.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}
