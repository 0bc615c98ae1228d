//! The roles of this machine as processes: started, recorded, started again when they end.
//!
//! Each has a process group of its own, so that Ctrl-C reaches the supervisor only. When the supervisor is killed they
//! go on; the next `lace up` finds them by their records.

use super::Failure;
use super::process::{Record, executable};
use lace_edge::Store;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// A role's log above this size is put aside at the next start (one former log is kept).
const LOG_BYTES_MAX: u64 = 10 << 20;
/// A role that ran for this long starts again at once; one that cannot start ends sooner.
const STEADY_AFTER: Duration = Duration::from_secs(1);
/// Waiting time between starts of a role that ends at once.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A role that ended this often while it was awaited does not come up.
const ENDS_MAX: u32 = 3;
/// Former processes of a role that end what they have begun; of more, the oldest loses what it still carries.
const LEAVING_MAX: usize = 8;
/// A role has this long to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// One role to keep running.
#[derive(Clone, Debug)]
pub struct RoleProcess {
    /// `server`, `agent`, `net`.
    pub name: &'static str,
    /// Its words after `lace NAME`.
    pub words: Vec<String>,
    /// Where records and logs go.
    pub run: PathBuf,
    /// How often it ended since it was first started.
    pub ends: Arc<AtomicU32>,
    /// Its listening sockets, where they are kept.
    sockets: Option<Arc<Store>>,
}

/// A process of a role.
struct Started {
    child: Child,
    /// Resolves when it takes no more connections; never where no sockets are kept.
    leaves: Option<JoinHandle<bool>>,
    /// Ends the channel: no successor comes.
    channel: Option<Arc<OwnedFd>>,
}

impl RoleProcess {
    /// A role to be kept running.
    pub fn new(name: &'static str, words: Vec<String>, run: PathBuf) -> Self {
        Self { name, words, run, ends: Arc::default(), sockets: None }
    }

    /// Its listening sockets are kept over its end, and its successor starts while it ends what it has begun.
    pub fn keeping_sockets(mut self, sockets: Store) -> Self {
        self.words.push("--kept".to_owned());
        self.sockets = Some(Arc::new(sockets));
        self
    }

    /// Ends what an earlier supervisor left running.
    pub fn end_former(&self) {
        if let Some(record) = Record::read(&self.run, self.name) {
            record.stop(GRACE);
        }
    }

    /// Why it does not stay up, in its own last words; none while it may still come up.
    pub fn gives_up(&self) -> Option<String> {
        if self.ends.load(Ordering::Relaxed) < ENDS_MAX {
            return None;
        }
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Some(last.trim_start_matches("error: ").to_owned())
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.run.join(format!("{}.log", self.name))
    }

    fn spawn(&self) -> Result<Started, Failure> {
        fs::create_dir_all(&self.run)?;
        let log = open_log(&self.log())?;
        let mut command = Command::new(executable());
        command.arg(self.name).args(&self.words).process_group(0);
        let channel = self.sockets.as_ref().map(|sockets| sockets.channel()).transpose()?;
        let (ours, stdin) = match channel {
            Some((ours, theirs)) => (Some(Arc::new(ours)), Stdio::from(theirs)),
            None => (None, Stdio::null()),
        };
        command.stdin(stdin).stdout(log.try_clone()?).stderr(log);
        let child = tokio::process::Command::from(command).kill_on_drop(false).spawn()?;
        if let Some(record) = child.id().and_then(|pid| Record::of(pid as i32)) {
            record.write(&self.run, self.name)?;
        }
        // The command holds the child's end of the channel.
        let leaves = ours
            .clone()
            .zip(self.sockets.clone())
            .map(|(ours, sockets)| tokio::task::spawn_blocking(move || sockets.attend(&ours)));
        Ok(Started { child, leaves, channel: ours })
    }

    /// Keeps it running until `end` says so, then stops it. Whatever goes wrong is told and tried again.
    pub async fn keep(self, mut end: watch::Receiver<bool>) {
        let mut backoff = Duration::ZERO;
        let mut leaving = Leaving::default();
        loop {
            let began = Instant::now();
            match self.spawn() {
                Ok(Started { mut child, leaves, channel }) => tokio::select! {
                    status = child.wait() => self.tell_end(status),
                    () = has_left(leaves) => leaving.add(&self, child).await,
                    () = is_over(&mut end) => {
                        if let Some(channel) = channel {
                            let _ = rustix::net::shutdown(&*channel, rustix::net::Shutdown::Both);
                        }
                        let this = self.clone();
                        let _ = tokio::task::spawn_blocking(move || this.end_former()).await;
                        let _ = child.wait().await;
                        leaving.end().await;
                        return;
                    }
                },
                Err(error) => eprintln!("lace {} cannot be started: {error}; tried again", self.name),
            }
            self.ends.fetch_add(1, Ordering::Relaxed);
            backoff = if began.elapsed() > STEADY_AFTER { Duration::ZERO } else { next_backoff(backoff) };
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = is_over(&mut end) => return leaving.end().await,
            }
        }
    }

    fn tell_end(&self, status: std::io::Result<ExitStatus>) {
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        eprintln!("lace {} ended ({status}); started again. Its log: {}", self.name, self.log().display());
    }
}

/// Processes that end what they have begun, while their successors serve.
#[derive(Default)]
struct Leaving(Vec<(Arc<Notify>, JoinHandle<()>)>);

impl Leaving {
    async fn add(&mut self, role: &RoleProcess, mut child: Child) {
        self.0.retain(|(_, ended)| !ended.is_finished());
        while self.0.len() >= LEAVING_MAX {
            kill(self.0.remove(0)).await;
        }
        // Where this process is killed, `lace down` finds them by their records.
        let record = child.id().and_then(|pid| Record::of(pid as i32));
        if let Some(Err(error)) = record.map(|record| record.write_leaving(&role.run, role.name)) {
            eprintln!("no record of a lace {} that ends: {error}", role.name);
        }
        let killed = Arc::new(Notify::new());
        let told = killed.clone();
        let ended = tokio::spawn(async move {
            tokio::select! {
                _ = child.wait() => {}
                () = told.notified() => drop(child.kill().await),
            }
        });
        self.0.push((killed, ended));
    }

    async fn end(&mut self) {
        for one in self.0.drain(..) {
            kill(one).await;
        }
    }
}

async fn kill((told, ended): (Arc<Notify>, JoinHandle<()>)) {
    told.notify_one();
    let _ = ended.await;
}

async fn has_left(leaves: Option<JoinHandle<bool>>) {
    if let Some(leaves) = leaves
        && let Ok(true) = leaves.await
    {
        return;
    }
    std::future::pending().await
}

async fn is_over(end: &mut watch::Receiver<bool>) {
    let _ = end.wait_for(|end| *end).await;
}

fn next_backoff(former: Duration) -> Duration {
    (former * 2).clamp(Duration::from_millis(50), BACKOFF_MAX)
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if fs::metadata(path).is_ok_and(|m| m.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
