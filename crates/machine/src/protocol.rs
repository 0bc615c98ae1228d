//! What an agent and PID 1 of a node say to each other: length-prefixed JSON frames on a unix
//! stream socket.
//!
//! The protocol only grows: unknown fields are ignored, unknown requests are refused in words,
//! and PID 1 greets with its version. A node may be years older than its agent.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::spec::{ExecSpec, ProcessSpec, VoteSeats};

/// The version that this build speaks.
pub const VERSION: u32 = 5;
/// Largest frame, bytes: an exec's environment fits, a mistake does not.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// A request of the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// How is the process?
    Status,
    /// Run a command; three descriptors travel along unless a pty is asked for.
    Exec {
        /// The command.
        spec: ExecSpec,
    },
    /// A signal for the command that this connection started.
    ExecSignal {
        /// The signal.
        signal: i32,
    },
    /// End the process and all it left behind; answered when done.
    Stop {
        /// Instead of the specified signal.
        signal: Option<i32>,
        /// Instead of the specified grace, ms.
        grace_ms: Option<u64>,
    },
    /// Start the process, as a new one when a specification is given.
    Start {
        /// The new specification.
        process: Option<Box<ProcessSpec>>,
    },
    /// Stop, then start.
    Restart {
        /// Only this life of the process (since version 5; an older PID 1 restarts whatever runs).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        life: Option<Life>,
    },
    /// A signal for the process.
    Signal {
        /// The signal.
        signal: i32,
    },
    /// Stop, then end the node.
    Shutdown {
        /// Instead of the specified grace, ms.
        grace_ms: Option<u64>,
    },
    /// Push events on this connection from now on.
    Subscribe,
    /// Go on in the executable whose descriptor travels along, keeping all children.
    Reexec,
    /// Replace a file, whole, by what the descriptor holds that travels along (since version 2).
    Put {
        /// Where, absolute, inside the node.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Who votes on the family's one copy (this and the next three since version 3).
    VoteSet {
        /// The set.
        set: VoteSeats,
    },
    /// The process can run the one copy and wants to.
    Stand {
        /// Which life of the process.
        life: Life,
        /// Whoever holds with a lower one makes room.
        preference: u64,
    },
    /// The copy is about to be started in the process; refused where the node does not hold. From then on PID 1 kills
    /// the process when the lease is lost.
    BeginUse {
        /// Which life of the process.
        life: Life,
    },
    /// The copy was stopped in order.
    EndUse {
        /// Which life of the process.
        life: Life,
    },
    /// What the witness of the family's votes says (since version 4).
    Witness {
        /// The message.
        message: lace_vote::Message,
    },
    /// Something newer than this build.
    #[serde(other)]
    Unknown,
}

/// One life of a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its pid inside the node.
    pub pid: i32,
    /// When it was started, Unix ms, as the status says it.
    pub started_at_ms: u64,
}

/// An answer or an event of PID 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// The first frame of every connection.
    Hello {
        /// Protocol version of PID 1.
        version: u32,
    },
    /// The request is done.
    Done,
    /// The request failed.
    Error {
        /// Why.
        message: String,
    },
    /// How the process is.
    Status {
        /// The status.
        status: Box<Status>,
    },
    /// A command started; the pty's master travels along if one was asked for.
    ExecStarted {
        /// Its pid inside the node.
        pid: i32,
    },
    /// The command ended.
    ExecExited {
        /// How.
        exit: Exit,
    },
    /// Something happened to the process.
    Event {
        /// What.
        event: Event,
    },
    /// Something newer than this build.
    #[serde(other)]
    Unknown,
}

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing to run, or stopped on request.
    Stopped,
    /// Its exec succeeded and it lives.
    Running,
    /// It ended and will be started again.
    Backoff,
    /// It was asked to end.
    Stopping,
    /// A job that ended.
    Finished,
    /// Something newer than this build.
    #[serde(other)]
    Unknown,
}

/// The state of a node's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Its pid inside the node.
    #[serde(default)]
    pub pid: Option<i32>,
    /// When it was started, Unix ms.
    #[serde(default)]
    pub started_at_ms: Option<u64>,
    /// Starts after the first one since the last request to start.
    #[serde(default)]
    pub restarts: u64,
    /// When the next start is due, Unix ms, in backoff.
    #[serde(default)]
    pub next_start_at_ms: Option<u64>,
    /// How it ended last.
    #[serde(default)]
    pub last_exit: Option<Exit>,
    /// Commands running beside it.
    #[serde(default)]
    pub execs: u32,
    /// Times that PID 1 replaced itself.
    #[serde(default)]
    pub reexecs: u32,
    /// What could not be arranged as asked when the node was built, in words.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How it stands in the votes of its family, where it has a part in them.
    #[serde(default)]
    pub vote: Option<VoteStatus>,
}

