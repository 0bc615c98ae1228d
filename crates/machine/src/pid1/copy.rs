//! The family's one copy, brought up and down by PID 1 itself, agent or no agent.
//!
//! What the copy is, is not known here: three commands that were left with the node say when its process can run it, start it,
//! and stop it in order. They run beside the process with its environment, and never outlive the life of it that they were
//! begun for: a command that is late cannot start a copy in a process that nobody would end.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lace_vote::Standing;
use serde::{Deserialize, Serialize};

use super::launch::{Launch, launch};
use super::supervisor::Supervisor;
use crate::spec::{CopySpec, ProcessSpec};
use crate::sys::process::{ExitStatus, kill};
use crate::sys::step::{Step as _, StepError};
use crate::sys::{self, open_at};

/// A command that takes longer is ended.
const WITHIN_MS: u64 = 60_000;
/// Between two tries.
const AGAIN_MS: u64 = 250;
/// A holder that cannot start its copy so often in a row gives way: another one may be able to.
const STARTS_MAX: u32 = 5;
/// Who shall give the copy away and cannot stop it so often in a row is ended, and the copy with it.
const STOPS_MAX: u32 = 3;
/// A stop that failed after a long time counts once more for each of these.
const PATIENCE_MS: u64 = 10_000;
/// Bytes of a failed command's words that are told.
const SAID_BYTES_MAX: usize = 400;
/// The variable that names the seats which were not heard for as long as a lease, with blanks between.
const UNHEARD: &str = "LACE_UNHEARD";

/// The reason of an end.
pub(super) const CANNOT_START: &str = "stopped: it holds its family's copy and cannot start it";
const CANNOT_STOP: &str = "stopped: it shall give its family's copy away and cannot stop it in order";

/// What is done about the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Ready,
    Start,
    Stop,
}

/// The copy as this node knows it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Copy {
    spec: CopySpec,
    doing: Option<Doing>,
    /// It was started in this life of the process.
    started: bool,
    /// CLOCK_BOOTTIME ms: no command before.
    rests_until: u64,
    failures: u32,
}

/// A command under way.
#[derive(Clone, Serialize, Deserialize)]
struct Doing {
    step: Step,
    pid: i32,
    /// CLOCK_BOOTTIME ms.
    until: u64,
    /// CLOCK_BOOTTIME ms; 0 from a build that did not say it.
    #[serde(default)]
    began: u64,
    /// What it says about a failure; not handed to another build.
    #[serde(skip)]
    said: Option<Arc<File>>,
}

impl Copy {
    pub fn new(spec: CopySpec) -> Self {
        Self { spec, doing: None, started: false, rests_until: 0, failures: 0 }
    }

    /// It was started in this life of the process.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// The command under way.
    pub fn command(&self) -> Option<i32> {
        self.doing.as_ref().map(|doing| doing.pid)
    }

    /// The process has ended, and its commands with it.
    pub fn forget(&mut self) {
        *self = Self::new(self.spec.clone());
    }

    /// What there is to do, as the votes stand.
    fn wants(&self, standing: &Standing) -> Option<Step> {
        match standing {
            Standing { stands: false, .. } => Some(Step::Ready),
            Standing { in_use: true, yields: true, .. } => Some(Step::Stop),
            Standing { holds_ms: 1.., yields: false, .. } if !self.started => Some(Step::Start),
            _ => None,
        }
    }

    fn words(&self, step: Step) -> &[String] {
        match step {
            Step::Ready => &self.spec.ready,
            Step::Start => &self.spec.start,
            Step::Stop => &self.spec.stop,
        }
    }

    /// A step failed. Who waits for an end has waited, while a start may take its time.
    fn failed(&mut self, step: Step, now: u64, took_ms: u64) {
        let waits = if step == Step::Stop { took_ms / PATIENCE_MS } else { 0 };
        self.failures += 1 + u32::try_from(waits).unwrap_or(u32::MAX / 2);
        self.rests_until = now + AGAIN_MS;
    }

    /// Why its process has to end after a step that failed, where tries are over.
    fn gives_way(&self, step: Step) -> Option<&'static str> {
        match step {
            Step::Start if self.failures >= STARTS_MAX => Some(CANNOT_START),
            Step::Stop if self.failures >= STOPS_MAX => Some(CANNOT_STOP),
            _ => None,
        }
    }
}

