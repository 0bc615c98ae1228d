//! Streams to a node: exec, shells, logs, files. The controller asks, the host's agent answers on a stream of its own.

use bytes::Bytes;
use futures::future::BoxFuture;
use lace_model::{HostId, Millis, Name, NodeId, NodePath, Problem, TargetPath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Frames that may wait in each direction before the sender has to.
pub const STREAM_FRAMES_WAITING: usize = 64;
/// Largest payload of one frame, in bytes.
pub const STREAM_FRAME_BYTES_MAX: usize = 64 * 1024;

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TerminalSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// What a stream shall do. `node` is a node's id or a job's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamRequest {
    /// Run a command in a node.
    Exec {
        /// Where.
        node: NodeId,
        /// Its words; an empty list asks for the login shell.
        argv: Vec<String>,
        /// More environment.
        env: BTreeMap<String, String>,
        /// With a terminal of this size.
        terminal: Option<TerminalSize>,
        /// Is anything coming on stdin?
        stdin: bool,
    },
    /// Lines of the process's output.
    Logs {
        /// Where.
        node: NodeId,
        /// Not older than this moment.
        since: Option<Millis>,
        /// Not newer than this moment.
        until: Option<Millis>,
        /// At most so many of the last lines.
        tail: Option<u32>,
        /// Go on with new lines.
        follow: bool,
    },
    /// Unpack the tar archive that comes on stdin below a directory of the node.
    CopyIn {
        /// Where.
        node: NodeId,
        /// Directory, or path of the one file.
        path: String,
    },
    /// Pack a path of the node as a tar archive to stdout.
    CopyOut {
        /// Where.
        node: NodeId,
        /// What.
        path: String,
    },
    /// Carry bytes to a TCP port of the node.
    Forward {
        /// Where.
        node: NodeId,
        /// Which port.
        port: u16,
    },
    /// Say which volumes the host has: one JSON list of [`Volume`]s on stdout.
    Volumes {
        /// Of what; all of them when absent.
        under: Option<TargetPath>,
        /// Delete them; one that a node has goes when the node goes.
        erase: bool,
    },
    /// Delete the volumes of a name that no node has: one JSON list of [`Volume`]s on stdout, those that were left
    /// because a node has them with that node.
    EraseVolumes {
        /// Of what.
        under: TargetPath,
        /// Which.
        name: Name,
    },
    /// Do something about a snapshot of the volumes of a name: one JSON list of these [`Volume`]s on stdout. All of this
    /// host's or none.
    Snapshot {
        /// Of what.
        under: TargetPath,
        /// Which volumes.
        name: Name,
        /// Which snapshot.
        snapshot: Name,
        /// What.
        step: SnapshotStep,
    },
    /// Put the volumes of one application under another one's name, where they are not yet: no node has any. The answer is
    /// an empty JSON list on stdout.
    MoveVolumes {
        /// The application.
        from: Name,
        /// Its new name.
        to: Name,
    },
    /// Pack what a volume holds as a tar archive to stdout.
    VolumeOut {
        /// Whose.
        place: NodePath,
        /// Which.
        name: Name,
    },
    /// Make a volume that is not there yet, of what comes on stdin as a tar archive.
    VolumeIn {
        /// Whose.
        place: NodePath,
        /// Which.
        name: Name,
        /// Its size in bytes.
        size: u64,
    },
    /// Ask its Erlang runtime; the answer comes as JSON, or as text, on stdout.
    Beam {
        /// Where.
        node: NodeId,
        /// What.
        ask: crate::beam::BeamAsk,
    },
    /// A shell of its Erlang runtime, through the release's own tools.
    BeamShell {
        /// Where.
        node: NodeId,
        /// More environment.
        env: BTreeMap<String, String>,
        /// With a terminal of this size.
        terminal: Option<TerminalSize>,
    },
}

/// What is done about a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotStep {
    /// Take it; a node that has the volume is held up meanwhile.
    Take,
    /// Put what it holds in the volume's place; refused while a node has the volume.
    Restore,
    /// Remove it; none is fine.
    Forget,
}

/// A snapshot of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VolumeSnapshot {
    /// Its name.
    pub name: String,
    /// When it was taken.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// Bytes of the disk that it takes.
    pub bytes: u64,
}

/// A volume as its host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Volume {
    /// Whose: the place of the node that has it, or had it last.
    #[schema(value_type = String)]
    pub path: NodePath,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its size in bytes; none where the host does not enforce one.
    pub size: Option<u64>,
    /// Bytes of the disk that it takes.
    pub used: u64,
    /// The node that has it now.
    #[schema(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// Its host; filled in by the controller.
    #[serde(default)]
    pub host: String,
    /// It goes when its node goes.
    #[serde(default)]
    pub doomed: bool,
    /// Its snapshots, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<VolumeSnapshot>,
}

impl StreamRequest {
    /// The node (or job) that the stream goes to; none where it goes to the host itself.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Exec { node, .. }
            | Self::Logs { node, .. }
            | Self::CopyIn { node, .. }
            | Self::CopyOut { node, .. }
            | Self::Forward { node, .. }
            | Self::Beam { node, .. }
            | Self::BeamShell { node, .. } => Some(*node),
            Self::Volumes { .. }
            | Self::EraseVolumes { .. }
            | Self::Snapshot { .. }
            | Self::MoveVolumes { .. }
            | Self::VolumeOut { .. }
            | Self::VolumeIn { .. } => None,
        }
    }
}

/// One frame of a stream, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamFrame {
    /// Towards the process.
    Stdin(Bytes),
    /// Nothing more on stdin.
    StdinEnd,
    /// From the process (terminal output too).
    Stdout(Bytes),
    /// From the process.
    Stderr(Bytes),
    /// One line of a log.
    Line(LogLine),
    /// The terminal's size changed.
    Resize(TerminalSize),
    /// The process ended with this status (128 + signal for a signal). The last frame.
    Exit(i32),
    /// The stream failed. The last frame.
    Failed(Problem),
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When it was written.
    pub at: Millis,
    /// From stderr?
    pub stderr: bool,
    /// The text without its newline (at most 16 KiB; longer lines are cut into several).
    pub text: String,
}

/// Both ends of an open stream. Dropping `to` ends the stream.
pub struct StreamPair {
    /// Towards the node.
    pub to: mpsc::Sender<StreamFrame>,
    /// From the node.
    pub from: mpsc::Receiver<StreamFrame>,
}

/// The power to open streams: implemented by fleet, handed to the API by the composition.
pub trait StreamOpener: Send + Sync {
    /// Opens a stream to a node on a host. Fails at once when the host has no session.
    fn open(&self, host: HostId, request: StreamRequest) -> BoxFuture<'static, Result<StreamPair, Problem>>;
}
