//! The calls under way.

use super::call::{CallError, outcome};
use super::control::NUMBERS;
use super::output::Output;
use super::reading::Unread;
use super::{LinkError, Shared};
use crate::term::{Pid, Term};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The end of a call: its result, and what it printed.
pub(super) type Ended = (Result<Term, CallError>, Output);

/// A call whose process may live.
struct Waiting {
    /// Nobody after the caller gave up.
    caller: Option<oneshot::Sender<Ended>>,
    /// Known after the runtime has made it.
    process: Option<Pid>,
    output: Output,
    _room: OwnedSemaphorePermit,
}

/// The table of calls.
#[derive(Default)]
pub(super) struct Pending(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u32,
    calls: HashMap<u32, Waiting>,
}

impl Pending {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.table().calls.len()
    }

    /// Is this call under way?
    pub(super) fn has(&self, number: u32) -> bool {
        self.table().calls.contains_key(&number)
    }

    /// A new call's number.
    pub(super) fn begin(
        &self,
        room: OwnedSemaphorePermit,
        output: Output,
    ) -> (u32, oneshot::Receiver<Ended>) {
        let (caller, ended) = oneshot::channel();
        let mut table = self.table();
        let mut number = table.next % NUMBERS;
        // 0 is nobody's number.
        while number == 0 || table.calls.contains_key(&number) {
            number = (number + 1) % NUMBERS;
        }
        table.next = number + 1;
        let waiting = Waiting { caller: Some(caller), process: None, output, _room: room };
        table.calls.insert(number, waiting);
        (number, ended)
    }

    /// Its process lives. True when nobody waits for it any more.
    pub(super) fn began(&self, number: u32, process: &Pid) -> bool {
        let mut table = self.table();
        let Some(waiting) = table.calls.get_mut(&number) else { return false };
        waiting.process = Some(process.clone());
        waiting.caller.is_none()
    }

    /// Its process was not made.
    pub(super) fn refused(&self, number: u32, why: &Term) {
        self.end(number, Err(CallError::Refused(why.to_string())));
    }

    /// Its process ended.
    pub(super) fn ended(&self, number: u32, reason: Result<Term, Unread>) {
        self.end(number, outcome(reason));
    }

    fn end(&self, number: u32, result: Result<Term, CallError>) {
        let ended = self.table().calls.remove(&number);
        if let Some(Waiting { caller: Some(caller), output, .. }) = ended {
            let _ = caller.send((result, output));
        }
    }

    /// The caller has gone; the process has to end too.
    pub(super) fn abandon(&self, number: u32, shared: &Shared) {
        let mut table = self.table();
        let Some(waiting) = table.calls.get_mut(&number) else { return };
        waiting.caller = None;
        if let Some(process) = &waiting.process {
            shared.say(super::reading::kill(shared, process));
        }
    }

    /// The call was never sent.
    pub(super) fn forget(&self, number: u32) {
        self.table().calls.remove(&number);
    }

    /// Writes what a call prints. False where nobody wants it.
    pub(super) fn print(&self, number: u32, text: &str) -> bool {
        let mut table = self.table();
        table.calls.get_mut(&number).is_some_and(|waiting| waiting.output.push(text))
    }

    /// The link has ended.
    pub(super) fn fail_all(&self, why: &LinkError) {
        let calls = std::mem::take(&mut self.table().calls);
        for (_, waiting) in calls {
            if let Some(caller) = waiting.caller {
                let _ = caller.send((Err(CallError::Link(why.clone())), waiting.output));
            }
        }
    }
}
