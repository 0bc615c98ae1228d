//! The one process of a node: start, end, backoff, stop.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::ballot::LOST;
use super::launch::{Launch, launch};
use super::log::Lines;
use super::supervisor::Supervisor;
use crate::protocol::{Event, Exit, Phase, Reply};
use crate::spec::{Isolation, ProcessSpec};
use crate::sys::process::{ExitStatus, kill};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, open_at};

/// Bytes of output taken per turn of the loop, so that a chatty process starves nobody.
const READ_BYTES: usize = 16 << 10;

/// The running process.
pub(super) struct Main {
    pub pid: i32,
    pub started_unix_ms: u64,
    pub started_ms: u64,
    pub kills_before: u64,
    pub streams: Vec<Stream>,
}

/// One of its two output pipes.
pub(super) struct Stream {
    pub fd: OwnedFd,
    pub lines: Lines,
}

impl Main {
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.streams.iter().map(|s| s.fd.as_raw_fd())
    }
}

/// What a stop leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Then {
    Stopped,
    Restart,
    Shutdown,
}

/// A stop under way.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct StopPlan {
    /// CLOCK_BOOTTIME ms of the kill; none once it was sent.
    pub deadline_ms: Option<u64>,
    pub then: Then,
    /// A command stops it (it was asked with signal 0): sessions outlive the process.
    #[serde(default)]
    pub by_command: bool,
}

impl Supervisor {
    /// Takes a specification and starts it when it is enabled.
    pub fn begin(&mut self, spec: Option<ProcessSpec>) -> Result<(), StepError> {
        if let Some(spec) = &spec {
            self.log.set_bounds(spec.log_bytes_max, spec.log_files);
        }
        let enabled = spec.as_ref().is_some_and(|s| s.enabled);
        self.spec = spec;
        if enabled { self.start_main() } else { Ok(()) }
    }

    /// Starts the process now; the error is the failing step.
    pub(super) fn start_main(&mut self) -> Result<(), StepError> {
        let Some(spec) = &self.spec else {
            return Err(StepError::plain("no process is specified"));
        };
        if self.isolation == Isolation::Host {
            // Its process may do without names of nodes.
            let _ = crate::boot::cover_resolver();
        }
        let null = open_at(libc::AT_FDCWD, "/dev/null", libc::O_RDWR, 0).step("open /dev/null")?;
        let (out, out_writer) = sys::pipe().step("pipe")?;
        let (err, err_writer) = sys::pipe().step("pipe")?;
        let kills_before = self.oom.kills();
        let pid = launch(&Launch {
            argv: &spec.argv,
            env: &spec.env,
            cwd: spec.cwd.as_deref(),
            user: self.user_for(spec.user.as_deref()).as_deref(),
            stdio: [null.as_raw_fd(), out_writer.as_raw_fd(), err_writer.as_raw_fd()],
            terminal: false,
            capabilities: self.capabilities,
            filter: &self.filter,
        })?;
        let stream = |fd: OwnedFd, mark| {
            let _ = sys::set_nonblocking(fd.as_fd());
            let lines = Lines::new(mark);
            Stream { fd, lines }
        };
        let started_unix_ms = sys::unix_ms();
        self.main = Some(Main {
            pid,
            started_unix_ms,
            started_ms: sys::boottime_ms(),
            kills_before,
            streams: vec![stream(out, 'o'), stream(err, 'e')],
        });
        self.next_start = None;
        self.phase = Phase::Running;
        self.publish(&Event::Started { pid, at_ms: Some(started_unix_ms) });
        Ok(())
    }

    /// Starts the process; a failing exec counts as a short life.
    pub(super) fn start_or_back_off(&mut self) {
        if let Err(error) = self.start_main() {
            let exit = Exit {
                code: None,
                signal: None,
                oom: false,
                left_others: false,
                reason: error.to_string(),
                at_ms: sys::unix_ms(),
                lines: Vec::new(),
            };
            self.record_exit(exit);
            self.back_off();
        }
    }

    /// Moves output into the log.
    pub(super) fn read_output(&mut self, ready: &impl Fn(RawFd) -> bool) {
        let Some(main) = &mut self.main else { return };
        let mut buffer = [0; READ_BYTES];
        let log = &mut self.log;
        main.streams.retain_mut(|stream| {
            if !ready(stream.fd.as_raw_fd()) {
                return true;
            }
            match sys::read(stream.fd.as_fd(), &mut buffer) {
                Ok(0) => {
                    stream.lines.finish(log);
                    false
                }
                Ok(n) => {
                    stream.lines.push(&buffer[..n], log);
                    true
                }
                Err(_) => true,
            }
        });
    }

