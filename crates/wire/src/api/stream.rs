//! Streams over a WebSocket.

use lace_model::{Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Opens a stream: the node by its place, or a job by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StreamOpen {
    /// `shop/game/2`, or `job:ID`.
    pub target: String,
    /// What it shall do.
    #[serde(flatten)]
    pub action: StreamAction,
}

/// What a stream shall do (see [`crate::stream::StreamRequest`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum StreamAction {
    /// Run a command (the login shell where empty).
    Exec {
        /// Words.
        argv: Vec<String>,
        /// Environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Terminal: columns and rows.
        #[serde(default)]
        terminal: Option<crate::stream::TerminalSize>,
        /// Is anything coming on stdin?
        #[serde(default)]
        stdin: bool,
    },
    /// Output of the process; each line is one JSON message on [`Channel::Line`].
    Logs {
        /// From.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        since: Option<Millis>,
        /// To.
        #[serde(default)]
        #[schema(value_type = Option<u64>)]
        until: Option<Millis>,
        /// Last lines.
        #[serde(default)]
        tail: Option<u32>,
        /// Go on.
        #[serde(default)]
        follow: bool,
    },
    /// A shell of the node's Erlang runtime.
    BeamShell {
        /// Environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Terminal: columns and rows.
        #[serde(default)]
        terminal: Option<crate::stream::TerminalSize>,
    },
    /// tar in.
    CopyIn {
        /// Path.
        path: String,
    },
    /// tar out.
    CopyOut {
        /// Path.
        path: String,
    },
    /// What a volume holds, tar out; the target is the place that it belongs to.
    VolumeOut {
        /// Its name.
        #[schema(value_type = String)]
        volume: Name,
        /// The host that has it.
        #[schema(value_type = String)]
        host: Name,
    },
    /// A volume that is not there yet, tar in; the target is the place that it shall belong to.
    VolumeIn {
        /// Its name.
        #[schema(value_type = String)]
        volume: Name,
        /// The host that shall have it.
        #[schema(value_type = String)]
        host: Name,
        /// Its size in bytes.
        size: u64,
    },
    /// TCP.
    Forward {
        /// Port.
        port: u16,
    },
}

/// First byte of a binary message on a stream's WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// Bytes to the process.
    Stdin = 0,
    /// Bytes from the process.
    Stdout = 1,
    /// Bytes from the process.
    Stderr = 2,
    /// JSON of a terminal size.
    Resize = 3,
    /// JSON of the exit status (a number); the last message.
    Exit = 4,
    /// Nothing more on stdin.
    StdinEnd = 5,
    /// JSON of a [`crate::stream::LogLine`].
    Line = 6,
    /// JSON of a problem; the last message.
    Failed = 7,
}

impl Channel {
    /// From the byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Stdin,
            Self::Stdout,
            Self::Stderr,
            Self::Resize,
            Self::Exit,
            Self::StdinEnd,
            Self::Line,
            Self::Failed,
        ]
        .into_iter()
        .find(|c| *c as u8 == byte)
    }
}
