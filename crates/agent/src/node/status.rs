//! The node's status: PID 1's words in the model's words.

use super::{Actor, Wish, bootstrap};
use crate::clock::now;
use crate::excess::Excess;
use crate::held::{Readiness, Record};
use lace_machine::{Exit as MachineExit, Phase, Status, VoteStatus};
use lace_model::HostId;
use lace_model::node::{Exit, NodePhase, NodeStatus};

/// Last lines that travel, and characters of each.
const LINES_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 500;

/// The remedy for a start command that returns.
const IN_BACKGROUND: &str = "what it had put into the background was ended: a start command has to stay in the \
                             foreground (relx: `bin/NAME foreground`, mix: `bin/NAME start`)";

/// The status of a node that was not looked at yet.
pub fn fresh(wish: &Wish, host: HostId) -> NodeStatus {
    NodeStatus {
        id: wish.entry.id,
        path: wish.entry.path.clone(),
        revision: wish.entry.revision,
        host,
        address: wish.entry.address,
        generation: wish.generation,
        phase: NodePhase::Preparing,
        ready: false,
        since: now(),
        started_at: None,
        restarts: 0,
        exit: None,
        detail: None,
        alarms: Vec::new(),
        votes_seen: None,
        holds: false,
        joined: false,
    }
}

/// How PID 1's word for a phase is said here.
pub fn phase(phase: Phase) -> NodePhase {
    match phase {
        Phase::Running => NodePhase::Running,
        Phase::Backoff => NodePhase::Backoff,
        Phase::Stopping => NodePhase::Stopping,
        Phase::Stopped | Phase::Finished | Phase::Unknown => NodePhase::Stopped,
    }
}

/// How an end is said here.
pub fn exit(exit: &MachineExit) -> Exit {
    let start = exit.lines.len().saturating_sub(LINES_MAX);
    let cut = |line: &String| line.chars().take(LINE_CHARS_MAX).collect();
    Exit {
        code: exit.code,
        signal: exit.signal,
        oom: exit.oom,
        at: exit.at_ms,
        cause: crate::beam::slogan(&exit.lines)
            .or_else(|| exit.left_others.then(|| IN_BACKGROUND.to_owned())),
        last_lines: exit.lines[start..].iter().map(cut).collect(),
    }
}

/// Why a process ended: with the slogan, where a runtime of Erlang gave up.
pub fn cause(ended: &MachineExit) -> String {
    match exit(ended).cause {
        Some(cause) => format!("{}: {cause}", ended.reason),
        None => ended.reason.clone(),
    }
}

impl Actor {
    /// What is to be known about a node that is well.
    pub(super) fn remarks(&self) -> Option<String> {
        let over = self.hands.excess.borrow().get(&self.id).map(Excess::words).unwrap_or_default();
        let remarks: Vec<_> =
            self.notes.iter().cloned().chain(over).chain(self.hands.refresh.remark_of(self.id)).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// A new phase, reported at once. A phase other than running is never ready.
    pub(super) fn set(&mut self, phase: NodePhase, detail: Option<String>) {
        if self.status.phase != phase {
            self.status.since = now();
        }
        self.status.phase = phase;
        self.status.detail = detail;
        self.status.ready &= phase == NodePhase::Running;
        self.recall_joined();
        self.report();
    }

    /// Ready or not, and what it waits for.
    pub(super) fn set_ready(&mut self, ready: bool, detail: Option<String>) {
        if self.status.ready != ready {
            self.status.since = now();
            let since = self.status.since;
            let started_at = self.status.started_at.filter(|_| ready);
            let readiness = started_at.map(|started_at| Readiness { started_at, since });
            self.hands.held.commit(vec![Record::Ready(self.id, readiness)]);
        }
        self.status.ready = ready;
        self.recall_joined();
        self.status.detail = detail;
        self.report();
    }

    /// Whether an earlier agent found this very process ready: it stays so until a check says otherwise.
    pub(super) fn recall_ready(&mut self, said: &Status) -> bool {
        let known = self.hands.held.read(|state| state.ready.get(&self.id).copied());
        let started_at = said.started_at_ms.filter(|_| said.phase == Phase::Running);
        let Some(readiness) = known.filter(|known| started_at.is_some_and(|at| known.is_of(at))) else {
            return false;
        };
        self.status.phase = NodePhase::Running;
        self.status.ready = true;
        self.status.since = readiness.since;
        true
    }

    /// The newest statement was read: reports say so.
    pub(super) fn noted(&mut self) {
        self.status.generation = self.wish.borrow().generation;
        self.report();
    }

    /// Everything that PID 1 says about the process.
    pub(super) fn take_status(&mut self, said: &Status) {
        self.status.started_at = said.started_at_ms;
        self.status.restarts = self.restarts_before + said.restarts as u32;
        self.status.exit = said.last_exit.as_ref().map(exit).or(self.status.exit.take());
        let detail = match said.phase {
            Phase::Backoff => said.last_exit.as_ref().map(cause),
            _ => None,
        };
        self.status.votes_seen = said.vote.as_ref().map(|vote| vote.seen);
        self.status.holds = said.vote.as_ref().is_some_and(|vote| vote.runs);
        self.notes.clone_from(&said.notes);
        self.set(phase(said.phase), detail);
    }

    /// Is it part of its cluster?
    pub(super) fn recall_joined(&mut self) {
        let entry = &self.wish.borrow().entry;
        let started_at = self.status.started_at.filter(|_| self.status.phase == NodePhase::Running);
        self.status.joined = bootstrap::has_joined(&self.hands, entry, started_at);
    }

    /// How it stands in its family's votes; only what the controller needs goes on.
    pub(super) fn take_vote(&mut self, vote: Option<&VoteStatus>) {
        let seen = vote.map(|vote| vote.seen);
        let holds = vote.is_some_and(|vote| vote.runs);
        if (self.status.votes_seen, self.status.holds) != (seen, holds) {
            (self.status.votes_seen, self.status.holds) = (seen, holds);
            self.report();
        }
    }

    pub(super) fn report(&self) {
        self.hands.outbox.node(&self.status);
    }
}
