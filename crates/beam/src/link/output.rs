//! What a call prints: each call has a group leader of its own here, which speaks the I/O protocol as far as printing.
//!
//! Source: "The Erlang I/O Protocol" in the STDLIB User's Guide.

use super::call::{Call, answer};
use super::control::{pid_number, send};
use super::{CallError, Shared};
use crate::term::{Pid, Term};
use std::sync::Arc;
use std::time::Duration;

/// To format what is printed, on the node.
const FORMAT_WITHIN: Duration = Duration::from_secs(5);
/// Requests in one request.
const REQUESTS_MAX: usize = 1000;

/// The text that a call has printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) text: String,
    pub(super) is_cut: bool,
    bytes_max: usize,
}

impl Output {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// False where printing is not wanted. More than wanted is cut at a character.
    pub(super) fn push(&mut self, text: &str) -> bool {
        let room = self.bytes_max.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(&text[..end]);
        self.is_cut |= end < text.len();
        self.bytes_max > 0
    }
}

/// A message for one of our processes: a request to print is answered, anything else is nobody's.
pub(super) fn message(shared: &Arc<Shared>, to: &Pid, message: Term) {
    let Term::Tuple(parts) = message else { return };
    let Ok([tag, Term::Pid(from), reply_as, request]) = <[Term; 4]>::try_from(parts) else { return };
    if tag.as_atom() != Some("io_request") {
        return;
    }
    let (shared, number) = (shared.clone(), pid_number(to));
    if let Some(text) = plain(&request) {
        return reply(&shared, &from, reply_as, shared.pending.print(number, &text));
    }
    // Formatting happens on the node, so it must not hold up the reader.
    tokio::spawn(async move {
        let printed = match formatted(&shared, &request).await {
            Some(text) => shared.pending.print(number, &text),
            None => false,
        };
        reply(&shared, &from, reply_as, printed);
    });
}

fn reply(shared: &Shared, to: &Pid, reply_as: Term, is_done: bool) {
    let no = || Term::tuple([Term::atom("error"), Term::atom("enotsup")]);
    let answer = if is_done { Term::atom("ok") } else { no() };
    shared.say(send(to, &Term::tuple([Term::atom("io_reply"), reply_as, answer])));
}

/// The text of a request that carries it.
fn plain(request: &Term) -> Option<String> {
    let parts = request.as_tuple()?;
    match (parts.first()?.as_atom()?, &parts[1..]) {
        ("put_chars", [_, text] | [text]) => text.as_text(),
        ("requests", [requests]) => {
            let requests = requests.as_list().filter(|list| list.len() <= REQUESTS_MAX)?;
            requests.iter().map(plain).collect()
        }
        _ => None,
    }
}

/// The text of a request that says how to make it.
async fn formatted(shared: &Arc<Shared>, request: &Term) -> Option<String> {
    let parts = request.as_tuple()?;
    let (module, function, arguments) = match (parts.first()?.as_atom()?, &parts[1..]) {
        ("put_chars", [_encoding, module, function, arguments]) => (module, function, arguments),
        ("put_chars", [module, function, arguments]) => (module, function, arguments),
        _ => return None,
    };
    let call = Call::new(module.as_atom()?, function.as_atom()?, arguments.as_list()?.to_vec());
    let answered: Result<_, CallError> = Box::pin(answer(shared, call.within(FORMAT_WITHIN))).await;
    answered.ok()?.0.ok()?.as_text()
}
