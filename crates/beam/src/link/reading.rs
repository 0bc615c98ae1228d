//! Reads frames and gives each to whom it is for. What the peer says is bounded before it is believed.

use super::control::{self, Control};
use super::{LinkError, Shared, output};
use crate::term::decode::{DecodeError, Decoder, TERMS_MAX};
use crate::term::{Pid, Term};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// What is kept of a message that is too large: enough to see whose it is.
const HEAD_BYTES: usize = 4096;
/// A message before its terms, without the atom cache.
const PASS_THROUGH: u8 = 112;

/// Reads until the link is closed.
pub(super) async fn run<R>(shared: Arc<Shared>, reader: R, tick_time: Duration)
where
    R: AsyncRead + Unpin,
{
    // The peer ticks every quarter.
    let mut frames = Frames {
        reader: BufReader::with_capacity(16 * 1024, reader),
        silence: tick_time + tick_time / 4,
        bytes_max: shared.message_bytes_max,
    };
    let why = loop {
        match frames.next().await {
            Ok(frame) => {
                if let Err(why) = take(&shared, &frame) {
                    break why;
                }
            }
            Err(why) => break why,
        }
    };
    shared.close(why);
}

/// One message.
struct Frame {
    bytes: Vec<u8>,
    /// Its whole length, where only its head was kept.
    cut_from: Option<usize>,
}

struct Frames<R> {
    reader: R,
    silence: Duration,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// The next message that is no tick.
    async fn next(&mut self) -> Result<Frame, LinkError> {
        loop {
            let mut length = [0; 4];
            self.fill(&mut length).await?;
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 {
                continue;
            }
            if length <= self.bytes_max {
                return Ok(Frame { bytes: self.body(length).await?, cut_from: None });
            }
            let bytes = self.body(HEAD_BYTES.min(length)).await?;
            self.pass_by(length - bytes.len()).await?;
            return Ok(Frame { bytes, cut_from: Some(length) });
        }
    }

    async fn some(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError> {
        match tokio::time::timeout(self.silence, self.reader.read(buffer)).await {
            Err(_) => Err(LinkError::Silent(self.silence)),
            Ok(Ok(0)) => Err(LinkError::Closed("by the node".to_owned())),
            Ok(read) => Ok(read?),
        }
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LinkError> {
        let mut filled = 0;
        while filled < buffer.len() {
            filled += self.some(&mut buffer[filled..]).await?;
        }
        Ok(())
    }

    /// Room grows with what has come.
    async fn body(&mut self, length: usize) -> Result<Vec<u8>, LinkError> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let from = bytes.len();
            bytes.resize(length.min(from + from.max(HEAD_BYTES)), 0);
            self.fill(&mut bytes[from..]).await?;
        }
        Ok(bytes)
    }

    async fn pass_by(&mut self, mut left: usize) -> Result<(), LinkError> {
        let mut buffer = vec![0; HEAD_BYTES];
        while left > 0 {
            let part = left.min(buffer.len());
            left -= self.some(&mut buffer[..part]).await?;
        }
        Ok(())
    }
}

/// Only what breaks the protocol ends the link.
fn take(shared: &Arc<Shared>, frame: &Frame) -> Result<(), LinkError> {
    let Some(message) = frame.bytes.strip_prefix(&[PASS_THROUGH]) else {
        return Err(LinkError::Protocol("a message of a kind that was not agreed on"));
    };
    let mut decoder = Decoder::new(message, TERMS_MAX);
    let control = decoder.versioned().map_err(|_| LinkError::Protocol("a message without a head"))?;
    let Some(control) = Control::read(&control) else { return Ok(()) };
    let payload = match frame.cut_from {
        Some(bytes) => Err(Unread::Large { bytes }),
        None if decoder.is_empty() => Ok(None),
        None => decoder.versioned().map(Some).map_err(Unread::Term),
    };
    deliver(shared, control, payload);
    Ok(())
}

/// Why a message's content could not be read.
#[derive(Clone, Debug)]
pub(super) enum Unread {
    /// More bytes than are taken.
    Large {
        /// So many.
        bytes: usize,
    },
    /// No term, or too many.
    Term(DecodeError),
}

fn deliver(shared: &Arc<Shared>, control: Control, payload: Result<Option<Term>, Unread>) {
    match control {
        Control::Spawned { request, result } => spawned(shared, request, result),
        Control::Down { reference, reason } => {
            let reason = payload.map(|payload| payload.or(reason).unwrap_or(Term::List(Vec::new())));
            shared.pending.ended(reference, reason);
        }
        Control::Message { to } => {
            if let Ok(Some(message)) = payload {
                output::message(shared, &to, message);
            }
        }
        // A call that prints watches its group leader.
        Control::Watch { process: Some(number), .. } if shared.pending.has(number) => {}
        Control::Watch { none: frame, .. } | Control::Refuse(frame) => shared.say(frame),
    }
}

fn spawned(shared: &Arc<Shared>, request: u32, result: Term) {
    match result {
        Term::Pid(pid) => {
            if shared.pending.began(request, &pid) {
                shared.say(kill(shared, &pid));
            }
        }
        other => shared.pending.refused(request, &other),
    }
}

/// The end of a process whose caller has gone.
pub(super) fn kill(shared: &Shared, pid: &Pid) -> bytes::Bytes {
    control::exit(&control::own_pid(&shared.me, 0), pid, "kill")
}
