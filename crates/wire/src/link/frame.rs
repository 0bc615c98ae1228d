//! The frames of the agent link.

use crate::stream::{StreamFrame, StreamRequest};
use bytes::Bytes;
use lace_model::document::{Entry, EntryId, TaskOutcome, Topic};
use lace_model::host::{Block, Capacity, Neighbour, Underlay};
use lace_model::node::NodeStatus;
use lace_model::{
    AppName, Digest, Generation, HostId, InstallationId, JobId, Millis, Name, Problem, StreamId, TaskId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A new host asks to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The one-time join token.
    pub token: String,
    /// Certificate signing request (PEM); the key stays on the host.
    pub csr: String,
    /// Name it would like to have.
    pub name: Name,
    /// The facts about it.
    pub facts: HostFacts,
}

/// Facts about a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// What it can carry.
    pub capacity: Capacity,
    /// Attributes: `arch`, `kernel`, `glibc`, `libraries`, `programs`.
    pub attributes: BTreeMap<String, String>,
    /// Version of its agent.
    pub agent_version: String,
    /// Where it is among other hosts. Whom it is behind is the controller's to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underlay: Option<Underlay>,
}

/// The answer to a join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinReply {
    /// Its id.
    pub host: HostId,
    /// The installation.
    pub installation: InstallationId,
    /// Its certificate (PEM).
    pub certificate: String,
    /// The CA's certificate (PEM).
    pub ca: String,
    /// The private space (CIDR) of the installation.
    pub space: String,
    /// Its blocks of addresses.
    pub blocks: Vec<Block>,
}

/// From agent to controller, on the session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToController {
    /// The first frame: who I am, and what I hold.
    Hello {
        /// Wire version.
        version: u32,
        /// Facts, fresh at every session.
        facts: HostFacts,
        /// Entries that the agent holds, with their generations.
        entries: Vec<(EntryId, Generation)>,
        /// Topics that the agent holds.
        topics: Vec<(AppName, Generation)>,
        /// Every node's status.
        nodes: Vec<NodeStatus>,
    },
    /// What changed since the last report.
    Report {
        /// Changed nodes.
        nodes: Vec<NodeStatus>,
        /// Jobs that moved on.
        jobs: Vec<JobReport>,
        /// Tasks that ended; repeated until acknowledged.
        tasks: Vec<(TaskId, TaskOutcome)>,
    },
    /// A sign of life, with numbers that are never stored.
    Beat {
        /// Used share of the state's disk, thousandths.
        disk_used_permille: u32,
        /// Usage by node.
        usage: Vec<NodeUsage>,
        /// What Erlang runtimes said of themselves since the last beat.
        #[serde(default)]
        vms: Vec<(lace_model::NodeId, lace_model::vm::VmSample)>,
        /// What nodes of packages said of themselves since the last beat.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        figures: Vec<(lace_model::NodeId, Vec<lace_model::package::Figure>)>,
        /// What the host's door carried, where there is news.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traffic: Option<Box<lace_model::traffic::Traffic>>,
    },
    /// A node's PID 1 speaks to the controller as the witness of its family's votes.
    Vote {
        /// The node.
        node: lace_model::NodeId,
        /// Its family.
        family: lace_model::FamilyPath,
        /// What it says.
        message: lace_vote::Message,
    },
    /// A node of mine is about to stop: the doors of other hosts shall let go of it.
    Drain {
        /// The node.
        node: lace_model::NodeId,
        /// Its application, whose topic those doors have.
        app: AppName,
        /// For at most so long requests that it has are waited for.
        within_ms: u64,
    },
    /// My door gives a node no more requests, and has ended those that it had, or their time is over.
    Drained {
        /// The node.
        node: lace_model::NodeId,
    },
    /// A statement was refused because a newer one is held.
    Refused {
        /// Which.
        id: EntryId,
        /// What is held.
        held: Generation,
    },
}

/// What a node uses, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeUsage {
    /// Which node.
    #[schema(value_type = String)]
    pub node: lace_model::NodeId,
    /// Processor time used so far, in microseconds.
    pub cpu_us: u64,
    /// Memory now, in bytes.
    pub memory: u64,
    /// Processes and threads now.
    pub pids: u32,
    /// Times the memory limit killed.
    pub oom_kills: u32,
    /// Times the processor limit held it back.
    pub throttled: u64,
}

/// How a job moves on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Which.
    pub job: JobId,
    /// When its process started.
    pub started_at: Option<Millis>,
    /// When and how it ended.
    pub ended: Option<JobEnd>,
}

/// The end of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// When.
    pub at: Millis,
    /// Exit status (128 + signal for a signal); none when it could not be started.
    pub exit: Option<i32>,
    /// What went wrong, in words.
    pub detail: Option<String>,
    /// The last lines of output.
    pub last_lines: Vec<String>,
}

/// From controller to agent, on the session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToAgent {
    /// The first frame.
    Welcome {
        /// Wire version.
        version: u32,
        /// Who you are.
        host: HostId,
        /// The controller's epoch: frames of an older one are refused from now on.
        epoch: u64,
        /// Your blocks of addresses.
        blocks: Vec<Block>,
        /// In adopt mode: entries that you hold and the controller does not know stay.
        adopt: bool,
        /// Beats and reports at this interval.
        beat_ms: u64,
    },
    /// Changes of the document.
    Document {
        /// Entries that are new or newer.
        upserts: Vec<Entry>,
        /// Entries that are gone: nodes are removed, jobs and tasks forgotten.
        removes: Vec<(EntryId, Generation)>,
    },
    /// A topic that is new or newer.
    Topic(Topic),
    /// An application that this host carries no more.
    TopicGone(AppName),
    /// Open a stream of your own for this.
    Open {
        /// Its id.
        stream: StreamId,
        /// What it shall do.
        request: StreamRequest,
    },
    /// Sealed values for this host: secrets by `APP/NAME@VERSION`.
    Secrets {
        /// The values.
        values: Vec<(String, Bytes)>,
    },
    /// The witness answers a node's PID 1.
    Vote {
        /// The node.
        node: lace_model::NodeId,
        /// What it says.
        message: lace_vote::Message,
    },
    /// A node of another host is about to stop: your door shall let go of it. Say when it has.
    Drain {
        /// The node.
        node: lace_model::NodeId,
        /// For at most so long requests that it has are waited for.
        within_ms: u64,
    },
    /// The doors of other hosts have let go of a node of yours.
    Drained {
        /// The node.
        node: lace_model::NodeId,
    },
    /// These task outcomes need not be repeated.
    AckTasks(Vec<TaskId>),
    /// All hosts of your network, yourself included.
    Neighbours(Vec<Neighbour>),
    /// You are a host no more, and nothing is left on you: take everything of ours away, yourself included.
    Leave,
}

/// A frame of a stream's own call. The agent's first frame names the stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamPart {
    /// The first frame.
    Attach(StreamId),
    /// A frame.
    Frame(StreamFrame),
}

/// Asks for blobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchRequest {
    /// Which.
    pub digests: Vec<Digest>,
}

/// One blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchedBlob {
    /// Which.
    pub digest: Digest,
    /// Its bytes, or why not.
    pub content: Result<Bytes, Problem>,
}
