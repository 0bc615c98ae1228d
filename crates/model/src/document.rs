//! Documents and topics: what a host is told.

use crate::authority::Challenge;
use crate::beam::BeamNames;
use crate::certificate::CertificateRef;
use crate::job::Job;
use crate::revision::{Opening, RevisionSpec};
use crate::route::{Maintenance, RouteSpec};
use crate::target::{VoteOrder, Want};
use crate::{
    AppName, Digest, FamilyPath, Generation, JobId, Millis, Name, NodeId, NodePath, ServicePath, Span, TaskId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The key of an entry in a host's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryId {
    /// A node.
    Node(NodeId),
    /// A job.
    Job(JobId),
    /// A task.
    Task(TaskId),
}

/// One entry: the newer generation wins, an older one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub id: EntryId,
    /// Which statement about it is the newer.
    pub generation: Generation,
    /// What it says.
    pub body: EntryBody,
}

impl SecretRef {
    /// `APP/NAME@VERSION`.
    pub fn key(&self) -> String {
        format!("{}/{}@{}", self.app, self.name, self.version)
    }
}

impl Entry {
    /// The trees that its host needs for it: of its release, and of its package.
    pub fn trees(&self) -> impl Iterator<Item = Digest> {
        let spec = match &self.body {
            EntryBody::Node(node) => Some(&node.spec),
            EntryBody::Job(job) => Some(&job.spec),
            EntryBody::Task(Task { verb: Verb::Upgrade(upgrade), .. }) => Some(&upgrade.spec),
            EntryBody::Task(_) => None,
        };
        let package = spec.and_then(|spec| spec.package.as_ref()).map(|package| package.tree);
        spec.and_then(|spec| spec.tree).into_iter().chain(package)
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryBody {
    /// A node that shall be there.
    Node(Box<NodeEntry>),
    /// A job that shall run.
    Job(Box<Job>),
    /// A verb that shall be done once.
    Task(Task),
}

/// A node in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Its id.
    pub id: NodeId,
    /// Its place.
    pub path: NodePath,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its revision's number.
    pub revision: u64,
    /// What it runs.
    pub spec: RevisionSpec,
    /// What shall become of it.
    pub want: Want,
    /// Who votes on the family's one copy, where its revision wants votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub votes: Option<VoteOrder>,
    /// The mesh of Erlang nodes that it belongs to: its cookie is made of the cluster's and this.
    #[serde(default, skip_serializing_if = "is_first_mesh")]
    pub mesh: u64,
}

fn is_first_mesh(mesh: &u64) -> bool {
    *mesh == 0
}

/// A verb on a node, done once; the agent journals it and reports until acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The node.
    pub node: NodeId,
    /// What.
    pub verb: Verb,
    /// Not started after this moment.
    pub deadline: Millis,
}

/// The closed list of verbs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// Restart the process in place.
    Restart,
    /// Send a signal to the process.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Take its family's distributed application over.
    TakeCopy {
        /// Whoever has it with a lower one makes room. Each wish has a higher one than all before.
        preference: u64,
    },
    /// Change over to another release of its family in the running runtime.
    Upgrade(Box<Upgrade>),
    /// Run a script of the node's package.
    Action(Box<ActionRun>),
}

/// An action of a package (or the question before it) on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRun {
    /// What people call it.
    pub name: Name,
    /// The package that it is of: a node with another one refuses.
    pub tree: Digest,
    /// The file of the package.
    pub file: String,
    /// It is killed after that.
    pub timeout: Span,
    /// What it finds in its environment. Stored, and shown to who may see the task: no place for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretRef>,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretRef {
    /// The application that it is of.
    pub app: AppName,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
}

/// A change of release without a restart: through the runtime's own release handling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The revision that the node has then.
    pub revision: u64,
    /// What that is; it differs from what runs in its release only.
    pub spec: RevisionSpec,
    /// The new release must be healthy for so long, without a break, before the runtime boots it from then on.
    pub healthy_for: Span,
}

