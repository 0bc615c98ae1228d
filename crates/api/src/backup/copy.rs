//! A copy on its way out of a node, and back into one.
//!
//! A stream that breaks must not pass for its end. Out: the copy is followed by a mark that nobody can guess, and the script's
//! shell waits until the controller has it. In: the copy lies in the node as a whole before the script begins.

use super::Asked;
use crate::state::ApiState;
use axum::body::Bytes;
use lace_model::backup::{BACKUP_BYTES_MAX, Backup};
use lace_model::release::{CHUNK_BYTES_MAX, Tree};
use lace_model::{ByteSize, Code, Digest, Problem};
use lace_store::Store;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame, StreamPair, StreamRequest};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a host may take to answer.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Kept of what a script says of itself.
const SAID_BYTES_MAX: usize = 4 << 10;
/// Lines of it that are passed on.
const SAID_LINES_MAX: usize = 5;

/// Runs a script (2) within a time (1), says the mark (3), and waits until that has come to the controller.
const OUT: &str = "timeout -k 5 \"$1\" env LACE_VERB=backup \"/package/$2\" </dev/null || exit\n\
                   printf %s \"$3\"\ncat >/dev/null";
/// Takes so many bytes (3), and runs a script (2) over them within a time (1).
const IN: &str = "set -u; umask 077; mkdir -p /var/tmp && cd /var/tmp || exit\n\
                  rm -f lace-restore.*; copy=lace-restore.$$; trap 'rm -f \"$copy\"' EXIT\n\
                  head -c \"$3\" >\"$copy\" || exit\n\
                  [ \"$(stat -c %s \"$copy\")\" = \"$3\" ] || { echo 'the copy came cut short' >&2; exit 1; }\n\
                  timeout -k 5 \"$1\" env LACE_VERB=restore \"/package/$2\" <\"$copy\"";
/// What `timeout` ends with where the time is over (GNU coreutils).
const STATUS_LATE: i32 = 124;

/// A script's word that another node shall be asked (EX_TEMPFAIL of sysexits.h).
const STATUS_ELSEWHERE: i32 = 75;

/// Why it did not come, or did not go.
pub(super) struct Fault {
    /// Another node shall be asked.
    pub elsewhere: bool,
    pub problem: Problem,
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { elsewhere: false, problem }
    }
}

/// What came.
pub(super) struct Copy {
    pub chunks: Vec<Digest>,
    pub bytes: u64,
}

/// Has the script write, and keeps what it writes.
pub(super) async fn out(state: &ApiState, asked: &Asked, mark: &str) -> Result<Copy, Fault> {
    let StreamPair { to, mut from } = open(state, asked, OUT, mark, BTreeMap::new()).await?;
    let mut keeper = Keeper { store: state.store.clone(), waiting: Vec::new(), done: Copy::none() };
    let mut said = Said::default();
    let mut whole = false;
    while let Some(frame) = from.recv().await {
        match frame {
            StreamFrame::Stdout(bytes) => {
                keeper.take(&bytes, mark.len()).await?;
                if keeper.waiting.ends_with(mark.as_bytes()) {
                    whole = true;
                    // One that has gone already says so by its exit.
                    let _ = to.send(StreamFrame::StdinEnd).await;
                }
            }
            StreamFrame::Stderr(bytes) => said.hear(&bytes),
            StreamFrame::Exit(0) if whole => return Ok(keeper.end(mark.len()).await?),
            StreamFrame::Exit(status) => return Err(said.fault(asked, status)),
            StreamFrame::Failed(problem) => return Err(problem.into()),
            _ => {}
        }
    }
    Err(broke_off().into())
}

/// Sends a copy, and has the script take it.
pub(super) async fn back(state: &ApiState, asked: &Asked, backup: &Backup) -> Result<(), Fault> {
    let env = BTreeMap::from([("LACE_BACKUP_VERSION".to_owned(), backup.version.clone())]);
    let chunks = chunks(state, backup)?;
    let StreamPair { to, mut from } = open(state, asked, IN, &backup.bytes.to_string(), env).await?;
    let heard = async {
        let mut said = Said::default();
        while let Some(frame) = from.recv().await {
            match frame {
                StreamFrame::Stderr(bytes) => said.hear(&bytes),
                StreamFrame::Exit(0) => return Ok(()),
                StreamFrame::Exit(status) => return Err(said.fault(asked, status)),
                StreamFrame::Failed(problem) => return Err(problem.into()),
                _ => {}
            }
        }
        Err(broke_off().into())
    };
    let sent = async {
        let ended = send(&state.store, chunks, &to).await;
        match ended {
            // The node has what it wanted, or says why not.
            Ok(()) => std::future::pending().await,
            Err(problem) => Err(problem.into()),
        }
    };
    tokio::select! {
        biased;
        heard = heard => heard,
        failed = sent => failed,
    }
}

