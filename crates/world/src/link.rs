//! The way between a host's agent and the controller: one ordered stream in each direction, that may be slow or cut.

use lace_model::Millis;
use lace_wire::link::frame::{ToAgent, ToController};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Whoever hears nothing for so long takes the connection for dead (keepalive of HTTP/2).
pub const KEEPALIVE_MS: Millis = 10_000;

/// A session of an agent.
pub struct Session {
    /// Fleet's number of it.
    pub number: u64,
    /// Which life of the controller it is with.
    pub life: u64,
    frames: mpsc::Receiver<ToAgent>,
    out: VecDeque<(Millis, ToController)>,
    back: VecDeque<(Millis, ToAgent)>,
    ended: bool,
}

impl Session {
    /// It has begun.
    pub fn new(number: u64, life: u64, frames: mpsc::Receiver<ToAgent>) -> Self {
        Self { number, life, frames, out: VecDeque::new(), back: VecDeque::new(), ended: false }
    }
}

/// The way, with the session on it.
pub struct Link {
    /// Cuts of what the host says, and of what is said to it: they may overlap.
    cuts: (u32, u32),
    cut_since: Option<Millis>,
    /// Frames take so long at most.
    pub slow: Millis,
    /// The session, if there is one.
    pub session: Option<Session>,
}

impl Default for Link {
    fn default() -> Self {
        Self { cuts: (0, 0), cut_since: None, slow: 5, session: None }
    }
}

impl Link {
    /// Cuts it; each direction or one.
    pub fn cut(&mut self, now: Millis, (out, back): (bool, bool)) {
        self.cuts = (self.cuts.0 + u32::from(out), self.cuts.1 + u32::from(back));
        self.cut_since.get_or_insert(now);
    }

    /// The end of such a cut.
    pub fn mend(&mut self, (out, back): (bool, bool)) {
        self.cuts = (self.cuts.0.saturating_sub(out.into()), self.cuts.1.saturating_sub(back.into()));
        if self.is_whole() {
            self.cut_since = None;
        }
    }

    /// Everything comes through again.
    pub fn mend_all(&mut self) {
        *self = Self { session: self.session.take(), ..Self::default() };
    }

    /// Nothing is cut.
    pub fn is_whole(&self) -> bool {
        self.cuts == (0, 0)
    }

    /// What the host says gets through.
    pub fn speaks(&self) -> bool {
        self.cuts.0 == 0
    }

    /// What is said to the host gets through.
    pub fn hears(&self) -> bool {
        self.cuts.1 == 0
    }

    /// Has the agent given the connection up by now?
    pub fn is_given_up(&self, now: Millis) -> bool {
        self.cut_since.is_some_and(|since| now >= since + KEEPALIVE_MS)
    }

    /// The agent says something; it is on its way until the moment that is given back.
    pub fn say(&mut self, at: Millis, frame: ToController) -> Option<Millis> {
        let session = self.session.as_mut()?;
        let at = session.out.back().map_or(at, |(last, _)| at.max(*last));
        session.out.push_back((at, frame));
        Some(at)
    }

    /// Takes over what the controller said since the last time; when the first of it arrives.
    pub fn take_over(&mut self, at: Millis) -> Option<Millis> {
        let session = self.session.as_mut()?;
        let waiting = session.back.len();
        loop {
            match session.frames.try_recv() {
                Ok(frame) => {
                    let at = session.back.back().map_or(at, |(last, _)| at.max(*last));
                    session.back.push_back((at, frame));
                }
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    session.ended = true;
                    break;
                }
            }
        }
        let is_new = session.back.len() > waiting || session.ended;
        is_new.then(|| session.back.get(waiting).map_or(at, |(at, _)| *at))
    }

    /// The next frame of the host that has arrived.
    pub fn arrived(&mut self, now: Millis) -> Option<ToController> {
        let session = self.session.as_mut().filter(|_| self.cuts.0 == 0)?;
        let is_due = session.out.front().is_some_and(|(at, _)| *at <= now);
        is_due.then(|| session.out.pop_front()).flatten().map(|(_, frame)| frame)
    }

    /// The next frame of the controller that has arrived.
    pub fn came(&mut self, now: Millis) -> Option<ToAgent> {
        let session = self.session.as_mut().filter(|_| self.cuts.1 == 0)?;
        let is_due = session.back.front().is_some_and(|(at, _)| *at <= now);
        is_due.then(|| session.back.pop_front()).flatten().map(|(_, frame)| frame)
    }

    /// The controller ended the session, and the agent knows by now.
    pub fn is_ended(&self) -> bool {
        let session = self.session.as_ref().filter(|_| self.cuts.1 == 0);
        session.is_some_and(|session| session.ended && session.back.is_empty())
    }
}