/// What an agent does about a task that it began, and of which it does not know the end because it stopped in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Do it again: twice is as good as once.
    Again,
    /// Say that nobody knows: twice might do harm.
    Unknown,
}

impl Verb {
    /// The secrets that its host has to have for it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let of = if let Self::Action(action) = self { Some(action.secrets.values()) } else { None };
        of.into_iter().flatten()
    }

    /// How it is resumed. Each verb that is added says it here.
    pub fn resume(&self) -> Resume {
        match self {
            Self::Restart | Self::TakeCopy { .. } | Self::Upgrade(_) => Resume::Again,
            Self::Signal { .. } | Self::Action(_) => Resume::Unknown,
        }
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Restart => f.write_str("restart"),
            Self::TakeCopy { .. } => f.write_str("failover"),
            Self::Upgrade(_) => f.write_str("hot upgrade"),
            Self::Action(action) => write!(f, "action {}", action.name),
            Self::Signal { signal } => write!(f, "signal {}", crate::signal::name(*signal)),
        }
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum TaskOutcome {
    /// Done.
    Done {
        /// What the verb said.
        #[serde(default)]
        lines: Vec<String>,
    },
    /// Not done, and why.
    Failed {
        /// Why.
        cause: String,
    },
    /// The agent stopped in between: it may have been done.
    Unknown,
}

/// One node in a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its place.
    pub path: NodePath,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its process is up: it has its name.
    pub up: bool,
    /// It is ready: it gets traffic.
    pub ready: bool,
    /// Its openings.
    #[serde(default)]
    pub openings: Vec<Opening>,
    /// The revision that it runs; 0 where nobody says.
    #[serde(default)]
    pub revision: u64,
    /// The mesh of Erlang nodes that it belongs to.
    #[serde(default, skip_serializing_if = "is_first_mesh")]
    pub mesh: u64,
    /// It is part of its cluster: its bootstrap command was run, or the cluster began with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
}

/// Two revisions of a family are there together: who gets how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionShare {
    /// The new one.
    pub revision: u64,
    /// Of a thousand requests so many are the new one's; the others are for all the rest.
    pub permille: u16,
}

/// What every host that carries an application knows about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// The application.
    pub app: AppName,
    /// Which statement is the newer.
    pub generation: Generation,
    /// Its nodes (and running jobs, which have no name).
    pub members: Vec<Member>,
    /// Ports for SRV records by family: name of the port and its number.
    #[serde(default)]
    pub ports: BTreeMap<FamilyPath, BTreeMap<String, u16>>,
    /// Ways in from outside, of services that have any to tell of.
    #[serde(default)]
    pub doors: BTreeMap<ServicePath, Doors>,
    /// Families that divide their requests between two revisions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<FamilyPath, RevisionShare>,
    /// Certificates for these ways in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateRef>,
    /// What doors answer to authorities that ask whether names are ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<Challenge>,
    /// How the Erlang runtimes of families are called: the part before the `@`, and what stands behind it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runtimes: BTreeMap<FamilyPath, (String, BeamNames)>,
}

/// The ways into a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    /// As the manifest says them.
    #[serde(default)]
    pub routes: Vec<RouteSpec>,
    /// Under repair.
    #[serde(default)]
    pub maintenance: Maintenance,
    /// Where no node is wanted, the first request starts one: doors let it wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wakes: bool,
}

impl Topic {
    /// Digest of the content, the generation aside.
    pub fn content(&self) -> Digest {
        let (ports, doors): (Vec<_>, Vec<_>) = (self.ports.iter().collect(), self.doors.iter().collect());
        let shares: Vec<_> = self.shares.iter().collect();
        let more = (shares, &self.certificates, &self.challenges);
        Digest::of_value(&(&self.app, &self.members, ports, doors, more))
    }
}
