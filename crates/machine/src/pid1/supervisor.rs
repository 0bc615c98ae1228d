//! The loop: signals, the control socket, the process's output, timers.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::ballot::Ballot;
use super::log::LogWriter;
use super::oom::OomProbe;
use super::process::{Main, StopPlan};
use super::rights;
use super::seccomp::Filter;
use super::serve::Client;
use super::session::ExecSession;
use crate::protocol::{Event, Exit, Phase, Reply, Status};
use crate::spec::{Isolation, ProcessSpec};
use crate::sys::process::{ExitStatus, reap_one};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check};

/// What the builder of the node hands to its PID 1.
pub(crate) struct Seat {
    /// The control socket, bound outside of the node.
    pub listener: OwnedFd,
    /// The log directory.
    pub log_dir: OwnedFd,
    /// The counter of memory kills.
    pub oom: Option<OwnedFd>,
    /// For the words of an out-of-memory report.
    pub memory_bytes: Option<u64>,
    /// Decides the capabilities of the workload.
    pub isolation: Isolation,
    /// Whose everything in the node is, where nothing may be anybody else's: a number.
    pub user: Option<u32>,
    /// What could not be arranged as asked.
    pub notes: Vec<String>,
    /// The node's part in its family's votes.
    pub ballot: Option<Ballot>,
}

/// PID 1.
pub(crate) struct Supervisor {
    pub(super) listener: OwnedFd,
    pub(super) signals: OwnedFd,
    pub(super) log: LogWriter,
    pub(super) oom: OomProbe,
    pub(super) memory_bytes: Option<u64>,
    pub(super) isolation: Isolation,
    pub(super) user: Option<u32>,
    pub(super) notes: Vec<String>,
    pub(super) capabilities: u64,
    pub(super) filter: Filter,
    pub(super) spec: Option<ProcessSpec>,
    pub(super) phase: Phase,
    pub(super) main: Option<Main>,
    pub(super) stop: Option<StopPlan>,
    /// Consecutive short lives, for the backoff.
    pub(super) failures: u32,
    pub(super) restarts: u64,
    /// CLOCK_BOOTTIME ms of the next start.
    pub(super) next_start: Option<u64>,
    pub(super) last_exit: Option<Exit>,
    pub(super) clients: Vec<Client>,
    pub(super) sessions: Vec<ExecSession>,
    pub(super) reexecs: u32,
    pub(super) ballot: Option<Ballot>,
}