fn chunks(state: &ApiState, backup: &Backup) -> Result<Vec<Digest>, Problem> {
    let gone =
        || Problem::new(Code::Error, format!("backup {} is damaged: its chunks are not known", backup.id));
    let bytes = state.store.blobs().get(&backup.tree).map_err(Problem::from)?.ok_or_else(gone)?;
    let tree: Tree = serde_json::from_slice(&bytes).map_err(|_| gone())?;
    Ok(tree.chunks().collect())
}

async fn send(store: &Store, chunks: Vec<Digest>, to: &mpsc::Sender<StreamFrame>) -> Result<(), Problem> {
    for digest in chunks {
        let store = store.clone();
        let read = tokio::task::spawn_blocking(move || store.blobs().get(&digest)).await;
        let read = read.map_err(|e| Problem::new(Code::Error, e.to_string()))?.map_err(Problem::from)?;
        let lost = || Problem::new(Code::Error, format!("chunk {} of the backup is gone", digest.short()));
        let bytes = Bytes::from(read.ok_or_else(lost)?);
        let mut at = 0;
        while at < bytes.len() {
            let next = bytes.len().min(at + STREAM_FRAME_BYTES_MAX);
            if to.send(StreamFrame::Stdin(bytes.slice(at..next))).await.is_err() {
                return Ok(());
            }
            at = next;
        }
    }
    let _ = to.send(StreamFrame::StdinEnd).await;
    Ok(())
}

async fn open(
    state: &ApiState,
    asked: &Asked,
    shell: &str,
    third: &str,
    env: BTreeMap<String, String>,
) -> Result<StreamPair, Problem> {
    let seconds = asked.script.timeout.0.div_ceil(1000).to_string();
    let words = ["/bin/sh", "-c", shell, "sh", &seconds, &asked.script.file, third];
    let argv = words.map(str::to_owned).to_vec();
    let request = StreamRequest::Exec { node: asked.place.node, argv, env, terminal: None, stdin: true };
    let late = |_| Problem::new(Code::NodeUnreachable, "its host did not answer in time");
    let opening = tokio::time::timeout(OPEN_WITHIN, state.streams.open(asked.place.host, request));
    opening.await.map_err(late)?
}

fn broke_off() -> Problem {
    Problem::new(Code::NodeUnreachable, "the host's answer broke off").hint("ask for it again")
}

impl Copy {
    fn none() -> Self {
        Self { chunks: Vec::new(), bytes: 0 }
    }
}

/// Cuts what comes into chunks. The last bytes wait: they may be the mark.
struct Keeper {
    store: Store,
    waiting: Vec<u8>,
    done: Copy,
}

impl Keeper {
    async fn take(&mut self, bytes: &[u8], mark: usize) -> Result<(), Problem> {
        self.waiting.extend_from_slice(bytes);
        let chunk = CHUNK_BYTES_MAX as usize;
        while self.waiting.len() >= chunk + mark {
            let rest = self.waiting.split_off(chunk);
            let full = std::mem::replace(&mut self.waiting, rest);
            self.put(full).await?;
        }
        Ok(())
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), Problem> {
        self.done.bytes += bytes.len() as u64;
        if self.done.bytes > BACKUP_BYTES_MAX {
            let most = ByteSize(BACKUP_BYTES_MAX).human();
            return Err(Problem::new(Code::TooLarge, format!("the copy is larger than {most}"))
                .hint("such data has a place of its own: let the package copy it there"));
        }
        let store = self.store.clone();
        let put = tokio::task::spawn_blocking(move || store.blobs().put(&bytes)).await;
        let put = put.map_err(|e| Problem::new(Code::Error, e.to_string()))?;
        self.done.chunks.push(put.map_err(Problem::from)?);
        Ok(())
    }

    async fn end(mut self, mark: usize) -> Result<Copy, Problem> {
        self.waiting.truncate(self.waiting.len().saturating_sub(mark));
        let last = std::mem::take(&mut self.waiting);
        if !last.is_empty() {
            self.put(last).await?;
        }
        Ok(self.done)
    }
}

/// The last words of a script.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    fn hear(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(SAID_BYTES_MAX);
        self.0.drain(..surplus);
    }

    fn fault(&self, asked: &Asked, status: i32) -> Fault {
        let file = &asked.script.file;
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = |line: &&str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let last: Vec<String> =
            lines[lines.len().saturating_sub(SAID_LINES_MAX)..].iter().map(shown).collect();
        let how = match status {
            STATUS_LATE => format!("{file} took longer than {}", asked.script.timeout),
            status => format!("{file} of {} ended with {status}", asked.path.short()),
        };
        let said = last.last().map_or(String::new(), |line| format!(": {line}"));
        let problem = Problem::new(Code::Error, format!("{how}{said}")).details(last);
        Fault { elsewhere: status == STATUS_ELSEWHERE, problem }
    }
}
