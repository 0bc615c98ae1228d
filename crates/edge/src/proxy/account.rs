//! What is written down of one request while it goes through: in the books, and in the access log where its route asks.

use super::log::{Line, Log};
use super::tally::Tally;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A node's tally, and its family's.
#[derive(Clone, Default)]
pub(crate) struct Who {
    pub name: Arc<str>,
    pub node: Arc<Tally>,
    pub family: Arc<Tally>,
}

impl Who {
    pub fn each(&self, count: impl Fn(&Tally)) {
        count(&self.node);
        count(&self.family);
    }
}

/// Open as long as anything of the request goes on.
pub(crate) struct Account {
    began: Instant,
    stray: Arc<Tally>,
    route: Option<Arc<Tally>>,
    who: Option<Who>,
    /// Bytes of the request's body so far; the upload counts them.
    pub received: Arc<AtomicU64>,
    sent: u64,
    line: Option<(Box<Line>, Arc<Log>)>,
}

impl Account {
    pub fn open(stray: &Arc<Tally>) -> Self {
        Self {
            began: Instant::now(),
            stray: Arc::clone(stray),
            route: None,
            who: None,
            received: Arc::default(),
            sent: 0,
            line: None,
        }
    }

    /// The route is known.
    pub fn belongs(&mut self, route: &Arc<Tally>) {
        route.enter();
        self.route = Some(Arc::clone(route));
    }

    /// It is to be in the access log.
    pub fn log(&mut self, line: Line, log: &Arc<Log>) {
        self.line = Some((Box::new(line), Arc::clone(log)));
    }

    /// The node that answers is known.
    pub fn is_with(&mut self, who: &Who) {
        who.each(Tally::enter);
        self.who = Some(who.clone());
    }

    pub fn fault(&mut self, code: &'static str) {
        self.route.as_ref().unwrap_or(&self.stray).fault(code);
        if let Some((line, _)) = &mut self.line {
            line.fault = Some(code);
        }
    }

    /// The answer begins.
    pub fn answered(&mut self, status: StatusCode) {
        let after = self.began.elapsed();
        self.each(|tally| tally.answered(status, after));
        if let Some((line, _)) = &mut self.line {
            (line.status, line.first_ms) = (status.as_u16(), millis(self.began));
        }
    }

    /// Bytes of the answer's body went out.
    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
        self.each(|tally| tally.sent(bytes));
    }

    fn each(&self, count: impl Fn(&Tally)) {
        count(self.route.as_ref().unwrap_or(&self.stray));
        if let Some(who) = &self.who {
            who.each(count);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let received = self.received.load(Relaxed);
        self.each(|tally| tally.received(received));
        self.route.iter().for_each(|route| route.leave());
        self.who.iter().for_each(|who| who.each(Tally::leave));
        if let Some((mut line, log)) = self.line.take() {
            line.node = self.who.as_ref().map(|who| Arc::clone(&who.name));
            (line.received, line.sent, line.ms) = (received, self.sent, millis(self.began));
            log.write(*line);
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