impl Supervisor {
    /// A supervisor with nothing running yet.
    pub fn new(seat: Seat) -> Result<Self, StepError> {
        // SAFETY: plain numbers; nobody inside may read our memory or descriptors.
        check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }.into()).step("set not dumpable")?;
        sys::set_nonblocking(seat.listener.as_fd()).step("control socket")?;
        Ok(Supervisor {
            signals: signal_fd().step("signalfd")?,
            listener: seat.listener,
            log: LogWriter::new(seat.log_dir),
            oom: OomProbe::new(seat.oom),
            memory_bytes: seat.memory_bytes,
            isolation: seat.isolation,
            user: seat.user,
            notes: seat.notes,
            capabilities: rights::capabilities(seat.isolation),
            filter: Filter::new()?,
            spec: None,
            phase: Phase::Stopped,
            main: None,
            stop: None,
            failures: 0,
            restarts: 0,
            next_start: None,
            last_exit: None,
            clients: Vec::new(),
            sessions: Vec::new(),
            reexecs: 0,
            ballot: seat.ballot,
        })
    }

    /// As whom something is started for which `asked` is wished, a command's user before its process's.
    pub(super) fn user_for(&self, asked: Option<&str>) -> Option<String> {
        self.user.map(|user| format!("{user}:{user}")).or_else(|| asked.map(str::to_owned))
    }

    /// Serves until the node is shut down.
    pub fn run(mut self) -> ! {
        loop {
            let timeout = self.timeout_ms();
            let mut polls = self.polls();
            // SAFETY: the array is valid for its length.
            unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout) };
            let ready = |fd: RawFd| polls.iter().any(|p| p.fd == fd && p.revents != 0);
            // First: nothing else may make the end of a lease late.
            self.vote();
            if ready(self.signals.as_raw_fd()) {
                self.take_signals();
            }
            self.read_output(&ready);
            self.reap();
            self.serve_clients(&ready);
            if ready(self.listener.as_raw_fd()) {
                self.accept();
            }
            self.tick();
            self.vote();
            self.keep_copy();
        }
    }

    fn polls(&self) -> Vec<libc::pollfd> {
        let read = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polls = vec![read(self.signals.as_raw_fd()), read(self.listener.as_raw_fd())];
        polls.extend(self.ballot.iter().map(Ballot::fd).map(read));
        polls.extend(self.main.iter().flat_map(Main::fds).map(read));
        polls.extend(self.clients.iter().map(Client::poll));
        polls
    }

    fn timeout_ms(&self) -> i32 {
        let deadline = self.stop.as_ref().and_then(|s| s.deadline_ms);
        let ballot = self.ballot.as_ref().and_then(Ballot::due);
        let copy = self.copy_due();
        let Some(next) = self.next_start.into_iter().chain(deadline).chain(ballot).chain(copy).min() else {
            return -1;
        };
        i32::try_from(next.saturating_sub(sys::boottime_ms())).unwrap_or(i32::MAX)
    }

    /// Timers that are due.
    fn tick(&mut self) {
        let now = sys::boottime_ms();
        if self.next_start.is_some_and(|due| due <= now) {
            self.next_start = None;
            self.restarts += 1;
            self.start_or_back_off();
        }
        let deadline = self.stop.as_ref().and_then(|s| s.deadline_ms);
        if deadline.is_some_and(|due| due <= now) {
            self.stop_hard();
        }
    }

    fn take_signals(&mut self) {
        let mut info = [0u8; std::mem::size_of::<libc::signalfd_siginfo>()];
        while let Ok(128) = sys::read(self.signals.as_fd(), &mut info) {
            // SAFETY: the kernel wrote a whole siginfo.
            let info: libc::signalfd_siginfo = unsafe { std::ptr::read_unaligned(info.as_ptr().cast()) };
            // A sender in the node has a pid here; only the host may end the node.
            if info.ssi_signo == libc::SIGTERM as u32 && info.ssi_pid == 0 {
                self.shut_down(None);
            }
        }
    }

    pub(super) fn reap(&mut self) {
        while let Some((pid, status)) = reap_one() {
            if self.main.as_ref().is_some_and(|m| m.pid == pid) {
                self.main_ended(status);
            } else {
                self.session_ended(pid, status);
            }
        }
    }

    /// The present state.
    pub(super) fn status(&self) -> Status {
        let wait = |due: u64| sys::unix_ms() + due.saturating_sub(sys::boottime_ms());
        Status {
            phase: self.phase,
            pid: self.main.as_ref().map(|m| m.pid),
            started_at_ms: self.main.as_ref().map(|m| m.started_unix_ms),
            restarts: self.restarts,
            next_start_at_ms: self.next_start.map(wait),
            last_exit: self.last_exit.clone(),
            execs: self.sessions.len() as u32,
            reexecs: self.reexecs,
            notes: self.notes.clone(),
            vote: self.ballot.as_ref().map(Ballot::status),
        }
    }

    /// Tells every subscriber.
    pub(super) fn publish(&mut self, event: &Event) {
        let reply = Reply::Event { event: event.clone() };
        for client in self.clients.iter_mut().filter(|c| c.subscribed) {
            client.send(&reply);
        }
    }

    /// How a process ended, in words. `kills_before`: the kill counter when it started.
    pub(super) fn exit_of(&self, status: ExitStatus, kills_before: u64) -> Exit {
        let (code, signal) = match status {
            ExitStatus::Code(code) => (Some(code), None),
            ExitStatus::Signal(signal) => (None, Some(signal)),
        };
        let oom = code != Some(0) && self.oom.kills() > kills_before;
        let reason = match (oom, self.memory_bytes, code, signal) {
            (true, Some(bytes), ..) => format!("killed: memory limit {}", size(bytes)),
            (true, None, ..) => "killed: out of memory".to_owned(),
            (_, _, Some(code), _) => format!("exit code {code}"),
            (_, _, _, signal) => format!("killed by signal {}", signal.unwrap_or(0)),
        };
        Exit { code, signal, oom, left_others: false, reason, at_ms: sys::unix_ms(), lines: Vec::new() }
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b => format!("{} KiB", b >> 10),
    }
}

fn signal_fd() -> std::io::Result<OwnedFd> {
    // SAFETY: the set is initialised before use.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd.into()).map(sys::own)
    }
}