impl Doing {
    /// The first words of what it said.
    fn words(&self) -> String {
        let mut text = [0; SAID_BYTES_MAX];
        let bytes = self.said.as_ref().and_then(|said| said.read_at(&mut text, 0).ok()).unwrap_or(0);
        let line = String::from_utf8_lossy(&text[..bytes]);
        line.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

impl Supervisor {
    /// When a command has to be ended, or begun again.
    pub(super) fn copy_due(&self) -> Option<u64> {
        let ballot = self.ballot.as_ref()?;
        let copy = ballot.copy.as_ref().filter(|_| self.main.is_some() && self.stop.is_none())?;
        match &copy.doing {
            Some(doing) => Some(doing.until),
            None => copy.wants(&ballot.standing()).map(|_| copy.rests_until),
        }
    }

    /// Does what there is to do about the copy, one command at a time.
    pub(super) fn keep_copy(&mut self) {
        if self.main.is_none() || self.stop.is_some() {
            return;
        }
        let now = sys::boottime_ms();
        let Some(ballot) = &mut self.ballot else { return };
        let standing = ballot.standing();
        let Some(copy) = &mut ballot.copy else { return };
        if let Some(doing) = &mut copy.doing {
            if now >= doing.until {
                doing.until = now + WITHIN_MS;
                let _ = kill(-doing.pid, libc::SIGKILL);
            }
            return;
        }
        let Some(step) = copy.wants(&standing).filter(|_| now >= copy.rests_until) else { return };
        // From here on the copy counts as running: the process is killed when the votes are lost.
        if step == Step::Start && !ballot.elector.begin_use(now) {
            return;
        }
        let begun = self.begin_command(step, &standing, now);
        let Some(copy) = self.ballot.as_mut().and_then(|ballot| ballot.copy.as_mut()) else { return };
        match begun {
            Ok(doing) => copy.doing = Some(doing),
            Err(error) => {
                copy.failed(step, now, 0);
                let gives_way = copy.gives_way(step);
                self.log.line('s', format!("votes: {error}").as_bytes());
                if let Some(reason) = gives_way {
                    self.stop_copy(reason);
                }
            }
        }
        self.after_vote(false);
    }

    fn begin_command(&self, step: Step, standing: &Standing, now: u64) -> Result<Doing, StepError> {
        let copy = self.ballot.as_ref().and_then(|ballot| ballot.copy.as_ref());
        let argv = copy.map(|copy| copy.words(step)).unwrap_or_default();
        let none = ProcessSpec::default();
        let process = self.spec.as_ref().unwrap_or(&none);
        let mut env = process.env.clone();
        let unheard: Vec<_> = standing.unheard.iter().map(u32::to_string).collect();
        env.insert(UNHEARD.to_owned(), unheard.join(" "));
        let null = open_at(libc::AT_FDCWD, "/dev/null", libc::O_RDWR, 0).step("open /dev/null")?;
        let said: OwnedFd = sys::memory_file().step("memfd")?;
        let pid = launch(&Launch {
            argv,
            env: &env,
            cwd: process.cwd.as_deref(),
            user: self.user_for(process.user.as_deref()).as_deref(),
            stdio: [null.as_raw_fd(), null.as_raw_fd(), said.as_raw_fd()],
            terminal: false,
            capabilities: self.capabilities,
            filter: &self.filter,
        })?;
        Ok(Doing { step, pid, until: now + WITHIN_MS, began: now, said: Some(Arc::new(said.into())) })
    }

    /// A child ended. Says whether it was one of the copy's commands.
    pub(super) fn copy_command_ended(&mut self, pid: i32, status: ExitStatus) -> bool {
        let now = sys::boottime_ms();
        let Some(ballot) = &mut self.ballot else { return false };
        let Some(copy) = &mut ballot.copy else { return false };
        let Some(doing) = copy.doing.take_if(|doing| doing.pid == pid) else { return false };
        if status == ExitStatus::Code(0) {
            copy.failures = 0;
            copy.started = doing.step == Step::Start;
            let preference = copy.spec.preference;
            let out = match doing.step {
                Step::Ready => {
                    ballot.elector.stand(now, preference);
                    ballot.elector.tick(now)
                }
                Step::Start => Vec::new(),
                Step::Stop => ballot.elector.end_use(now),
            };
            let stop = ballot.carry_out(out, None);
            self.after_vote(stop);
            return true;
        }
        copy.failed(doing.step, now, now.saturating_sub(doing.began.max(now.saturating_sub(WITHIN_MS))));
        let gives_way = copy.gives_way(doing.step);
        let how = self.exit_of(status, u64::MAX).reason;
        self.log.line('s', format!("votes: {:?}: {how}: {}", doing.step, doing.words()).as_bytes());
        if let Some(reason) = gives_way {
            self.stop_copy(reason);
        }
        true
    }
}
