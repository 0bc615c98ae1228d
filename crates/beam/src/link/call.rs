//! Calls.

use super::output::Output;
use super::reading::Unread;
use super::{Link, LinkError, Shared, control};
use crate::term::Term;
use crate::term::encode::EncodeError;
use std::sync::Arc;
use std::time::Duration;

/// A function, its arguments, and the patience for it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Module.
    pub module: String,
    /// Function.
    pub function: String,
    /// Arguments.
    pub arguments: Vec<Term>,
    /// When this is over, the caller gets [`CallError::Deadline`] and the call's process is ended.
    pub within: Duration,
    /// Keeps what the call prints, up to so many bytes; with 0, printing fails.
    pub output_bytes_max: usize,
}

impl Call {
    /// A call that has 5 seconds and prints nothing.
    pub fn new(module: &str, function: &str, arguments: Vec<Term>) -> Self {
        let (module, function) = (module.to_owned(), function.to_owned());
        Self { module, function, arguments, within: Duration::from_secs(5), output_bytes_max: 0 }
    }

    /// With this patience.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Keeping what it prints.
    pub fn printing(self, output_bytes_max: usize) -> Self {
        Self { output_bytes_max, ..self }
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Answer {
    /// Its result.
    pub result: Result<Term, CallError>,
    /// What it printed.
    pub output: String,
    /// It printed more than was kept.
    pub output_is_cut: bool,
}

/// The kind of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `error`
    Error,
    /// `exit`
    Exit,
    /// `throw`
    Throw,
}

impl Class {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Exit => "exit",
            Self::Throw => "throw",
        }
    }
}

/// An exception in the called function.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// Its kind.
    pub class: Class,
    /// Its reason.
    pub reason: Term,
    /// Where, of an error.
    pub stack: Option<Term>,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The function raised an exception.
    #[error("{}: {}", .0.class.as_str(), .0.reason)]
    Raised(Box<Raised>),
    /// The runtime did not make a process for it.
    #[error("the node refused the call: {0}")]
    Refused(String),
    /// No answer in time.
    #[error("no answer in time")]
    Deadline,
    /// As many calls as a link carries are under way.
    #[error("too many calls to this node are under way")]
    Busy,
    /// The answer is larger than what is taken.
    #[error("the answer is too large: {0}")]
    Large(String),
    /// The answer is no term that can be read here.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The arguments cannot be sent.
    #[error(transparent)]
    Arguments(#[from] EncodeError),
    /// There is no link (any more).
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Link {
    /// Calls a function.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, call: Call) -> Result<Term, CallError> {
        self.answer(call).await.result
    }

    /// Calls a function; keeps what it prints too.
    pub async fn answer(&self, call: Call) -> Answer {
        match answer(&self.0.shared, call).await {
            Ok((result, output)) => Answer { result, output: output.text, output_is_cut: output.is_cut },
            Err(error) => Answer { result: Err(error), output: String::new(), output_is_cut: false },
        }
    }
}

/// Calls a function over what the tasks share.
pub(super) async fn answer(shared: &Arc<Shared>, call: Call) -> Result<super::pending::Ended, CallError> {
    if let Some(why) = shared.closed.borrow().clone() {
        return Err(why.into());
    }
    let room = shared.room.clone().try_acquire_owned().map_err(|_| CallError::Busy)?;
    let (number, ended) = shared.pending.begin(room, Output::new(call.output_bytes_max));
    let frame = control::call(&shared.me, number, (&call.module, &call.function), call.arguments);
    let frame = match frame {
        Ok(frame) if frame.len() <= shared.message_bytes_max => frame,
        other => {
            shared.pending.forget(number);
            return Err(CallError::Arguments(other.err().unwrap_or(EncodeError::Large)));
        }
    };
    // From here on the process may live: who leaves early ends it.
    let _guard = Guard { shared, number };
    let asked = async {
        let _ = shared.frames.send(frame).await;
        // Closed between the first look and now: nobody else would say so.
        if let Some(why) = shared.closed.borrow().clone() {
            return Err(CallError::Link(why));
        }
        ended.await.map_err(|_| CallError::Link(LinkError::Closed("it was let go of".to_owned())))
    };
    tokio::time::timeout(call.within, asked).await.unwrap_or(Err(CallError::Deadline))
}

struct Guard<'a> {
    shared: &'a Shared,
    number: u32,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.shared.pending.abandon(self.number, self.shared);
    }
}

/// The result that an exit reason carries: `erpc:execute_call/4` ends with it.
pub(super) fn outcome(reason: Result<Term, Unread>) -> Result<Term, CallError> {
    let reason = reason.map_err(|unread| match unread {
        Unread::Large { bytes } => CallError::Large(format!("{bytes} bytes")),
        Unread::Term(crate::term::decode::DecodeError::Large) => {
            CallError::Large("too many terms".to_owned())
        }
        Unread::Term(error) => CallError::Unreadable(error.to_string()),
    })?;
    let mut parts = match reason {
        Term::Tuple(parts) if parts.len() >= 3 && matches!(parts[0], Term::Int(_)) => {
            parts.into_iter().skip(1)
        }
        // It was killed, or a link of its own ended it.
        other => return Err(raised(Class::Exit, other, None)),
    };
    let kind = parts.next().unwrap_or(Term::List(Vec::new()));
    let value = parts.next().unwrap_or(Term::List(Vec::new()));
    match kind.as_atom() {
        Some("return") => Ok(value),
        Some("throw") => Err(raised(Class::Throw, value, None)),
        Some("exit") => Err(raised(Class::Exit, value, None)),
        _ => Err(raised(Class::Error, value, parts.next())),
    }
}

fn raised(class: Class, reason: Term, stack: Option<Term>) -> CallError {
    CallError::Raised(Box::new(Raised { class, reason, stack }))
}