impl Status {
    /// The life of the process that runs now.
    pub fn life(&self) -> Option<Life> {
        let running = self.phase == Phase::Running;
        running.then_some(Life { pid: self.pid?, started_at_ms: self.started_at_ms? })
    }
}

/// How a node stands in the votes on its family's one copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoteStatus {
    /// It counts by this vote set.
    pub generation: u64,
    /// It gives no vote to who counts by an older set than this one.
    pub seen: u64,
    /// It gives votes: what it may have promised before its PID 1 was started is over.
    pub votes: bool,
    /// Its process wants the copy.
    pub stands: bool,
    /// It may run the copy.
    pub holds: bool,
    /// The copy may be running in it.
    pub in_use: bool,
    /// The copy was started, by PID 1 itself (since version 4).
    pub runs: bool,
    /// The copy shall be stopped in order: another node is preferred.
    pub yields: bool,
    /// Seats that were silent for as long as a lease.
    pub unheard: Vec<u32>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, when it exited.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal, when it was killed.
    #[serde(default)]
    pub signal: Option<i32>,
    /// The kernel killed it for want of memory.
    #[serde(default)]
    pub oom: bool,
    /// It ended well and left processes in the background, which were ended.
    #[serde(default)]
    pub left_others: bool,
    /// In words: `exit code 3`, `killed: memory limit 64 MiB`, `exec nginx: ENOENT`.
    pub reason: String,
    /// When, Unix ms.
    #[serde(default)]
    pub at_ms: u64,
    /// The last lines of its output.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// Something that happened to a node's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// Its exec succeeded.
    Started {
        /// Its pid inside the node.
        pid: i32,
        /// When, as the status says it (Unix milliseconds); absent from a PID 1 of before it was said.
        #[serde(default)]
        at_ms: Option<u64>,
    },
    /// It ended.
    Exited {
        /// How.
        exit: Exit,
    },
    /// It will be started again.
    Backoff {
        /// After so many ms.
        delay_ms: u64,
    },
    /// It was stopped on request.
    Stopped,
    /// The node ends.
    Shutdown,
    /// How it stands in the votes has changed (since version 3).
    Vote {
        /// How it stands.
        vote: VoteStatus,
    },
    /// It has to be said to the witness of the family's votes, which only the host's side can reach (since version 4).
    Witness {
        /// The message.
        message: lace_vote::Message,
    },
    /// Something newer than this build.
    #[serde(other)]
    Unknown,
}

/// A frame: four bytes of length (little endian), then JSON.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut frame = vec![0; 4];
    // Our messages have string keys and no failing serializers: this cannot fail.
    serde_json::to_writer(&mut frame, message).unwrap_or_default();
    let bytes = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&bytes.to_le_bytes());
    frame
}

/// Takes the first whole frame out of a buffer.
///
/// # Errors
/// A frame that is too long is `InvalidData`: the connection cannot go on.
pub fn take_frame(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let bytes = u32::from_le_bytes(*head) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
    }
    if buffer.len() < 4 + bytes {
        return Ok(None);
    }
    let rest = buffer.split_off(4 + bytes);
    let mut frame = std::mem::replace(buffer, rest);
    frame.drain(..4);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole_however_they_arrive() {
        let requests = [Request::Status, Request::Signal { signal: 15 }, Request::Subscribe];
        let stream: Vec<u8> = requests.iter().flat_map(encode).collect();
        for chunk in 1..stream.len() {
            let mut buffer = Vec::new();
            let mut taken = Vec::new();
            for bytes in stream.chunks(chunk) {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = take_frame(&mut buffer).unwrap() {
                    taken.push(String::from_utf8(frame).unwrap());
                }
            }
            let expected = [r#"{"op":"status"}"#, r#"{"op":"signal","signal":15}"#, r#"{"op":"subscribe"}"#];
            assert_eq!(taken, expected);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_frame_that_is_too_long_ends_the_connection() {
        let mut buffer = (FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
        assert!(take_frame(&mut buffer).is_err());
    }

    #[test]
    fn what_is_newer_is_understood_as_unknown() {
        let request = serde_json::from_str::<Request>(r#"{"op":"dance","steps":3}"#).unwrap();
        assert!(matches!(request, Request::Unknown));
        let reply = serde_json::from_str::<Reply>(r#"{"kind":"song"}"#).unwrap();
        assert!(matches!(reply, Reply::Unknown));
        let text = r#"{"kind":"status","status":{"phase":"dreaming","mood":"good"}}"#;
        let Reply::Status { status } = serde_json::from_str(text).unwrap() else {
            panic!("not a status");
        };
        assert_eq!(status.phase, Phase::Unknown);
        let event = r#"{"kind":"event","event":{"what":"slept","for_ms":8}}"#;
        let event = serde_json::from_str::<Reply>(event).unwrap();
        assert!(matches!(event, Reply::Event { event: Event::Unknown }));
    }
}
