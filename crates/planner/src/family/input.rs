//! What planning a family reads, and what comes out of it.

use lace_model::event::NewEvent;
use lace_model::family::Family;
use lace_model::host::{Host, Liveness};
use lace_model::node::NodeStatus;
use lace_model::pool::Pool;
use lace_model::revision::{Protocol, Revision};
use lace_model::target::Target;
use lace_model::task::NodeTask;
use lace_model::{ByteSize, CpuMillis, FamilyPath, HostId, Millis, Name, NodeId, Reason, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A host that has been silent for this long has lost its replaceable nodes to other hosts.
pub const AWAY_AFTER: Span = Span::secs(5);

/// Everything that the decision about one family depends on.
#[derive(Clone, Copy)]
pub struct FamilyInput<'a> {
    /// What is wanted.
    pub family: &'a Family,
    /// The committed target, if there is one.
    pub current: Option<&'a Target>,
    /// Statuses of this family's nodes, strays of it included. Others do no harm, but cost time.
    pub observed: &'a BTreeMap<NodeId, NodeStatus>,
    /// Revisions of the service: at least the wanted one, the good one and those that nodes have.
    pub revisions: &'a BTreeMap<u64, Revision>,
    /// All hosts, in the same order every time: sorted by id they are found fastest.
    pub hosts: &'a [HostView],
    /// Pools that hosts can be had from, where none has room.
    pub offers: &'a [Offer],
    /// What must be so before nodes start.
    pub gates: &'a Gates,
    /// The newest `restart` task of each node.
    pub restarts: &'a BTreeMap<NodeId, NodeTask>,
    /// The hot upgrades of each node that are known, the newest last.
    pub upgrades: &'a BTreeMap<NodeId, Vec<NodeTask>>,
    /// What doors brought back from nodes of each revision lately.
    pub answered: &'a BTreeMap<u64, Answered>,
    /// The epoch of this controller.
    pub epoch: u64,
    /// The moment of the decision.
    pub now: Millis,
    /// The installation's planning seed: node ids and random choices come from it.
    pub seed: [u8; 32],
}

/// A host as placement sees it.
#[derive(Clone, Debug)]
pub struct HostView {
    /// The stored host.
    pub host: Host,
    /// Its session. `last_seen` 0 means "not seen since this controller started": such a host is not given up, so
    /// whoever fills this in puts the controller's start there to begin the count.
    pub liveness: Liveness,
    /// What the committed targets of *other* families (and jobs) use of it.
    pub used: Used,
    /// Addresses that *other* families' nodes (and jobs) have.
    pub taken: BTreeSet<Ipv4Addr>,
    /// Ports of its network that *other* families' nodes have taken.
    pub ports: BTreeSet<(Protocol, u16)>,
    /// What the wanted revision's release needs and this host lacks.
    pub missing: Vec<String>,
    /// The pool that it belongs to, where there still is one of that name.
    pub pool: Option<Arc<Pool>>,
}

/// A pool that hosts can be had from.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The pool.
    pub pool: Arc<Pool>,
    /// Its hosts, and machines that become some.
    pub there: u32,
    /// Machines that are on their way.
    pub coming: Vec<Name>,
    /// The network that its machines are made in ([`Pool::network`]), where that is known.
    pub network: Option<String>,
    /// Hosts that were made from it.
    pub made: BTreeSet<HostId>,
    /// Why nothing is to be had now, and until when that counts.
    pub closed: Option<(String, Millis)>,
}

/// Hosts that shall be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// From which pool.
    pub pool: Name,
    /// How many.
    pub hosts: u32,
}

/// Room that is taken on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Processor.
    pub cpu: CpuMillis,
    /// Memory.
    pub memory: ByteSize,
    /// Nodes and jobs.
    pub nodes: u32,
}

/// What must be so before nodes start.
#[derive(Clone, Debug)]
pub struct Gates {
    /// `Err` names the first family that must be healthy and is not. It counts for a family's first start only.
    pub needs_met: Result<(), FamilyPath>,
    /// The `before` jobs of revisions that have some; a revision without an entry here waits if it has such jobs and
    /// was never good.
    pub before_done: BTreeMap<u64, JobGate>,
}

impl Default for Gates {
    fn default() -> Self {
        Self { needs_met: Ok(()), before_done: BTreeMap::new() }
    }
}

/// How the `before` jobs of a revision stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobGate {
    /// This command has not ended yet.
    Waiting(String),
    /// This command has not begun: no host has room for it.
    NoRoom {
        /// The command.
        command: String,
        /// Since when it waits.
        since: Millis,
    },
    /// All ended well.
    Done,
    /// One failed.
    Failed {
        /// In words, with the command.
        cause: String,
        /// Its last lines.
        last_lines: Vec<String>,
    },
}

/// Answers of one revision's nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// All of them.
    pub all: u64,
    /// Those that say that something went wrong (5xx).
    pub errors: u64,
}

/// The decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyOutcome {
    /// The next target; `None`: the present one stays.
    pub target: Option<Target>,
    /// Why it is not (yet) as wanted; also part of the target.
    pub reasons: Vec<Reason>,
    /// The next moment at which time alone changes the answer.
    pub wake_at: Option<Millis>,
    /// What happened; only with a target.
    pub events: Vec<NewEvent>,
    /// It was to be deleted, and nothing of it is left.
    pub family_done: bool,
    /// Nodes that were given up by force: their names, ids and hosts.
    pub abandoned: Vec<String>,
    /// Indexes that leave [`Family::replace`].
    pub clear_replace: Vec<u32>,
    /// A revision that was found bad now, and why. It must be written to [`Revision::bad`] in the same commit as the
    /// target: without that mark the planner takes the revision for one that a person wants tried again.
    pub bad: Option<(u64, String)>,
    /// Tasks that must be stored in the same commit as the target.
    pub tasks: Vec<NodeTask>,
    /// Hosts that shall be made, since none has room.
    pub orders: Vec<Order>,
}
