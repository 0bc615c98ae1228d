//! Commands beside the process: each is a session of its own, tied to the connection that asked.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::launch::{Launch, launch};
use super::supervisor::Supervisor;
use crate::protocol::Reply;
use crate::spec::{ExecSpec, ProcessSpec};
use crate::sys::process::{ExitStatus, Stat, kill, stat};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check, cstring, own};

/// A running command. Its pid is also its session id.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct ExecSession {
    pub pid: i32,
    /// The connection to answer; none when the caller went away.
    pub client: Option<u64>,
    pub detached: bool,
    pub kills_before: u64,
}

/// Commands at the same time in one node.
const SESSIONS_MAX: usize = 128;

/// How often it is looked for what stays in the background, and when: a fifth of a second in all.
const LOOKS: u32 = 9;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(25);

impl Supervisor {
    /// Starts a command; for a pty, its master comes back.
    pub(super) fn exec(
        &mut self,
        client: u64,
        spec: &ExecSpec,
        fds: Vec<OwnedFd>,
    ) -> Result<(i32, Option<OwnedFd>), StepError> {
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(StepError::plain("exec: 128 commands run already"));
        }
        let (stdio, master) = match spec.pty {
            Some((rows, columns)) => {
                let (master, slave) = open_pty(rows, columns)?;
                if let Some(user) = self.user {
                    // Programs open their terminal by its name, too.
                    sys::give(slave.as_fd(), user).step("owner of pty")?;
                }
                (vec![slave], Some(master))
            }
            None => (fds, None),
        };
        let kills_before = self.oom.kills();
        let pid = self.launch_exec(spec, &stdio)?;
        self.sessions.push(ExecSession { pid, client: Some(client), detached: spec.detached, kills_before });
        Ok((pid, master))
    }

    fn launch_exec(&self, spec: &ExecSpec, stdio: &[OwnedFd]) -> Result<i32, StepError> {
        let raw: Vec<_> = stdio.iter().map(AsRawFd::as_raw_fd).collect();
        let stdio = match raw[..] {
            [terminal] => [terminal; 3],
            [input, output, error] => [input, output, error],
            _ => return Err(StepError::plain("exec: three descriptors must come along")),
        };
        let none = ProcessSpec::default();
        let process = self.spec.as_ref().unwrap_or(&none);
        let mut env = process.env.clone();
        if spec.pty.is_some() {
            env.insert("TERM".to_owned(), "xterm-256color".to_owned());
        }
        env.extend(spec.env.clone());
        launch(&Launch {
            argv: &spec.argv,
            env: &env,
            cwd: spec.cwd.as_deref().or(process.cwd.as_deref()),
            user: self.user_for(spec.user.as_deref().or(process.user.as_deref())).as_deref(),
            stdio,
            terminal: spec.pty.is_some(),
            capabilities: self.capabilities,
            filter: &self.filter,
        })
    }

    /// A child that is not the process ended: a command, or an orphan.
    pub(super) fn session_ended(&mut self, pid: i32, status: ExitStatus) {
        if self.copy_command_ended(pid, status) {
            return;
        }
        let Some(index) = self.sessions.iter().position(|s| s.pid == pid) else {
            return;
        };
        let session = self.sessions.swap_remove(index);
        let exit = self.exit_of(status, session.kills_before);
        let client = self.clients.iter_mut().find(|c| Some(c.id) == session.client);
        if let Some(client) = client {
            client.session = None;
            client.send(&Reply::ExecExited { exit });
        }
    }

    /// The caller of a command went away: unless detached, its whole session ends.
    pub(super) fn abandon(&mut self, client: u64) {
        let Some(session) = self.sessions.iter_mut().find(|s| s.client == Some(client)) else {
            return;
        };
        session.client = None;
        if !session.detached {
            let sid = session.pid;
            kill_where(|session| session == sid);
        }
    }

    /// Did the process leave others in the background? Commands and their own are none of its, and helpers of a runtime
    /// that ended in order are gone a moment after it.
    pub(super) fn has_leftovers(&self) -> bool {
        (0..LOOKS).all(|look| {
            if look > 0 {
                std::thread::sleep(LOOK_EVERY);
            }
            self.has_others()
        })
    }

    fn has_others(&self) -> bool {
        let mut commands: Vec<i32> = self.sessions.iter().map(|s| s.pid).collect();
        commands.extend(self.ballot.as_ref().and_then(|ballot| ballot.copy.as_ref()?.command()));
        let own = std::process::id() as i32;
        let left = |s: &Stat| s.state != b'Z' && !commands.contains(&s.session);
        pids().filter(|pid| *pid != own).any(|pid| stat(pid).is_some_and(|s| left(&s)))
    }

    /// Kills what the process left behind, before it is started again. Commands live on unless
    /// `all`.
    pub(super) fn kill_leftovers(&mut self, all: bool) {
        if all || self.sessions.is_empty() {
            let _ = kill(-1, libc::SIGKILL);
            return;
        }
        let keep: Vec<i32> = self.sessions.iter().map(|s| s.pid).collect();
        kill_where(|session| !keep.contains(&session));
    }
}

/// Kills every process of the node whose session is meant, until none is left (a few passes: a
/// forking program may slip through one).
fn kill_where(meant: impl Fn(i32) -> bool) {
    for _ in 0..8 {
        let mut found = false;
        for pid in pids().filter(|pid| *pid != 1) {
            let live = stat(pid).filter(|s| s.state != b'Z' && meant(s.session));
            if live.is_some() {
                found |= kill(pid, libc::SIGKILL).is_ok();
            }
        }
        if !found {
            return;
        }
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A terminal of the node's own devpts: (master, slave).
fn open_pty(rows: u16, columns: u16) -> Result<(OwnedFd, OwnedFd), StepError> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let path = cstring("/dev/pts/ptmx").step("pty")?;
    // SAFETY: the path and the integers outlive the calls.
    unsafe {
        let master = check(libc::open(path.as_ptr(), flags).into()).step("open pty")?;
        let master = own(master);
        let unlocked = 0i32;
        let unlock = libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked);
        check(unlock.into()).step("unlock pty")?;
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        let slave = own(check(slave.into()).step("open pty slave")?);
        set_size(&master, rows, columns).step("size of pty")?;
        Ok((master, slave))
    }
}

/// Sets the size of a terminal (TIOCSWINSZ, ioctl_tty(2)).
pub(crate) fn set_size(master: &impl AsFd, rows: u16, columns: u16) -> std::io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let fd = master.as_fd().as_raw_fd();
    // SAFETY: the struct outlives the call.
    check(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) }.into()).map(drop)
}
