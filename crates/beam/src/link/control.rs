//! The messages of the protocol: what is said, and what is understood of what comes.
//!
//! Source: "Protocol between Connected Nodes" in the ERTS User's Guide.

use crate::term::encode::{EncodeError, encode};
use crate::term::{Home, Pid, Reference, Term};
use bytes::{BufMut, Bytes, BytesMut};

const LINK: i64 = 1;
const SEND: i64 = 2;
const SEND_SENDER: i64 = 22;
const MONITOR: i64 = 19;
const MONITOR_EXIT: i64 = 21;
const PAYLOAD_EXIT: i64 = 24;
const PAYLOAD_EXIT2: i64 = 26;
const PAYLOAD_MONITOR_EXIT: i64 = 28;
const SPAWN_REQUEST: i64 = 29;
const SPAWN_REPLY: i64 = 31;
const PASS_THROUGH: u8 = 112;

/// Numbers of calls are below this: they have to fit in a process identifier's 28 bits.
pub(super) const NUMBERS: u32 = 1 << 28;
/// Bits of a reference's first word.
const WORD_BITS: u32 = 18;

/// What a message asks of us.
#[derive(Debug)]
pub(super) enum Control {
    /// The process of a call was made, or not.
    Spawned { request: u32, result: Term },
    /// The process of a call ended.
    Down { reference: u32, reason: Option<Term> },
    /// Something for one of our processes.
    Message { to: Pid },
    /// Somebody watches one of our processes; the answer where there is none.
    Watch { process: Option<u32>, none: Bytes },
    /// We have no processes to link to or to make: this is the answer.
    Refuse(Bytes),
}

impl Control {
    /// What concerns us; nothing for what can be left unanswered.
    pub(super) fn read(control: &Term) -> Option<Self> {
        let words = control.as_tuple()?;
        let (Term::Int(operation), words) = words.split_first()? else { return None };
        match (*operation, words) {
            (SPAWN_REPLY, [Term::Reference(request), _, _, result]) => {
                Some(Self::Spawned { request: number(request), result: result.clone() })
            }
            (PAYLOAD_MONITOR_EXIT, [_, _, Term::Reference(reference)]) => {
                Some(Self::Down { reference: number(reference), reason: None })
            }
            (MONITOR_EXIT, [_, _, Term::Reference(reference), reason]) => {
                Some(Self::Down { reference: number(reference), reason: Some(reason.clone()) })
            }
            (SEND | SEND_SENDER, [_, Term::Pid(to)]) => Some(Self::Message { to: to.clone() }),
            (MONITOR, [from, to, reference]) => {
                let parts = [Term::Int(PAYLOAD_MONITOR_EXIT), to.clone(), from.clone(), reference.clone()];
                let none = frame(&Term::tuple(parts), Some(&Term::atom("noproc"))).ok()?;
                let process = if let Term::Pid(pid) = to { Some(pid_number(pid)) } else { None };
                Some(Self::Watch { process, none })
            }
            (LINK, [from, to]) => {
                let parts = [Term::Int(PAYLOAD_EXIT), to.clone(), from.clone()];
                refuse(Term::tuple(parts), Some(Term::atom("noproc")))
            }
            (SPAWN_REQUEST, [request, from, ..]) => {
                let (flags, result) = (Term::Int(0), Term::atom("notsup"));
                let parts = [Term::Int(SPAWN_REPLY), request.clone(), from.clone(), flags, result];
                refuse(Term::tuple(parts), None)
            }
            _ => None,
        }
    }
}

fn refuse(control: Term, payload: Option<Term>) -> Option<Control> {
    frame(&control, payload.as_ref()).ok().map(Control::Refuse)
}

/// A message with its length before it.
fn frame(control: &Term, payload: Option<&Term>) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(256);
    out.put_u32(0);
    out.put_u8(PASS_THROUGH);
    encode(control, &mut out)?;
    if let Some(payload) = payload {
        encode(payload, &mut out)?;
    }
    let length = u32::try_from(out.len() - 4).map_err(|_| EncodeError::Large)?;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out.freeze())
}

/// Our process with this number; 0 is who speaks for all of us.
pub(super) fn own_pid(me: &Home, number: u32) -> Pid {
    let (id, serial) = (number & 0x7fff, number >> 15);
    Pid { node: me.node.clone(), id, serial, creation: me.creation }
}

/// The number of one of our processes.
pub(super) fn pid_number(pid: &Pid) -> u32 {
    (pid.id & 0x7fff) | ((pid.serial & 0x1fff) << 15)
}

fn reference(me: &Home, number: u32) -> Reference {
    let words = vec![number & ((1 << WORD_BITS) - 1), number >> WORD_BITS, 0];
    Reference { node: me.node.clone(), creation: me.creation, words }
}

fn number(reference: &Reference) -> u32 {
    match reference.words.as_slice() {
        [low, high, ..] => (low & ((1 << WORD_BITS) - 1)) | (high << WORD_BITS),
        _ => u32::MAX,
    }
}

/// Spawn a process that calls, and tell us how it ended: its exit reason carries the result.
pub(super) fn call(
    me: &Home,
    number: u32,
    (module, function): (&str, &str),
    arguments: Vec<Term>,
) -> Result<Bytes, EncodeError> {
    let entry = Term::tuple([Term::atom("erpc"), Term::atom("execute_call"), Term::Int(4)]);
    let control = Term::tuple([
        Term::Int(SPAWN_REQUEST),
        Term::Reference(reference(me, number)),
        Term::Pid(own_pid(me, 0)),
        Term::Pid(own_pid(me, number)),
        entry,
        Term::List(vec![Term::atom("monitor")]),
    ]);
    let asked =
        [Term::Int(i64::from(number)), Term::atom(module), Term::atom(function), Term::List(arguments)];
    frame(&control, Some(&Term::List(asked.into())))
}

/// An exit signal.
pub(super) fn exit(from: &Pid, to: &Pid, reason: &str) -> Bytes {
    let control = Term::tuple([Term::Int(PAYLOAD_EXIT2), Term::Pid(from.clone()), Term::Pid(to.clone())]);
    // Three small terms: they have a form.
    frame(&control, Some(&Term::atom(reason))).unwrap_or_default()
}

/// A message to a process.
pub(super) fn send(to: &Pid, message: &Term) -> Bytes {
    let control = Term::tuple([Term::Int(SEND), Term::atom(""), Term::Pid(to.clone())]);
    frame(&control, Some(message)).unwrap_or_default()
}