    pub(super) fn main_ended(&mut self, status: ExitStatus) {
        let Some(main) = self.main.take() else { return };
        let stopping = self.stop.as_ref().map(|s| s.then);
        let serves = stopping.is_none() && self.spec.as_ref().is_some_and(|s| !s.one_shot);
        let left_others = serves && status == ExitStatus::Code(0) && self.has_leftovers();
        self.kill_leftovers(self.stop.as_ref().is_some_and(|plan| !plan.by_command));
        let (kills_before, started_ms) = (main.kills_before, main.started_ms);
        self.drain(main);
        let mut exit = self.exit_of(status, kills_before);
        exit.lines = self.log.take_tail();
        exit.left_others = left_others;
        if let Some(reason) = self.left_votes() {
            exit.reason = reason;
        }
        let is_blameless = exit.reason == LOST;
        self.record_exit(exit);
        let spec = self.spec.as_ref();
        let healthy_after_ms = spec.map_or(0, |s| s.healthy_after_ms);
        // Who was cut off did nothing wrong, and stands by again at once.
        if is_blameless || sys::boottime_ms() - started_ms >= healthy_after_ms {
            self.failures = 0;
        }
        match stopping {
            Some(then) => self.stopped(then),
            None if spec.is_some_and(|s| s.one_shot) => self.phase = Phase::Finished,
            None => self.back_off(),
        }
    }

    fn record_exit(&mut self, exit: Exit) {
        self.log.line('s', exit.reason.as_bytes());
        self.publish(&Event::Exited { exit: exit.clone() });
        self.last_exit = Some(exit);
    }

    /// What is still in the pipes. Bounded: the writers are dead, a pipe holds 64 KiB (or what
    /// they set, at most 1 MiB).
    fn drain(&mut self, main: Main) {
        let mut buffer = [0; READ_BYTES];
        for mut stream in main.streams {
            for _ in 0..64 {
                match sys::read(stream.fd.as_fd(), &mut buffer) {
                    Ok(n @ 1..) => stream.lines.push(&buffer[..n], &mut self.log),
                    _ => break,
                }
            }
            stream.lines.finish(&mut self.log);
        }
    }

    fn back_off(&mut self) {
        let (least, most) = match &self.spec {
            Some(spec) => (spec.restart_min_ms, spec.restart_max_ms),
            None => return,
        };
        let factor = 1u64 << self.failures.min(20);
        let delay_ms = least.saturating_mul(factor).min(most);
        self.failures += 1;
        self.phase = Phase::Backoff;
        self.next_start = Some(sys::boottime_ms() + delay_ms);
        self.publish(&Event::Backoff { delay_ms });
    }

    /// Asks the process to end; `then` follows when it has.
    pub(super) fn stop_main(&mut self, signal: Option<i32>, grace_ms: Option<u64>, then: Then) {
        self.next_start = None;
        let Some(main) = &self.main else {
            self.stopped(then);
            return;
        };
        let default = ProcessSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&default);
        let grace_ms = grace_ms.unwrap_or(spec.stop_grace_ms);
        let _ = kill(main.pid, signal.unwrap_or(spec.stop_signal));
        // A stopped (SIGSTOP) process has to be woken to see the signal.
        let _ = kill(main.pid, libc::SIGCONT);
        self.phase = Phase::Stopping;
        let deadline_ms = Some(sys::boottime_ms() + grace_ms);
        self.stop = Some(StopPlan { deadline_ms, then, by_command: signal == Some(0) });
    }

    /// The grace is over.
    pub(super) fn stop_hard(&mut self) {
        if let Some(plan) = &mut self.stop {
            plan.deadline_ms = None;
        }
        let _ = kill(-1, libc::SIGKILL);
    }

    fn stopped(&mut self, then: Then) {
        self.stop = None;
        self.phase = Phase::Stopped;
        self.failures = 0;
        self.publish(&Event::Stopped);
        match then {
            Then::Stopped => self.answer_waiting(&Reply::Done),
            Then::Shutdown => self.leave(),
            Then::Restart => {
                let started = self.start_main();
                self.answer_waiting(&match &started {
                    Ok(()) => Reply::Done,
                    Err(error) => Reply::Error { message: error.to_string() },
                });
                if started.is_err() {
                    self.start_or_back_off();
                }
            }
        }
    }

    /// Stops, then ends the node.
    pub(super) fn shut_down(&mut self, grace_ms: Option<u64>) {
        match &mut self.stop {
            Some(plan) if !plan.by_command => plan.then = Then::Shutdown,
            _ => self.stop_main(None, grace_ms, Then::Shutdown),
        }
    }

    fn leave(&mut self) -> ! {
        let _ = kill(-1, libc::SIGKILL);
        self.publish(&Event::Shutdown);
        self.answer_waiting(&Reply::Done);
        // The kernel ends what is left when PID 1 goes.
        std::process::exit(0)
    }

    fn answer_waiting(&mut self, reply: &Reply) {
        for client in self.clients.iter_mut().filter(|c| c.waiting) {
            client.waiting = false;
            client.send(reply);
        }
    }
}
